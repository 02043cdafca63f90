"""Depthwise and separable convolutions, against plain loops and against plain simulations."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import norm

from snstat.errors import InvalidValueError
from snstat.layers.activation import Activation
from snstat.layers.block import Block
from snstat.layers.conv import Conv
from snstat.layers.dense import Dense
from snstat.layers.depthwise_conv import DepthwiseConv
from snstat.layers.entry import Entry
from snstat.layers.law import GAUSSIAN, OTHER
from snstat.layers.no_theory import NoTheory
from snstat.layers.separable_conv import SeparableConv
from snstat.layers.shape import Shape
from snstat.layers.signal import Signal, Slope
from snstat.layers.window_axis import CAUSAL, PADDINGS
from tests.layers.plain_draw import PlainDraw
from tests.layers.plain_theory import compared_alone
from tests.layers.test_conv import GRIDS, SIZES, plain


class Given(PlainDraw):
    """A Draw whose first matrix and biases are given."""

    def __init__(self, matrix, biases):
        super().__init__(5)
        self.given = matrix, biases

    def matrix(self, weights):
        found = self.given or super().matrix(weights)
        self.given = None
        assert found[0].shape == (weights.fan_out, weights.fan_in)
        return found


@pytest.mark.parametrize("multiplier", [1, 2])
@pytest.mark.parametrize("sizes", SIZES, ids=str)
@pytest.mark.parametrize("padding", PADDINGS)
@pytest.mark.parametrize("grid", GRIDS, ids=str)
def test_values_are_those_of_loops_over_each_channel(grid, padding, sizes, multiplier):
    if padding == CAUSAL and len(grid) > 1:
        return
    random, kernel = np.random.default_rng(0), (sizes["kernel"],) * len(grid)
    x = random.normal(size=(3, 2, *grid))
    weights = random.normal(size=(3, multiplier, *kernel, 1))
    biases = random.normal(size=3 * multiplier)
    layer = DepthwiseConv(multiplier=multiplier, padding=padding, **sizes)
    found = layer.sample([x], Given(weights.reshape(len(biases), -1), biases))
    parts = [plain(x[c : c + 1], weights[c], sizes, padding) for c in range(3)]
    expected = np.concatenate(parts)
    shifted = expected + biases.reshape(-1, *[1] * (x.ndim - 1))
    shape = layer.shape([Shape(3, grid)])
    assert found.values.shape == (shape.channels, 2, *shape.grid)
    np.testing.assert_allclose(found.values, shifted, rtol=1e-13, atol=1e-13)
    # The pull-back is the adjoint.
    slope, towards = random.normal(size=expected.shape), random.normal(size=x.shape)
    moved = [plain(towards[c : c + 1], weights[c], sizes, padding) for c in range(3)]
    assert np.sum(found.pull(slope)[0] * towards) == pytest.approx(
        np.sum(slope * np.concatenate(moved)), rel=1e-11
    )


def test_a_separable_convolution_is_the_two_layers():
    """Values, gradients and theory are those of a depthwise and a dense layer in order."""
    keys = {"weight_gain": 1.3, "bias_std": 0.4}
    layer = SeparableConv(channels=4, kernel=3, stride=2, activation="relu", **keys)
    first = DepthwiseConv(kernel=3, stride=2, **keys)
    pair = Block((Entry(first), Entry(Dense(4, "relu", **keys))))
    x = np.random.default_rng(0).normal(size=(6, 2, 5, 3))
    one, other = (own.sample([x], PlainDraw(3)) for own in (layer, pair))
    np.testing.assert_array_equal(one.values, other.values)
    np.testing.assert_array_equal(one.pull(one.values)[0], other.pull(other.values)[0])
    shape = Shape(6, (5, 3))
    assert layer.shape([shape]) == pair.shape([shape])
    assert layer.parameters([shape]) == pair.parameters([shape])
    ones = np.ones(15)
    state = Signal(shape, 0.0 * ones, ones, 0.5 * ones, OTHER)
    one, other = (own.moments([state], 2) for own in (layer, pair))
    np.testing.assert_allclose(one.signal.same, other.signal.same, rtol=1e-14)
    np.testing.assert_allclose(one.signal.gap, other.signal.gap, rtol=1e-14)


@pytest.mark.parametrize("pairs", [True, False])
def test_second_moments_of_a_separable_convolution_are_those_of_a_convolution(pairs):
    """With the product of both gains and without biases."""
    root = np.random.default_rng(1).normal(size=(7, 7))
    same, gap = root @ root.T, 0.5 * root @ root.T
    if not pairs:
        same, gap = np.diag(same).copy(), np.diag(gap).copy()
    state = Signal(Shape(6, (7,)), np.zeros(7), same, gap, OTHER)
    one = SeparableConv(channels=4, kernel=3, weight_gain=1.2).moments([state], 3)
    other = Conv(channels=4, kernel=3, weight_gain=1.2**2).moments([state], 3)
    assert one.signal.law == other.signal.law == GAUSSIAN
    np.testing.assert_allclose(one.signal.same, other.signal.same, rtol=1e-13)
    np.testing.assert_allclose(one.signal.gap, other.signal.gap, rtol=1e-13)
    slope = np.random.default_rng(2).normal(size=one.signal.same.shape)
    back, expected = (step.pull(Slope(slope, slope))[0] for step in (one, other))
    scales = math.exp(back.log), math.exp(expected.log)
    np.testing.assert_allclose(scales[0] * back.same, scales[1] * expected.same, rtol=1e-13)


def test_it_has_fewer_weights_than_a_convolution():
    """K²N + N² against K²N², beside the biases of both layers."""
    shape = Shape(16, (5, 5))
    assert SeparableConv(channels=16, kernel=3).parameters([shape]) == 9 * 16 + 16**2 + 2 * 16
    assert Conv(channels=16, kernel=3).parameters([shape]) == 9 * 16**2 + 16


def test_units_are_a_mixture_of_gaussians():
    """Kurtosis 3(1 + 2/k) after Gaussian x at independent positions, so theory of an activation is
    null, until channels are mixed. Tolerance: 5 standard errors over channels."""
    k, channels = 9, 40_000
    x = np.random.default_rng(3).normal(size=(channels, 1, 3, 3))
    layer = DepthwiseConv(kernel=3, padding="valid")
    z = layer.sample([x], PlainDraw(4)).values.ravel()
    fourth = z**4
    error = fourth.std() / math.sqrt(channels)
    assert abs(fourth.mean() - 3.0 * (1.0 + 2.0 / k)) < 5.0 * error < 0.6
    ones = np.ones(9)
    state = Signal(Shape(4, (3, 3)), 0.0 * ones, ones, ones, GAUSSIAN)
    own = layer.moments([state], 2).signal
    assert own.law == OTHER
    assert isinstance(Activation("relu").moments([own], 2), NoTheory)
    assert isinstance(DepthwiseConv(kernel=3, activation="relu").moments([state], 2), NoTheory)
    assert DepthwiseConv(kernel=3, activation="identity").moments([state], 2) is not None
    assert Dense(4, "relu").moments([own], 2).signal.known


def test_theory_of_standardized_weights_is_null():
    ones = np.ones(7)
    state = Signal(Shape(4, (7,)), 0.5 * ones, ones, ones, GAUSSIAN)
    for layer in (DepthwiseConv(kernel=3), SeparableConv(channels=4, kernel=3)):
        assert not isinstance(layer.moments([state], 2), NoTheory)
        assert layer.turned("weights", "normalized").moments([state], 2) is not None
        assert isinstance(layer.turned("weights", "standardized").moments([state], 2), NoTheory)


def test_units_are_not_independent_of_their_channel():
    """x and w ∗ x have a common draw, so theory does not take their product for independent."""
    state = Signal(Shape(4, (7,)), np.zeros(7), np.ones(7), np.ones(7), GAUSSIAN)
    found = DepthwiseConv(kernel=3).moments([state], 2).signal
    assert found.fresh > state.fresh
    assert not SeparableConv(channels=4, kernel=3).moments([state], 2).signal.fresh & state.fresh


@pytest.mark.parametrize("form", ["plain", "normalized"])
@pytest.mark.parametrize("init", ["he_normal", "torch_default"])
def test_theory_of_two_separable_layers_is_what_plain_simulations_tend_to(init, form):

    def build(width):
        # Biases of torch_default depend on the width, these do not.
        keys = {"kernel": 3, "activation": "relu", "weights": form, "init": init, "bias_std": 0.3}
        one = Entry(SeparableConv(channels=width, **keys))
        return Block((one, one))

    compared_alone(build, (4, 3), 4 * 4 * 12)


@pytest.mark.parametrize(
    ("layer", "shape", "words"),
    [
        (DepthwiseConv(kernel=3), Shape(4), "grid"),
        (DepthwiseConv(kernel=9, padding="valid"), Shape(4, (7,)), "at most 7"),
        (DepthwiseConv(kernel=1, weights="standardized"), Shape(4, (7,)), "one input"),
        (SeparableConv(channels=2, kernel=[3, 3]), Shape(4, (7,)), "kernel"),
        (SeparableConv(channels=2, kernel=3, weights="standardized"), Shape(1, (7,)), "one input"),
    ],
)
def test_what_does_not_fit_is_refused(layer, shape, words):
    with pytest.raises(InvalidValueError, match=words):
        layer.shape([shape])


def test_every_channel_gives_one_or_more():
    with pytest.raises(InvalidValueError, match="multiplier is 0"):
        DepthwiseConv(kernel=3, multiplier=0)


@pytest.mark.parametrize("square", [2.0, 0.3])
def test_gradients_of_weights_are_those_of_the_two_layers(square):
    """G_p² c_out/c_in E[φ'²] for the first matrix, and E[φ'²] E[y²]/E[x²] for the second one."""
    layer = SeparableConv(channels=8, kernel=3, activation="relu", weight_gain=1.5, bias_std=0.2)
    between = 1.5**2 * square + 0.2**2
    found = layer.slopes(Shape(4, (7,)), 0.5, square)
    assert found == pytest.approx((0.5 * 1.5**2 * 8 / 4, 0.5 * between / square), rel=1e-12)


def test_standardized_weights_of_the_second_layer_act_on_units_without_a_mean():
    """Those of the first one lose the mean of x: E[z²] is G² (G² Var x + b²) + b²."""
    keys = {"weights": "standardized", "weight_gain": 0.7, "bias_std": 0.2}
    layer = SeparableConv(channels=8, kernel=3, activation="tanh", **keys)
    between = 0.7**2 * (2.0 - 0.5**2) + 0.2**2
    std = math.sqrt(0.7**2 * between + 0.2**2)
    steep = quad(lambda z: norm.pdf(z) / math.cosh(std * z) ** 4, -12.0, 12.0)[0]
    found = layer.slopes(Shape(4, (7,)), 0.5, 2.0)
    assert found == pytest.approx((steep * 0.7**2 * 8 / 4, steep * between / 2.0), rel=1e-9)
