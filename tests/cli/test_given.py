"""`snstat propagate --weights` as a command."""

from __future__ import annotations

import json

import numpy as np
import pytest

import snstat
from snstat.cli import run
from tests.files.test_schemas import errors

SMALL = ["-t", "2", "-b", "4"]


@pytest.fixture
def model(tmp_path, monkeypatch):
    """Write a file of weights to a new folder and work there."""
    g = np.random.default_rng(0)
    arrays = {"fc1.weight": g.standard_normal((6, 5)), "fc1.bias": np.zeros(6)}
    np.savez(tmp_path / "model.npz", **arrays, **{"fc2.weight": g.standard_normal((3, 6))})
    monkeypatch.chdir(tmp_path)
    return "model.npz"


def call(capsys, *arguments):
    code = run([*arguments])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_the_table_says_what_was_given_and_what_trials_draw(capsys, model):
    code, out, _ = call(
        capsys, "propagate", "--weights", model, "-a", "selu", "--last", "linear", *SMALL
    )
    digest = snstat.propagate("selu", weights=model, trials=1).network.weights.digest
    assert code == 0
    text = " ".join(out.split())
    assert "model.npz · 2 layers · 5 → 3 · SELU · linear read-out ·" in text
    assert f"weights given ({digest[:15]}…)" in text
    assert "2 trials (new inputs each) × batch 4 · float32, seed 0" in text
    assert "theory: unit map with the sums of every unit's own weights" in text
    column = snstat.propagate("selu", weights=model, last="linear", trials=2, batch=4).mean
    assert f"give mean {column.theory[2]:.3g} and variance" in text
    assert f"own weights give mean {column.expected[2]:.3g} and variance" in text
    assert "fc1" in text
    assert "→ run again" not in text


def test_data_are_not_drawn(capsys, model, tmp_path):
    np.save(tmp_path / "x.npy", np.random.default_rng(0).standard_normal((9, 5)))
    code, out, _ = call(capsys, "propagate", "--weights", model, "--inputs", "x.npy", *SMALL)
    assert code == 0
    assert "2 trials (new samples of the data each) × batch 4" in " ".join(out.split())


def test_several_activations_are_several_runs(capsys, model):
    code, out, _ = call(capsys, "propagate", "--weights", model, "-a", "selu,tanh", *SMALL)
    assert code == 0
    assert "Side by side" in out
    assert [line.split()[0] for line in out.splitlines()[-3:-1]] == ["SELU", "tanh"]


@pytest.mark.parametrize("form", ["json", "csv", "markdown"])
def test_every_format_is_written(capsys, model, form):
    code, out, _ = call(capsys, "propagate", "--weights", model, "--backward", "-f", form, *SMALL)
    assert code == 0
    assert "fc1" in out


def test_a_saved_run_is_shown_drawn_and_judged(capsys, model, tmp_path):
    arguments = ("propagate", "--weights", model, "--backward", "-o", "run.json", *SMALL)
    assert call(capsys, *arguments)[0] == 0
    document = json.loads((tmp_path / "run.json").read_text())
    assert errors(document, "propagation") == []
    (own,) = document["runs"]
    assert own["given_weights"]["file"] == model
    assert own["given_weights"]["tensors"] == ["fc1.weight", "fc1.bias", "fc2.weight"]
    assert own["stack"] is None
    assert call(capsys, "show", "run.json")[0] == 0
    assert call(capsys, "plot", "run.json", "-o", "run.svg")[0] == 0
    assert call(capsys, "plot", "run.json", "--kind", "histogram", "-o", "hist.svg")[0] == 0
    assert "weights given" in (tmp_path / "hist.svg").read_text()
    code, out, _ = call(capsys, "check", "run.json", "-f", "json")
    assert code in (0, 1)
    judged = json.loads(out)
    assert errors(judged, "check") == []
    assert judged["checks"][0]["given_weights"] == own["given_weights"]
    assert all(not finding["remedy"] for finding in judged["checks"][0]["findings"])
    baseline = ("check", "run.json", "--baseline", "run.json", "--select", "SN701")
    assert call(capsys, *baseline)[0] == 0
    code, _, err = call(capsys, "check", "--baseline", "run.json")
    assert code == 2
    assert "baseline is 'model.npz', but must be of weights that are drawn" in err


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("digest", "sha256:12", "64 hexadecimal digits"),
        ("tensors", [], "must be a list of names"),
        ("tensors", [1], "must be a list of names"),
        ("file", "", "must be the name of a file"),
        ("file", None, "must be the name of a file"),
        ("layout", "jex", "layout is 'jex'"),
    ],
)
def test_a_damaged_record_is_refused(capsys, model, tmp_path, key, value, words):
    assert call(capsys, "propagate", "--weights", model, "-o", "run.json", *SMALL)[0] == 0
    document = json.loads((tmp_path / "run.json").read_text())
    document["runs"][0]["given_weights"][key] = value
    assert errors(document, "propagation")
    (tmp_path / "run.json").write_text(json.dumps(document))
    code, _, err = call(capsys, "show", "run.json")
    assert code == 2
    assert words in err


