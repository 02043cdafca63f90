"""Runs of a user's own images: theory in the record, checks and pictures, and what it takes."""

from __future__ import annotations

import json

import numpy as np
import pytest

import snstat
from snstat.checks.request import Request
from snstat.cli import run
from snstat.errors import InvalidValueError
from snstat.experiment import samples, theory_room
from snstat.experiment.data import check_data
from snstat.network.network import Network

COUNT = 30
FILE = """\
input = { channels = 3, grid = [6, 6] }
[defaults.conv]
channels = 40
kernel = 3
activation = "relu"
[[layers]]
kind = "conv"
[[layers]]
kind = "conv"
stride = 2
[[layers]]
kind = "global_mean_pool"
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Return a folder, entered, with a network and images of different brightness."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "model.toml").write_text(FILE)
    rng = np.random.default_rng(0)
    x = rng.normal(0.2, 1.0, (COUNT, 6, 6, 3)) * rng.uniform(0.5, 1.5, (COUNT, 1, 1, 1))
    np.save("images.npy", x)
    x[:, 0] = 0.0
    np.save("dark.npy", x)
    return tmp_path


def _words(capsys):
    return " ".join(capsys.readouterr().out.split())


def test_a_saved_run_is_judged_by_the_theory_that_it_holds(folder, capsys):
    words = ["propagate", "model.toml", "--inputs", "images.npy", "--backward", "-o", "run.json"]
    assert run(words) == 0
    found = snstat.load("run.json")
    assert [end.of for end in found.theory_ends] == ["gradient", "width", "units"]
    (folder / "images.npy").unlink()
    case = Request.build({}, saved=found).case(found)
    for name in ("mean", "second_moment", "cosine", "position_cosine"):
        theory = found.statistics[name].theory
        np.testing.assert_array_equal(case.predicted(name)[1:], theory[1:])
        assert np.isfinite(theory[1:3]).all()
    np.testing.assert_allclose(case.gradients[1:], np.log(found.statistics["gradient"].theory[1:]))
    capsys.readouterr()
    assert run(["check", "run.json"]) == 0
    assert "no theory" not in capsys.readouterr().out


@pytest.mark.usefixtures("folder")
def test_rules_and_positions_know_the_profile_of_the_images(capsys):
    assert (
        run(["check", "model.toml", "--inputs", "images.npy", "--position-share-min", "0.55"]) == 1
    )
    assert "SN403 position-fades" in capsys.readouterr().out
    assert run(["check", "model.toml", "--inputs", "dark.npy"]) == 0
    assert "some position of these inputs is as faint from the start" in _words(capsys)
    assert run(["propagate", "model.toml", "--inputs", "dark.npy", "-o", "run.json"]) == 0
    capsys.readouterr()
    assert run(["show", "run.json", "--positions", "-f", "json"]) == 0
    shown = json.loads(capsys.readouterr().out)["layers"]
    profile = np.array(shown[0]["positions"])
    x = np.load("dark.npy")
    wanted = (x**2).mean((0, 3))
    np.testing.assert_allclose(profile, wanted / wanted.mean(), rtol=1e-6)


@pytest.mark.usefixtures("folder")
def test_what_samples_take_is_said_before(capsys, monkeypatch):
    monkeypatch.setattr(theory_room, "QUICK_SECONDS", 0.0)
    for words in (
        ["propagate", "model.toml", "--inputs", "images.npy", "-t", "2"],
        ["check", "model.toml", "--inputs", "images.npy", "-t", "2"],
        ["plot", "model.toml", "--inputs", "images.npy", "--kind", "positions", "-o", "a.png"],
    ):
        assert run(words) == 0
        assert capsys.readouterr().err.count("snstat: theory of 30 samples takes about ") == 1


@pytest.mark.usefixtures("folder")
def test_theory_that_would_take_too_long_is_left_out(capsys, monkeypatch):
    monkeypatch.setattr(samples, "LONGEST", 1e-3)
    assert run(["propagate", "model.toml", "--inputs", "images.npy", "-o", "run.json"]) == 0
    found = snstat.load("run.json")
    assert np.isnan(found.statistics["second_moment"].theory[1:]).all()
    assert "use a smaller --batch" in found.theory_ends[0].reason
    assert "theory of 30 samples would take about" in found.theory_ends[0].reason
    capsys.readouterr()
    assert run(["plot", "run.json", "--kind", "positions", "-o", "a.png"]) == 2
    assert "theory knows the signal at several positions of no layer" in capsys.readouterr().err


@pytest.mark.usefixtures("folder")
def test_trials_of_some_samples_have_theory_of_these():
    found = snstat.propagate(Network.load("model.toml"), inputs="images.npy", batch=2, trials=3)
    other = snstat.propagate(
        Network.load("model.toml"), inputs="images.npy", batch=2, trials=3, seed=1
    )
    one, two = (each.statistics["second_moment"].theory for each in (found, other))
    assert one[0] == two[0]  # of all data
    assert (one[1:] != two[1:]).all()
    again = snstat.propagate(Network.load("model.toml"), inputs="images.npy", batch=2, trials=3)
    np.testing.assert_array_equal(again.statistics["second_moment"].theory, one)


@pytest.mark.parametrize("standardize", [False, True])
def test_a_value_that_is_missing_is_named_by_its_place_in_the_file(standardize):
    """Of images, and of vectors in the same order."""
    x = np.zeros((4, 8, 6, 3)) + np.arange(3)
    x[1, 2, 3, 1] = np.nan
    for data, place in ((x, "1, 2, 3, 1"), (x.reshape(4, -1), f"1, {(2 * 6 + 3) * 3 + 1}")):
        with pytest.raises(InvalidValueError, match=rf"inputs\[{place}\] is nan"):
            check_data(data, "x", None, standardize=standardize, sample=(8, 6, 3)).moments()
    with pytest.raises(InvalidValueError, match=r"inputs\[1, 2, 3, 1\] is nan"):
        check_data(x, "x", None, standardize=standardize, flatten=True).moments()
