"""Theory beside traces of recurrent modules, and the layers that they are."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

import snstat
from snstat import layers as L  # noqa: N812  # as its page writes it
from tests.peers.trace.own_modules import own, theory_of, traced
from tests.peers.trace.test_theory import ends

pytestmark = pytest.mark.peers

INPUT = "Bx6x32"


def read(module, how, width=64, **options):
    """Return what makes a recurrent module, and a linear layer after what it returns."""
    reads = {
        "all": lambda units, _: units,
        "last": lambda units, _: units[:, -1],
        "state": lambda _, states: states[0],
        "mean": lambda units, _: units.mean(1),
    }[how]
    return own(
        lambda m, x: m.head(reads(*m.cell(x))),
        cell=lambda: module(32, width, batch_first=True, **options),
        head=lambda: nn.Linear(width, 16),
    )


@pytest.mark.parametrize(
    ("module", "options", "expected"),
    [
        (nn.RNN, {}, [L.Elman(width=64, init="torch_default")]),
        (nn.RNN, {"nonlinearity": "relu", "bias": False},
         [L.Elman(width=64, init="torch_default", bias_std=0.0, activation="relu")]),
        (nn.RNN, {"num_layers": 2, "dropout": 0.2},
         [L.Elman(width=64, init="torch_default"), L.Dropout(0.2),
          L.Elman(width=64, init="torch_default")]),
        (nn.LSTM, {"num_layers": 2}, [L.Lstm(width=64, init="torch_default")] * 2),
        (nn.GRU, {}, [L.Gru(width=64, init="torch_default")]),
    ],
    ids=["tanh", "relu", "two", "lstm", "gru"],
)  # fmt: skip
@pytest.mark.parametrize("how", ["all", "last"])
def test_modules_are_layers(module, options, expected, how):
    settings = {"inputs": INPUT, "trials": 2, "batch": 4, "backward": False}
    plan = snstat.experiment.trace
    _, mapped = plan.TracePlan(
        read(module, how, **options), plan.TraceSettings(**settings)
    ).traced()
    found = [entry.layer for entry in mapped.entries]
    after = [L.Crop(5, 6), L.Flatten()] if how == "last" else []
    assert found == [*expected, *after, L.Dense(16, init="torch_default")]


@pytest.mark.parametrize("how", ["all", "last", "state", "mean"])
def test_an_elman_network_agrees_with_theory(how):
    """Second moments are off by up to a few percent of 1/width; means over times need pairs of
    them, which shared weights correlate. |t| < 4.5 of 47 degrees of freedom; the seed is fixed."""
    run = snstat.trace(read(nn.RNN, how, width=128), INPUT, trials=48, batch=8, seed=1)
    last = run["head"].statistics["second_moment"]
    if how == "mean":
        assert last.theory is None
        return
    assert ends(run) == []
    assert abs(last.estimate - last.theory) < 4.5 * last.stderr + 0.03 * last.theory
    path = "cell[1]" if how == "state" else "cell[0]"
    for name in ("second_moment", "gradient"):
        found = run[path].statistics[name]
        assert abs(found.estimate - found.theory) < 4.5 * found.stderr + 0.03 * found.theory, name
    first = run.statistics["gradient"]
    assert abs(first.estimate[0] / first.theory[0] - 1.0) < 0.1


def test_units_that_are_used_twice_have_no_gradient_of_their_own():
    """What a module returns for all times, and for the last one, are two tensors."""

    def both(m, x):
        units, last = m.cell(x)
        return m.head(units) * torch.tanh(last[0]).mean()

    make = own(
        both,
        cell=lambda: nn.RNN(32, 64, batch_first=True), head=lambda: nn.Linear(64, 16),
    )  # fmt: skip
    run = theory_of(make, INPUT)
    assert run["cell[0]"].statistics["gradient"].theory is None


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (
            own(
                lambda m, x: m.cell(x)[0],
                cell=lambda: nn.GRU(32, 32, batch_first=True, bidirectional=True),
            ),
            "it reads backwards too",
        ),
        (
            own(
                lambda m, x: m.cell(x, torch.ones(1, x.shape[0], 64))[0],
                cell=lambda: nn.RNN(32, 64, batch_first=True),
            ),
            "its first states are not 0",
        ),
        (
            own(lambda m, x: m.cell(x)[0], cell=lambda: nn.RNN(32, 64)),
            "its times are along another axis",
        ),
        (
            own(
                lambda m, x: m.cell(x)[1][1],
                cell=lambda: nn.RNN(32, 64, num_layers=2, batch_first=True),
            ),
            "it takes states of a cell, or of several layers",
        ),
        (lambda: orthogonal(nn.RNN(32, 64, batch_first=True)), "its weights fit no named"),
    ],
    ids=["both ways", "start", "first", "states", "orthogonal"],
)
def test_others_end_theory(make, reason):
    (end,) = ends(theory_of(make, INPUT, backward=False))
    assert end[2].startswith(reason)


def orthogonal(module):
    nn.init.orthogonal_(module.weight_hh_l0)
    return module


def test_the_network_of_an_lstm_has_its_statistics():
    """|t| < 4.5 of about 94 degrees of freedom, of few numbers; the seeds are fixed."""
    run, network = traced(read(nn.LSTM, "last"), INPUT, trials=48, batch=8, seed=1)
    other = snstat.propagate(network, trials=48, batch=8, seed=2)
    one, two = run["head"].statistics["second_moment"], other.statistics["second_moment"]
    error = np.hypot(one.stderr, two.stderr[-1])
    assert abs(one.estimate - two.estimate[-1]) < 4.5 * error
