"""A saved run is judged by the theory of this version, whatever theory its file holds."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

import snstat
from snstat import cli
from snstat.checks.request import Request
from snstat.files.saved import runs_to_json

RNG = np.random.default_rng(5)
DATA = RNG.normal(size=(40, 12))
UNLIKE = DATA * np.where(np.arange(40) % 7, 1.0, 20.0)[:, None]
USUAL = {"activation": "relu", "depth": 4, "width": 12, "batch": 8, "trials": 6, "seed": 2}
KINDS = {
    "default": {},
    "backward": {"activation": "selu", "backward": True},
    "orthogonal": {"init": "orthogonal", "activation": "tanh", "bias_std": 0.1},
    "uniform inputs": {"inputs": "uniform", "input_mean": 0.3, "input_std": 2.0},
    "data": {"inputs": DATA},
    "data of unequal norm": {"inputs": UNLIKE, "backward": True},
    "data with a zero": {"inputs": UNLIKE * (np.arange(40) != 3)[:, None], "batch": 40},
    "standardized": {"inputs": UNLIKE, "standardize": True},
    "widths": {"widths": "12,20*3,4", "depth": None, "width": None, "last": "identity"},
    "not finite": {"weight_gain": 1e15},
    "silent": {"weight_gain": 0.0},
    "narrow": {"width": 2, "depth": 12},
    "one sample": {"batch": 1},
    "one trial": {"trials": 1},
    "deep": {"activation": "gelu", "depth": 50},
}


def document(**options):
    run = snstat.propagate(**USUAL | options)
    return json.loads("".join(runs_to_json([run])))


def judged(form, folder):
    """Return the check of the run `form`, and the notes on its theory."""
    path = folder / "run.json"
    path.write_text(json.dumps(form))
    run = snstat.load(path)
    check = Request.build({}, saved=run).judge(run)
    return check, [note for note in check.notes if "another version" in note]


@pytest.mark.parametrize("options", KINDS.values(), ids=KINDS)
def test_theory_of_a_file_of_this_version_is_its_own(options, tmp_path):
    assert judged(document(**options), tmp_path)[1] == []


@pytest.fixture(scope="module")
def selu():
    return document(activation="selu", depth=8, width=64, backward=True)


@pytest.mark.parametrize("column", ["expected", "neglected", "theory"])
@pytest.mark.parametrize("name", ["second_moment", "kurtosis", "gradient"])
def test_edited_theory_is_noted_and_not_judged(selu, tmp_path, name, column):
    plain, notes = judged(selu, tmp_path)
    assert (plain.verdict, notes) == ("self-normalizing", [])
    form = json.loads(json.dumps(selu))
    for layer in form["runs"][0]["layers"][3:]:
        layer[name][column] = 1e9
    check, notes = judged(form, tmp_path)
    assert (check.verdict, check.findings) == (plain.verdict, plain.findings)
    where = f"first at layer 3: {name.replace('_', ' ')} ({column})"
    assert notes == [f"theory in the file is another version's, {where}; it was computed again"]
    assert [note for note in check.notes if note not in notes] == list(plain.notes)


@pytest.mark.parametrize(("factor", "noted"), [(1 + 1e-9, False), (1 + 1e-5, True)])
def test_rounding_is_no_other_theory(selu, tmp_path, factor, noted):
    form = json.loads(json.dumps(selu))
    for layer in form["runs"][0]["layers"]:
        for name in ("second_moment", "kurtosis", "gradient"):
            layer[name]["theory"] *= factor
    assert bool(judged(form, tmp_path)[1]) is noted


def test_missing_theory_is_filled_in_without_a_note(selu, tmp_path):
    """As in a file of an earlier version."""
    form = json.loads(json.dumps(selu))
    for layer in form["runs"][0]["layers"]:
        for name in ("mean", "variance", "second_moment"):
            layer[name]["expected"] = layer[name]["neglected"] = None
    plain, check = judged(selu, tmp_path)[0], judged(form, tmp_path)[0]
    assert check.notes == plain.notes  # SN501 leaves out no more than before


def test_theory_of_a_pair_stays_as_the_file_has_it(tmp_path):
    pair = (np.tanh, lambda x: 1.0 - np.tanh(x) ** 2)
    form = document(activation=pair, init="lecun_normal")
    assert not math.isnan(form["runs"][0]["layers"][2]["variance"]["theory"])
    assert judged(form, tmp_path)[1] == []


def test_the_command_shows_the_note(selu, tmp_path, capsys):
    form = json.loads(json.dumps(selu))
    form["runs"][0]["layers"][5]["variance"]["expected"] = 1e9
    (tmp_path / "run.json").write_text(json.dumps(form))
    assert cli.run(["check", str(tmp_path / "run.json")]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "note: theory in the file is another version's, first at layer 5: variance" in out


@pytest.mark.parametrize("backward", [False, True])
def test_theory_is_that_of_the_layers_of_the_run_where_more_have_to_survive(backward, tmp_path):
    """`depth_limit` looks beyond the layers of the run, whose theory in the file is still right."""
    path = tmp_path / "run.json"
    path.write_text(json.dumps(document(activation="selu", depth=4, backward=backward)))
    run = snstat.load(path)
    check = Request.build({"depth_limit": 9}, saved=run).judge(run)
    assert [note for note in check.notes if "another version" in note] == []
