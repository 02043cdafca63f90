"""Transposed convolutions, against plain loops."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from scipy.stats import kstest

from snstat.errors import InvalidValueError
from snstat.layers.activation import Activation
from snstat.layers.biases import NUMBERS, biases_from
from snstat.layers.block import Block
from snstat.layers.conv_transpose import ConvTranspose
from snstat.layers.entry import Entry
from snstat.layers.initialisers import INITIALISERS
from snstat.layers.law import GAUSSIAN, OTHER
from snstat.layers.no_theory import NoTheory
from snstat.layers.shape import Shape
from snstat.layers.signal import Signal, Slope
from snstat.layers.weights import Weights
from tests.layers.plain_draw import PlainDraw
from tests.layers.plain_theory import compared_alone
from tests.layers.test_conv import Given

GRIDS = [(4,), (4, 3)]
SIZES = [(3, 1), (3, 2), (2, 2), (1, 1), (4, 2), (2, 3)]
ONES = pytest.mark.parametrize(("kernel", "stride"), SIZES)


def layer(kernel, stride, channels=4, **others):
    return ConvTranspose(channels=channels, kernel=kernel, stride=stride, **others)


def plain(x, weights, stride):
    """Return what all positions of x (channels, batch, *grid) put down, by loops; weights are
    (*kernel, out, channels)."""
    axes = x.ndim - 2
    kernel = weights.shape[:axes]
    sizes = [(n - 1) * stride + k for n, k in zip(x.shape[2:], kernel, strict=True)]
    z = np.zeros((weights.shape[-2], x.shape[1], *sizes))
    for place in itertools.product(*map(range, x.shape[2:])):
        for tap in itertools.product(*map(range, kernel)):
            at = tuple(stride * p + t for p, t in zip(place, tap, strict=True))
            z[(..., *at)] += weights[tap] @ x[(..., *place)]
    return z


CROPS = pytest.mark.parametrize(("crop", "crop_end"), [(0, None), (1, None), (1, 0), (0, 1)])


def cropped(values, crop, crop_end, axes):
    """Return values without positions at the ends of the last axes."""
    last = crop if crop_end is None else crop_end
    return values[(..., *[slice(crop, size - last) for size in values.shape[-axes:]])]


@ONES
@CROPS
@pytest.mark.parametrize("grid", GRIDS, ids=str)
def test_values_are_those_of_loops(grid, kernel, stride, crop, crop_end):
    random = np.random.default_rng(0)
    x = random.normal(size=(6, 2, *grid))
    weights = random.normal(size=((kernel,) * len(grid)) + (4, 6))
    own = layer(kernel, stride, crop=crop, crop_end=crop_end)
    found = own.sample([x], Given([weights.reshape(-1, 6)]))

    def loops(values):
        return cropped(plain(values, weights, stride), crop, crop_end, len(grid))

    expected = loops(x)
    assert expected.shape[2:] == own.shape([Shape(6, grid)]).grid
    np.testing.assert_allclose(found.values, expected, rtol=1e-13, atol=1e-13)
    # The pull-back is the adjoint.
    slope, towards = random.normal(size=expected.shape), random.normal(size=x.shape)
    assert np.sum(found.pull(slope)[0] * towards) == pytest.approx(
        np.sum(slope * loops(towards)), rel=1e-11
    )


def test_each_axis_has_its_own_sizes():
    x, weights = np.ones((1, 1, 2, 3)), np.ones((3, 1, 2, 1))
    found = layer((3, 1), (2, 4), 2).sample([x], Given([weights.reshape(-1, 1)]))
    assert found.values.shape == (2, 1, 5, 9)
    rows = np.array([1.0, 1.0, 2.0, 1.0, 1.0])
    columns = np.array([1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0])
    np.testing.assert_array_equal(found.values[1, 0], np.outer(rows, columns))


def test_one_bias_is_added_to_every_position():
    """Whatever number of taps meets there."""
    own = layer(3, 2, 5, bias_std=0.5, weight_gain=0.0)
    draw = PlainDraw(3)
    found = own.sample([np.ones((2, 3, 4))], draw).values
    again = PlainDraw(3)
    again.linear(np.ones((2, 1)), own.matrices([Shape(2, (4,))])[0])
    expected = biases_from(again.uniform((NUMBERS, 5)), own.at(Shape(2, (4,))))
    np.testing.assert_array_equal(found, np.broadcast_to(expected[:, None, None], (5, 3, 9)))


@pytest.mark.parametrize("distribution", ["normal", "uniform"])
def test_biases_have_their_distribution(distribution):
    weights = Weights(1, 1, "normal", 1.0, distribution, 0.7)
    found = biases_from(np.random.default_rng(0).random((NUMBERS, 20000)), weights) / 0.7
    root = math.sqrt(3.0)
    law = ("uniform", (-root, 2.0 * root)) if distribution == "uniform" else ("norm", ())
    assert np.std(found) == pytest.approx(1.0, abs=4.0 / math.sqrt(2.0 * 20000.0))
    assert kstest(found, *law).pvalue > 1e-3  # of one seed, so that it does not change


def slopes(found):
    """Return E[δδ'] of a slope."""
    return math.exp(found.log) * found.same


@ONES
@CROPS
@pytest.mark.parametrize("pairs", [True, False])
def test_second_moments_count_the_taps_that_meet(kernel, stride, crop, crop_end, pairs):
    """By loops over positions and taps, both of a pair with the same tap."""
    size, random = 4, np.random.default_rng(1)
    root = random.normal(size=(size, size))
    same, gap = root @ root.T, 0.5 * root @ root.T
    if not pairs:
        same, gap = np.diag(same).copy(), np.diag(gap).copy()
    own = layer(kernel, stride, bias_std=0.5, weight_std=0.3, crop=crop, crop_end=crop_end)
    step = own.moments([Signal(Shape(6, (size,)), np.zeros(size), same, gap, OTHER)], 3)
    after = (size - 1) * stride + kernel

    def moved(products, extra):
        found = np.full((after,) * products.ndim, extra)
        for index in np.ndindex(products.shape):
            for tap in range(kernel):
                found[tuple(stride * u + tap for u in index)] += 6 * 0.09 * products[index]
        return cropped(found, crop, crop_end, found.ndim)

    np.testing.assert_allclose(step.signal.same, moved(same, 0.25), rtol=1e-13)
    np.testing.assert_allclose(step.signal.gap, moved(gap, 0.0), rtol=1e-13, atol=1e-15)
    # The way back is the adjoint, times channels after over channels before.
    slope = random.normal(size=step.signal.same.shape)
    (back,) = step.pull(Slope(slope, slope))
    ahead = np.sum(moved(same, 0.0) * slope)
    assert 4 / 6 * ahead == pytest.approx(np.sum(slopes(back) * same), rel=1e-12, abs=1e-12)


def test_what_is_cropped_leaves_positions():
    for crop, crop_end in ((3, None), (5, 0), ((1, 3), None)):
        own = layer(3, 1, crop=crop, crop_end=crop_end)
        with pytest.raises(InvalidValueError, match="crop at both ends is"):
            own.shape([Shape(2, (3, 3))])


def test_positions_that_no_tap_meets_may_be_cropped():
    """Of a kernel of 1 and a stride of 2 over two positions, the middle one is 0."""
    before = start(64, (2,))
    assert layer(1, 2).moments([before], 2).signal.law == OTHER
    assert layer(1, 2, crop_end=2).moments([start(64, (3,))], 2).signal.law == OTHER
    assert layer(1, 2, crop_end=2).moments([before], 2).signal.law == GAUSSIAN


def start(channels, grid, law=OTHER):
    """Return independent positions and samples with E[x²] = 1."""
    count = math.prod(grid)
    return Signal(Shape(channels, grid), np.zeros(count), np.ones(count), np.ones(count), law)


def test_a_checkerboard_where_the_stride_does_not_divide_the_kernel():
    (q,) = (layer(3, 2, weight_std=0.5).moments([start(8, (4,))], 2).signal.same,)
    np.testing.assert_allclose(q / 2.0, [1, 1, 2, 1, 2, 1, 2, 1, 1], rtol=1e-15)
    q = layer(4, 2, weight_std=0.5).moments([start(8, (4,))], 2).signal.same
    np.testing.assert_allclose(q / 2.0, [1, 1, 2, 2, 2, 2, 2, 2, 1, 1], rtol=1e-15)


@ONES
@pytest.mark.parametrize("init", INITIALISERS)
def test_the_fan_in_of_an_initialiser(init, kernel, stride):
    """Inside, E[x²] of he is doubled and that of lecun stays, on average over positions."""
    before, after = 6, 4
    found = layer(kernel, stride, after, init=init).at(Shape(before, (9, 9)))
    taps, meet = kernel**2, before * kernel**2 / stride**2
    variance = found.square_gain / found.fan_in
    if init == "torch_default":
        assert variance == pytest.approx(1.0 / (3.0 * after * taps), rel=1e-14)
        assert found.bias_std**2 == pytest.approx(1.0 / (3.0 * after * taps), rel=1e-14)
        return
    assert found.bias_std == 0
    expected = {
        "lecun": 1.0 / meet,
        "he": 2.0 / meet,
        "glorot": 2.0 / (meet + after * taps),
        "orthogonal": 1.0 / max(before, after * taps),
    }
    assert variance == pytest.approx(expected[init.split("_")[0]], rel=1e-14)


@pytest.mark.parametrize("init", ["he_normal", "lecun_truncated", "torch_default"])
def test_gains_and_standard_deviations_replace_that_of_the_initialiser(init):
    shape, std = Shape(6, (9,)), 0.02
    found = layer(4, 2, init=init, weight_std=std).at(shape)
    cut = 0.87962566103423975 if init == "lecun_truncated" else 1.0
    assert math.sqrt(found.square_gain / 6) == pytest.approx(std * cut, rel=1e-14)
    found = layer(4, 2, init=init, weight_gain=1.5).at(shape)
    fan_in = 4 * 4 if init == "torch_default" else 6 * 4 / 2
    assert found.square_gain / 6 == pytest.approx(1.5**2 / fan_in, rel=1e-14)


@pytest.mark.parametrize(
    ("form", "activation"), [("plain", "relu"), ("standardized", "relu"), ("normalized", None)]
)
def test_theory_of_two_layers_is_what_plain_simulations_tend_to(form, activation):

    def build(width):
        one = Entry(layer(3, 2, width, weights=form, activation=activation, bias_std=0.2))
        return Block((one, one))

    compared_alone(build, (2, 3), 3 * (3 * 11 * 15 + 6))


def test_positions_that_no_tap_meets_are_zero():
    """Gaussian pre-activations they are not, so nothing is known of an activation."""
    own = layer(1, 2)
    step = own.moments([start(8, (3,), GAUSSIAN)], 2)
    assert step.signal.law == OTHER
    np.testing.assert_array_equal(step.signal.same[1::2], 0.0)
    assert isinstance(
        layer(1, 2, activation="relu").moments([start(8, (3,), GAUSSIAN)], 2), NoTheory
    )
    assert isinstance(Activation("relu").moments([step.signal], 2), NoTheory)
    assert layer(1, 2, bias_std=0.1).moments([start(8, (3,))], 2).signal.law == GAUSSIAN


def test_pairs_of_one_position_are_those_of_all_after_it():
    one = Signal.of_one(Shape(8, (1, 1)), (0.0, 1.0, 0.5), OTHER)
    assert layer(3, 2).moments([one], 2).signal.same.shape == (9, 9)
    assert layer(65, 2).moments([one], 2).signal.same.shape == (65 * 65,)  # too many
    step = layer(65, 2).moments([one], 2)
    (back,) = step.pull(Slope(np.ones(65 * 65), np.ones(65 * 65)))
    # The default keeps E[x²] inside: Var w = s²/(k² · 8), with 4 channels after.
    assert slopes(back).item() == pytest.approx(4 * 65**2 * 4 / (65**2 * 8), rel=1e-12)


@pytest.mark.parametrize("activation", [None, "tanh"])
def test_gradients_of_weights_are_what_plain_simulations_tend_to(activation):
    """The mean over all weights of E(∂L/∂W)², one sample, for a read-out of independent numbers."""
    channels, size, trials = 64, 3, 400
    own = layer(3, 2, channels, activation=activation)
    shape = Shape(channels, (size,))
    (slope,) = own.slopes(shape, 0.0, 1.0)
    after, found = own.shape([shape]), []
    (weights,) = own.matrices([shape])
    for trial in range(trials):
        random = np.random.default_rng(trial)
        matrix = random.normal(size=(weights.fan_out, channels))
        matrix *= math.sqrt(weights.square_gain / channels)
        x = random.normal(size=(channels, 1, size))
        z = own.window(shape).put_back(np.tensordot(matrix, x, 1))
        h = random.normal(size=z.shape)
        if activation is not None:
            h = h / np.cosh(z) ** 2
        # ∂L/∂W of a tap: Σ_u δ(su + Δ) x(u)ᵀ.
        rows = [h[:, 0, tap : tap + 2 * size - 1 : 2] @ x[:, 0].T for tap in range(3)]
        found.append(np.mean(np.square(rows)))
    error = np.std(found, ddof=1) / math.sqrt(trials)
    assert abs(np.mean(found) - slope * after.positions) <= 4.0 * error
    assert error < 0.01 * slope * after.positions


@pytest.mark.parametrize(
    ("own", "shape", "words"),
    [
        (layer(3, 2), Shape(4), "grid"),
        (layer([3, 3], 2), Shape(4, (7,)), "kernel"),
        (layer(3, [2, 2]), Shape(4, (7,)), "stride"),
        (layer(3, 2**20), Shape(4, (2**10, 2**10)), "grid"),
        (layer(3, 2, weights="standardized"), Shape(1, (7,)), "one input"),
    ],
)
def test_what_does_not_fit_is_refused(own, shape, words):
    with pytest.raises(InvalidValueError, match=words):
        own.shape([shape])


def test_weights_are_counted():
    own, shape = layer((3, 2), 2, 8), Shape(6, (5, 4))
    assert own.parameters([shape]) == 6 * 8 * 6 + 8
    assert own.matrices([shape])[0].fan_in == 6
    assert own.matrices([shape])[0].fan_out == 48
    assert own.columns([shape]) == 20
    assert own.shape([shape]) == Shape(8, (11, 8))
