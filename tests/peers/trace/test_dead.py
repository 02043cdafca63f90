"""Dead units and saturated values of activation modules, against their derivatives by autograd."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from snstat.engine.tensor import MEASURED_OF_TENSORS
from snstat.results.module import Axes
from snstat.sources.torch.measure import measure_tensor
from snstat.sources.torch.still import STILL, still_of
from tests.peers.trace.tracing import trace

pytestmark = pytest.mark.peers

AXES = Axes((0,), (), (1,), "given")
BOUNDED = (nn.ReLU6, nn.Hardtanh, nn.Hardsigmoid, nn.Tanh, nn.Sigmoid, nn.Softsign)


@pytest.mark.parametrize("kind", list(STILL), ids=lambda kind: kind.__name__)
def test_units_are_dead_where_the_derivative_is_0(kind):
    module = kind()
    x = 4 * torch.randn(20, 12, generator=torch.Generator().manual_seed(0))
    x[:, 3], x[:, 7], x[:, 9] = -200.0, 30.0, -1.0
    x[5:, 11] = -200.0
    x.requires_grad_()
    y = module(x)
    (slope,) = torch.autograd.grad(y.sum(), x)
    found = dict(
        zip(MEASURED_OF_TENSORS, measure_tensor(y, AXES, 20, still_of(module))[1], strict=True)
    )
    assert found["dead_fraction"] == (slope == 0).all(0).double().mean().item()
    if kind in BOUNDED:
        largest = 1 / 4 if kind is nn.Sigmoid else 1 / 6 if kind is nn.Hardsigmoid else 1
        share = (slope < largest / 100).double().mean().item()
        assert found["saturated_fraction"] == share
    else:
        assert np.isnan(found["saturated_fraction"])


def test_other_units_are_dead_if_they_are_constant():
    def network():
        model = nn.Linear(8, 4)
        model.weight.data[1] = 0
        return nn.Sequential(model, nn.ReLU(), nn.LeakyReLU())

    rows = trace(network, ["Bx8"], batch=64)
    assert (rows["0"]["dead_fraction"] == 0.25).all()
    assert (rows["1"]["dead_fraction"] <= 0.25).all()
    assert (rows["2"]["dead_fraction"] == 0).all()
