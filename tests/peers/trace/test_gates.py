"""Gates of modules: no rule judges what is only a factor of other values, or leads to one."""

from __future__ import annotations

import json

import pytest
import torch
from jsonschema import Draft202012Validator
from torch import nn

import snstat
from snstat.files.schema import schema
from snstat.results import Run

pytestmark = pytest.mark.peers

CHANNELS = 32
IMAGES = f"Bx{CHANNELS}x8x8"


class Squeezed(nn.Module):
    """Squeeze and excitation, which multiplies x, or is `alone` a signal."""

    def __init__(self, *, alone=False):
        super().__init__()
        self.down, self.act = nn.Linear(CHANNELS, 8), nn.ReLU()
        self.up, self.gate, self.alone = nn.Linear(8, CHANNELS), nn.Sigmoid(), alone
        self.conv, self.relu = nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1), nn.ReLU()

    def forward(self, x):
        x = self.relu(self.conv(x))
        y = self.gate(self.up(self.act(self.down(x.mean((2, 3))))))
        return y if self.alone else x * y[:, :, None, None]


class Cell(nn.Module):
    """A GRU cell of one's own: gates z and r, of which 1 − z is one too."""

    def __init__(self, width=16):
        super().__init__()
        self.gates, self.new = nn.Linear(2 * width, 2 * width), nn.Linear(2 * width, width)
        self.sigmoid, self.tanh = nn.Sigmoid(), nn.Tanh()

    def forward(self, x):
        h = torch.zeros_like(x[:, 0])
        for one in x.unbind(1):
            z, r = self.sigmoid(self.gates(torch.cat([one, h], -1))).chunk(2, -1)
            n = self.tanh(self.new(torch.cat([one, r * h], -1)))
            h = (1 - z) * n + z * h
        return h


class Plain(nn.Module):
    """Sigmoids that are a signal."""

    def __init__(self):
        super().__init__()
        self.first, self.sigmoid, self.last = nn.Linear(16, 16), nn.Sigmoid(), nn.Linear(16, 4)

    def forward(self, x):
        return self.last(2.0 * self.sigmoid(self.first(x)) - 1.0)


class Weighed(nn.Module):
    """Sigmoids that a matrix of the module's own reads, and its scale multiplies."""

    def __init__(self):
        super().__init__()
        self.first, self.sigmoid = nn.Linear(16, 16), nn.Sigmoid()
        self.weights, self.scale = nn.Parameter(torch.randn(16, 4)), nn.Parameter(torch.ones(16))

    def forward(self, x):
        return (self.scale * self.sigmoid(self.first(x))) @ self.weights


class Product(nn.Module):
    """Two sigmoids of which both are gates: of nothing but each other."""

    def __init__(self):
        super().__init__()
        self.first, self.second, self.sigmoid = nn.Linear(8, 8), nn.Linear(8, 8), nn.Sigmoid()

    def forward(self, x):
        return self.sigmoid(self.first(x)) * self.sigmoid(self.second(x))


def gates(model, inputs, **options):
    run = snstat.trace(model, inputs, trials=2, batch=4, **options)
    return run, [row.name for row in run.module.rows if row.gate]


def test_squeeze_and_excitation_is_no_signal():
    run, found = gates(Squeezed, IMAGES)
    assert found == ["down", "act", "up", "gate"]
    judged = [run.row(n).name for n in run.module.main]
    assert judged == ["input", "relu", "Squeezed"]
    check = snstat.check(Squeezed, inputs=IMAGES)
    assert check.passed, check.findings
    assert "rows that only make gates are not judged: down, act, up, gate" in check.notes


def test_a_signal_that_ends_in_a_sigmoid_is_judged():
    """Its inputs become alike, as means over positions do."""
    run, found = gates(lambda: Squeezed(alone=True), IMAGES)
    assert found == []
    assert "gate" in [run.row(n).name for n in run.module.main]
    check = snstat.check(lambda: Squeezed(alone=True), inputs=IMAGES)
    assert [finding.code for finding in check.findings] == ["SN301"]


def test_gates_of_a_cell():
    run, found = gates(Cell, "Bx3x16")
    assert found == [f"{name}#{n}" for n in (1, 2, 3) for name in ("gates", "sigmoid")]
    judged = [run.row(n).name for n in run.module.main]
    assert judged == ["input", "tanh#1", "tanh#2", "tanh#3", "Cell"]


@pytest.mark.parametrize(
    ("model", "inputs"), [(Plain, "Bx16"), (Weighed, "Bx16"), (Product, "Bx8")]
)
def test_what_is_no_gate_of_another_signal(model, inputs):
    assert gates(model, inputs)[1] == []


def test_functions_are_gates_too():
    _, found = gates(Cell, "Bx3x16", ops=True)
    assert {"Cell:cat#1", "gates:linear#1", "sigmoid:sigmoid#1"} <= {*found}
    assert not any("tanh" in name or "mul" in name for name in found)


def test_gates_are_saved(tmp_path):
    run, found = gates(Squeezed, IMAGES)
    snstat.save(run, tmp_path / "run.json")
    form = json.loads((tmp_path / "run.json").read_text())
    Draft202012Validator(schema("propagation")).validate(form)
    again = snstat.load(tmp_path / "run.json")
    assert isinstance(again, Run)
    assert [row.name for row in again.module.rows if row.gate] == found
    assert again.module.main == run.module.main
