"""Cells that are traces of a module."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

import snstat

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.peers

MODELS = """
from torch import nn

def mlp(width=8, depth=1):
    hidden = [layer for _ in range(depth) for layer in (nn.Linear(width, width), nn.ReLU())]
    return nn.Sequential(nn.Linear(4, width), *hidden, nn.Linear(width, 2))
"""


@pytest.fixture
def module(tmp_path, monkeypatch):
    (tmp_path / "swept_models.py").write_text(MODELS)
    monkeypatch.syspath_prepend(str(tmp_path))
    return "swept_models:mlp"


def test_rows_are_those_of_trace(module, tmp_path):
    options = {"input": ("Bx4",), "trials": 2, "batch": 4}
    found = snstat.sweep(
        module, {"width": [8, 16], "seed": [0, 1]}, **options, output=tmp_path / "out.csv"
    )
    assert not found.failed.any()
    assert found.last.sum() == 4
    chosen = (found["width"] == 16) & (found["seed"] == 1)
    run = snstat.trace(module, "Bx4", set={"width": 16}, trials=2, batch=4, seed=1)
    assert found["name"][chosen].tolist() == [layer.name for layer in run.layers]
    for name in ("second_moment", "gradient"):
        statistic = run.statistics[name]
        np.testing.assert_array_equal(found[f"{name}_estimate"][chosen], statistic.estimate)
        np.testing.assert_array_equal(found[f"{name}_theory"][chosen], statistic.theory)
    assert set(found["verdict"]) <= {"stable", "vanishing"}


def test_changed_code_runs_again(module, tmp_path):
    def sweep():
        command = ("sweep", module, "--input", "Bx4", "-b", "2", "-t", "1", "--over", "width=4,8")
        words = (sys.executable, "-m", "snstat", *command, "-o", "out.csv")
        return subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=True)

    sweep()
    assert "out.csv has 2 cells; the sweep goes on" in sweep().stderr
    (tmp_path / "swept_models.py").write_text(MODELS.replace("ReLU", "Tanh"))
    err = sweep().stderr
    assert "out.csv has 2 cells of other options, or other code; they are kept" in err
    assert "goes on" not in err
    lines = (tmp_path / "out.csv").read_text().splitlines()[1:]
    assert len({line.split(",")[0] for line in lines}) == 4


def test_what_fails_in_the_users_code_is_its_error(module):
    found = snstat.sweep(module, {"width": [8, -1]}, input=("Bx4",), trials=1, batch=2)
    assert found.cells.failed.tolist() == [False, True]
    assert "swept_models:mlp raised" in found["error"][found.failed][0]
