"""Statistics of networks to first order in 1/width, against those of uniform stacks."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from snstat.experiment.inputs import DrawnInputs
from snstat.layers.block import Block
from snstat.layers.dense import Dense
from snstat.layers.dropout import Dropout
from snstat.layers.highway import Highway
from snstat.layers.layer_norm import LayerNorm
from snstat.layers.scale import Scale
from snstat.layers.shape import Shape
from snstat.network.network import Network
from snstat.network.stack import Stack
from snstat.theory.expected import expected_statistics
from snstat.theory.finite_width import finite_width
from snstat.theory.predict import predict
from snstat.theory.walk import walk

NAMES = ("mean", "variance", "second_moment", "variance_over_units")


def drawn(width, batch=8, mean=0.3, std=1.0):
    return DrawnInputs("normal", width, batch, mean, std).moments()


def of(network, batch, inputs):
    walked = walk(network, batch, inputs)
    return expected_statistics(walked, batch, inputs)


@pytest.mark.parametrize("batch", [1, 8])
@pytest.mark.parametrize(
    "stack",
    [
        Stack.build("selu", 100, 64),
        Stack.build("relu", 20, 50, init="he_uniform", input_width=30),
        Stack.build("relu", 200, 16),  # beyond first order, and beyond what is told
        Stack.build("tanh", 30, 40, init="torch_default"),
        Stack.build("gelu", 12, 128, init="orthogonal", bias_std=0.2),
        Stack.build("tanh", widths="30,60*20,20*50,5", last="linear"),
        Stack.build("relu", 10, 8, weight_gain=0.0),
    ],
    ids=lambda stack: f"{stack.activation}-{stack.init}-{stack.width}",
)
def test_what_is_expected_is_that_of_stacks(stack, batch):
    """Tolerance: states differ by rounding, which derivatives of expectations multiply. Moments of
    pairs of samples, which are the network's own for a batch, are interpolated along stacks."""
    inputs = drawn(stack.width_of(0), batch)
    theory = predict(stack, batch, inputs)
    known = finite_width(stack, batch, inputs, theory)
    found = of(Network.of(stack), batch, inputs)
    assert found.keys() == set(NAMES)
    size = np.sqrt(theory.statistics["second_moment"])
    for name, (expected, residual) in found.items():
        unit = size if name == "mean" else size**2
        for mine, theirs in (
            (expected, known.expected[name]),
            (residual, known.residual[name]),
        ):
            assert np.array_equal(np.isnan(mine), np.isnan(theirs)), name
            there = np.isfinite(theirs)
            off = np.abs(mine[there] - theirs[there])
            close = 1e-6 if name == "variance" and batch > 1 else 1e-9
            assert (off <= close * unit[there] + 1e-8 * np.abs(theirs[there])).all(), name


def test_scaled_inputs_on_a_grid_are_expected_to_be_inputs_times_a_factor():
    """What inputs are expected to show is exact: independent values, at several positions."""
    shape = Shape(5, (2, 3))
    found = of(Network(shape, Block((Scale(2.0), Scale(0.5)))), 4, drawn(shape.units, 4))
    for name, (expected, residual) in found.items():
        factors = np.array([1.0, 2.0, 1.0] if name == "mean" else [1.0, 4.0, 1.0])
        np.testing.assert_allclose(expected, factors * expected[0], rtol=1e-12)
        np.testing.assert_allclose(residual, 0.0, atol=1e-12)
    # The mean over the 5 channels of a position has a fifth of the variance of a value.
    assert found["variance_over_units"][0][1] == pytest.approx(4.0 * 4 / 5, rel=1e-12)


def test_nothing_is_expected_after_a_kind_without_first_order():
    layers = Dense(64, "relu"), LayerNorm(), Dropout(0.2), Dense(64), Highway("tanh"), Dense(64)
    found = of(Network(Shape(64), Block(layers)), 1, drawn(64))
    known = [True] * 5 + [False] * 2
    for expected, residual in found.values():
        assert np.isfinite(expected).tolist() == known
        assert np.isfinite(residual).tolist() == known


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("second_moment", {"bias": -1.5}),
        ("variance", {"mean_variance": 3.0}),
        ("variance_over_units", {"mean_variance": 3.0}),
    ],
)
def test_what_no_network_can_have_is_not_expected(name, changes):
    """A square less than 0. Where theory is known, it may then be off by as much."""
    layers, inputs = Block((Dense(64, "relu"), Dense(64, "relu"))), drawn(64, 1)
    walked = walk(Network(Shape(64), layers), 1, inputs)
    plain = expected_statistics(walked, 1, inputs)
    assert np.isfinite(plain[name][0]).all()
    theory = {"second_moment": walked.second_moment, "variance_over_units": walked.over_units}
    theory["variance"] = walked.second_moment - walked.mean**2
    moved = replace(walked, **{key: np.full(3, value) for key, value in changes.items()})
    expected, residual = expected_statistics(moved, 1, inputs)[name]
    assert np.isfinite(expected).tolist() == [True, False, False]
    # What is neglected, and at least all that first order would change: more than theory itself.
    assert (residual[1:] > theory[name][1:]).all()
