"""Rows that merge samples with positions: read only where they come sample by sample."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from tests.peers.trace.models import Windows
from tests.peers.trace.test_axes import roles
from tests.peers.trace.tracing import trace, untouched

pytestmark = pytest.mark.peers


class Flattened(nn.Module):
    """Rows of all samples and times together, one way or the other, or sorted by their size."""

    def __init__(self, how="samples"):
        super().__init__()
        self.how, self.inner, self.drop = how, nn.Linear(8, 6), nn.Dropout(0.5)

    def forward(self, x):
        if self.how == "times":
            x = x.transpose(0, 1)
        rows = x.reshape(-1, x.shape[-1])
        if self.how == "sorted":
            rows = rows[rows[:, 0].argsort()]
        return self.drop(self.inner(rows)).sum()


@pytest.mark.parametrize("ops", [False, True])
@pytest.mark.parametrize(("how", "axes"), [("samples", "SP,U"), ("times", None), ("sorted", None)])
def test_rows_that_mix_samples_are_pooled(how, axes, ops):
    """Dropout, which is at random, does not hide their order."""
    torch.manual_seed(0)
    model = Flattened(how)
    with untouched(model):
        rows = trace(model, ["Bx5x8"], trials=1, ops=ops)
    assert roles(rows)["inner"] == roles(rows)["drop"] == axes
    if ops:
        assert roles(rows)["inner:linear"] == axes
    assert np.isnan(rows["inner"]["cosine"]).all() == (axes is None)
    assert (rows["inner"]["second_moment"] > 0).all()


def test_the_batch_may_be_another_axis_of_the_input():
    """Of inputs (time, sample, unit), rows come time by time."""
    rows = trace(Flattened, ["5xBx8"], trials=1)
    assert roles(rows)["inner"] is None
    rows = trace(lambda: Flattened("times"), ["5xBx8"], trials=1)
    assert roles(rows)["inner"] == "SP,U"


class InTrainMode(Flattened):
    """Fails, or leaves a call out, where its order is looked at."""

    def __init__(self, kind):
        super().__init__()
        self.kind = kind

    def forward(self, x):
        if self.training:
            return super().forward(x)
        if self.kind == "fails":
            raise RuntimeError("in train mode only")
        return x.sum()


@pytest.mark.parametrize("kind", ["fails", "leaves out"])
def test_an_order_that_is_not_known_is_none(kind):
    rows = trace(lambda: InTrainMode(kind), ["Bx5x8"], trials=1)
    assert roles(rows)["inner"] is None


def test_it_costs_nothing_where_nothing_is_merged(monkeypatch):
    asked = []
    monkeypatch.setattr("snstat.sources.torch.probe.mixed", lambda *_a, **_n: asked.append(1))
    trace(lambda: nn.Linear(8, 8), ["Bx5x8"], trials=1)
    assert not asked
    monkeypatch.setattr("snstat.sources.torch.probe.mixed", lambda *_a, **_n: asked.append(1) or ())
    trace(Windows, ["Bx12x8"], trials=1)
    assert asked == [1]


@pytest.mark.parametrize("dtype", ["float64", "bfloat16", "float16"])
def test_rounding_is_no_other_order(dtype):
    rows = trace(Windows, ["Bx12x8"], trials=1, dtype=dtype)
    assert roles(rows)["inner"] == "SP,P,U"