def test_weights_belong_to_dense_layers_alone(capsys, model, tmp_path):
    assert call(capsys, "propagate", "--weights", model, "-o", "run.json", *SMALL)[0] == 0
    document = json.loads((tmp_path / "run.json").read_text())
    del document["runs"][0]["network"]["layers"][0]["activation"]
    (tmp_path / "run.json").write_text(json.dumps(document))
    code, _, err = call(capsys, "show", "run.json")
    assert code == 2
    assert "dense layers with an activation only" in err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--weights", "model.npz", "-d", "3"], "--depth cannot be used beside --weights"),
        (["--weights", "model.npz", "--widths", "5,3"], "--widths cannot be used beside"),
        (["--weights", "model.npz", "--init", "he_normal"], "--init cannot be used beside"),
        (["--weights", "model.npz", "--set", "a=1"], "--set cannot be used beside --weights"),
        (["net.toml", "--weights", "model.npz"], "cannot be used beside --weights"),
        (["--weights", "model.npz", "--sampler", "matrix-free"], "--sampler is 'matrix-free'"),
        (["--weights", "model.npz", "--only", "fc2*", "--only", "fc1*"], "does not fit"),
        (["--weights", "model.npz", "--only", "*bias"], "choose tensors, and their order, with"),
        (["--weights", "model.npz", "--only", "x*"], "--only is 'x*'"),
        (["--only", "fc*"], "--only cannot be used without --weights"),
        (["--layout", "jax"], "--layout cannot be used without --weights"),
        (["--weights", "model.npz", "--layout", "jex"], "--layout is 'jex'"),
        (["--weights", "model.npz", "--layout", "jax"], "it has 5 units, and the next one 3"),
        (["--weights", "missing.npz"], "missing.npz: no such file"),
        (["--weights", "."], "is a directory"),
        (["--weights", ""], "no file name"),
    ],
)
@pytest.mark.usefixtures("model")
def test_what_is_wrong_is_one_line(capsys, arguments, words):
    code, out, err = call(capsys, "propagate", *arguments)
    assert code == 2
    assert out == ""
    assert err.startswith("snstat: error: ")
    assert err.count("\n") == 1
    assert words in err


def test_a_rule_about_other_draws_is_not_judged(capsys, tmp_path, monkeypatch):
    """Forty narrow layers of ReLU: networks drawn alike differ by factors, this one is one."""
    monkeypatch.chdir(tmp_path)
    g = np.random.default_rng(0)
    np.savez("deep.npz", **{f"w{n}": g.standard_normal((8, 8)) / 2 for n in range(40)})
    arguments = ("propagate", "--weights", "deep.npz", "-a", "relu", "-o", "run.json", *SMALL)
    assert call(capsys, *arguments)[0] == 0
    code, out, _ = call(capsys, "check", "run.json", "--select", "SN502")
    assert code == 0
    assert "SN502 not judged: it is about weights that are drawn" in " ".join(out.split())
    _, out, _ = call(capsys, "check", "run.json", "-f", "json")
    assert all(not finding["remedy"] for finding in json.loads(out)["checks"][0]["findings"])
    drawn = snstat.check("relu", depth=40, width=8, select="SN502")
    assert not drawn.passed
