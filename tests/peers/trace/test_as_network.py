"""`snstat trace --as-network`: the network file of a module whose whole graph is layers."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

import snstat
from snstat import Network, cli
from tests.peers.trace.test_theory import NAMES

pytestmark = pytest.mark.peers

MODELS = """
import copy
from tests.peers.trace.theory_models import *
from tests.peers.trace.models import mlp, Repeated
from tests.peers.trace.attention_models import Encoder

def two():
    class Two(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = lecun(8, 8), lecun(8, 8)

        def forward(self, x):
            return self.a(x), self.b(x)
    return Two()

def copied():
    one = nn.Linear(16, 16)
    return nn.Sequential(one, copy.deepcopy(one))

def nothing():
    return nn.Identity()
"""


@pytest.fixture
def models(tmp_path, monkeypatch):
    (tmp_path / "ownmodels.py").write_text(MODELS)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "ownmodels", raising=False)


@pytest.mark.usefixtures("models")
@pytest.mark.parametrize(
    ("name", "width", "mode"),
    [
        ("mlp", "Bx128", "train"),
        ("prenorm", "Bx64", "train"),
        ("prenorm", "Bx64", "eval"),
        ("batch_normed", "uniform:Bx3x4x4", "train"),
        ("Functions", "Bx64", "train"),
        ("Encoder", "Bx6x64", "train"),
        ("Encoder", "Bx6x64", "eval"),
        ("Gated", "Bx32", "train"),
    ],
)
def test_the_file_has_the_theory_of_the_trace(name, width, mode, capsys):
    words = ["trace", f"ownmodels:{name}", "--input", width, "-t", "2", "--mode", mode]
    assert cli.run([*words, "--as-network", "own.toml", "-o", "run.json"]) == 0
    network, run = Network.load("own.toml"), snstat.load("run.json")
    assert f"wrote own.toml: {network.depth} layers" in capsys.readouterr().err
    assert network.name == name
    own = snstat.propagate("own.toml", trials=2, batch=8, backward=True, train=mode == "train")
    found = {row.name.rpartition(".")[2]: n for n, row in enumerate(own.network.layers)}
    compared = 0
    for number in range(1, run.depth + 1):
        path = run.row(number).name.replace(".", "_")
        layer = found.get(path if path[0].isalpha() else f"layer_{path}")
        if layer is None or f"{path}-2" in found:  # the output of several layers
            continue
        compared += 1
        for statistic in NAMES:
            one, other = run.statistics[statistic], own.statistics[statistic]
            np.testing.assert_allclose(one.theory[number], other.theory[layer], rtol=1e-12)
            np.testing.assert_allclose(one.expected[number], other.expected[layer], rtol=1e-12)
    assert compared >= 3
    last = run.statistics["second_moment"].theory[-1]
    assert own.statistics["second_moment"].theory[-1] == pytest.approx(last, rel=1e-12)


@pytest.mark.usefixtures("models")
@pytest.mark.parametrize(
    ("name", "inputs", "words"),
    [
        ("copied", "Bx16", "1 (its weights are a copy of 0.weight)"),
        ("Repeated", "Bx16", "l (its weights were used before)"),
        ("two", "Bx8", "it returns 2 values, and a network has one output"),
        ("nothing", "Bx8", "it has no layers"),
        ("mlp", "ones:Bx128", "input (ones:Bx128 is not drawn with known moments)"),
        ("Chosen", "Bx8", "no theory: its values decide what it does"),
    ],
)
def test_what_is_no_layer_is_told_and_nothing_is_written(name, inputs, words, capsys):
    arguments = ["trace", f"ownmodels:{name}", "--input", inputs, "-t", "2", "--no-backward"]
    assert cli.run([*arguments, "--as-network", "own.toml", "-o", "run.json"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert f"ownmodels:{name} is no network of layers that snstat knows: {words}" in line
    assert not Path("own.toml").exists()
    assert not Path("run.json").exists()


@pytest.mark.usefixtures("models")
def test_the_name_of_the_file_ends_as_that_of_a_network_file(capsys):
    arguments = ["trace", "ownmodels:mlp", "--input", "Bx128", "--as-network", "own.json"]
    assert cli.run(arguments) == 2
    assert "--as-network is 'own.json'" in capsys.readouterr().err
