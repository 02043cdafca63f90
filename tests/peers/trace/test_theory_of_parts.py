"""Theory beside traces of gates, and of parts of channels and positions."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

import snstat
from snstat import layers as L  # noqa: N812  # as its page writes it
from tests.peers.trace.own_modules import entries, own
from tests.peers.trace.test_theory import ends

pytestmark = pytest.mark.peers

INPUT = "Bx6x64"


@pytest.mark.parametrize(
    ("gate", "expected"),
    [
        (lambda x: functional.glu(x, -1), ("sigmoid", 1)),
        (lambda x: x.chunk(2, -1)[0] * functional.silu(x.chunk(2, -1)[1]), ("silu", 1)),
        (lambda x: functional.gelu(x.split(64, -1)[0]) * x.split(64, -1)[1], ("gelu", 0)),
        (lambda x: x[..., :64] * torch.sigmoid(x[..., 64:]), ("sigmoid", 1)),
    ],
    ids=["glu", "silu", "gelu", "slices"],
)
def test_gates_of_the_halves_of_a_layer(gate, expected):
    """Second moments and gradients are those at any width: |t| < 4.5 of 31 degrees of freedom."""
    name, half = expected
    make = own(
        lambda m, x: m.out(gate(m.up(x))),
        up=lambda: nn.Linear(64, 128), out=lambda: nn.Linear(64, 64),
    )  # fmt: skip
    _, found = entries(make, INPUT)
    layers = [entry.layer for entry in found]
    bounds = {(layer.start, layer.stop) for layer in layers if isinstance(layer, L.Slice)}
    assert bounds == {(0, 64), (64, 128)}
    (acts,) = [entry for entry in found if isinstance(entry.layer, L.Activation)]
    assert acts.layer.activation == name
    assert found[acts.inputs[0] - 1].layer.start == 64 * half
    assert isinstance(layers[-2], L.Multiply)
    run = snstat.trace(make, "Bx6x64", trials=32, batch=8, seed=1)
    for statistic in ("second_moment", "gradient"):
        one = run.statistics[statistic]
        off = np.abs(one.estimate - one.theory)[1:]
        assert (off <= 4.5 * np.nan_to_num(one.stderr[1:]) + 0.01 * one.theory[1:]).all()


@pytest.mark.parametrize(
    ("forward", "inputs", "expected"),
    [
        (lambda m, x: m.b(m.a(x)[:, -1]), INPUT, ["dense", "crop", "flatten", "dense"]),
        (lambda m, x: m.b(m.a(x)[:, 1:4].mean(1)), INPUT,
         ["dense", "crop", "global_mean_pool", "dense"]),
        (lambda m, x: m.b(m.a(x).transpose(1, 2).narrow(2, 0, 2).mT), INPUT,
         ["dense", "crop", "dense"]),
        (lambda m, x: m.b(m.a(x)[:, 2]), "Bx6x5x64", ["dense", "crop", "dense"]),
        (lambda m, x: m.b(m.a(x)[:, 1:4, 2:]), "Bx6x5x64", ["dense", "crop", "crop", "dense"]),
    ],
    ids=["last", "some", "narrow", "row", "middle"],
)  # fmt: skip
def test_parts_of_the_positions(forward, inputs, expected):
    """With an encoder in front, positions differ, and are told apart by the theory of pairs."""
    make = own(forward, a=lambda: nn.Linear(64, 64), b=lambda: nn.Linear(64, 32))
    run, found = entries(make, inputs)
    assert [entry.layer.kind for entry in found] == expected
    assert run["Own"].statistics["second_moment"].theory is not None


def test_the_last_position_of_a_causal_convolution():
    """|t| < 4.5 of 47 degrees of freedom; the seed is fixed."""
    make = own(
        lambda m, x: m.head(m.a(functional.pad(x, (2, 0))).relu()[..., -1]),
        a=lambda: nn.Conv1d(64, 64, 3), head=lambda: nn.Linear(64, 64),
    )  # fmt: skip
    run = snstat.trace(make, "Bx64x5", trials=48, batch=8, seed=1)
    assert ends(run) == []
    for name in ("second_moment", "gradient"):
        one = run.statistics[name]
        there = np.isfinite(one.estimate) & np.isfinite(one.theory)
        off = np.abs(one.estimate - one.theory)[there]
        assert there.sum() >= 3
        assert (off <= 4.5 * np.nan_to_num(one.stderr[there]) + 0.01 * one.theory[there]).all()


def test_what_is_joined_to_nothing_stays():
    """As keys are to an empty cache."""

    def forward(m, x):
        y = m.one(x)
        return m.two(torch.cat([torch.zeros(0), y], -1))

    _, found = entries(
        own(forward, one=lambda: nn.Linear(16, 16), two=lambda: nn.Linear(16, 4)), "Bx16"
    )
    assert [type(entry.layer) for entry in found] == [L.Dense, L.Dense]
    assert [entry.inputs for entry in found] == [(0,), (1,)]
