"""Fluctuations to first order in 1/width: finite differences, moments of spheres, and orders."""

from __future__ import annotations

import math

import numpy as np
import pytest
from mpmath import mp
from scipy.special import gammaln

from snstat.gaussian.by_q import derivatives as derivatives_by_q
from snstat.layers.activation import Activation
from snstat.layers.alpha_dropout import AlphaDropout
from snstat.layers.block import Block
from snstat.layers.dense import Dense
from snstat.layers.dropout import Dropout
from snstat.layers.entry import Entry
from snstat.layers.law import GAUSSIAN, OTHER
from snstat.layers.layer_norm import LayerNorm
from snstat.layers.mask_spread import after_mask
from snstat.layers.residual_block import Residual
from snstat.layers.rms_norm import RmsNorm
from snstat.layers.shape import Shape
from snstat.layers.signal import Signal, Step
from snstat.layers.spread import Average, Given, Spread
from snstat.layers.sum_spread import after_sum

UNITS, SQUARE, EPSILON = 40, 1.5, 0.4
START = Spread(0.05, 0.02, 0.003, 1e-5, 2.5)
MEAN = Average(0.01, 1e-5, 0.02, 0.005, 0.03, 1.4, 0.05)


def after(layers, start, mean, units=UNITS):
    """Return the spread after a layer that is fed units of this mean."""
    block = Block(tuple(map(Entry, layers)))
    state = Signal.of_one(Shape(units), (mean, SQUARE, 0.9), OTHER)
    return block.spread(block.moments([state], 8), [start])


def derivatives(f, at, step=1e-3):
    """Return the first and second derivatives of f by its two arguments, of fourth order in the
    step, of which the rest is about 1e-12 and rounding 1e-10."""
    places, first = np.arange(-2, 3), np.array([1.0, -8.0, 0.0, 8.0, -1.0]) / 12.0
    second = np.array([-1.0, 16.0, -30.0, 16.0, -1.0]) / 12.0
    values = np.array([[f(at[0] + a * step, at[1] + b * step) for b in places] for a in places])
    slope = np.array([first @ values[:, 2], values[2] @ first]) / step
    mixed = first @ values @ first
    bend = np.array([[second @ values[:, 2], mixed], [mixed, values[2] @ second]]) / step**2
    return slope, bend


@pytest.mark.parametrize("mean", [0.0, 0.3, -0.7])
@pytest.mark.parametrize("kind", [LayerNorm, RmsNorm])
def test_norms_move_moments_as_functions_of_two_averages_do(kind, mean):
    """Of S, the mean of x², and M, that of x: the mean and variance of V/(V + ε), and with the mean
    square also those of M/√(S + ε), by derivatives of these functions. Differences of bends have
    1e-9 of rounding."""
    covariance = MEAN.covariance * SQUARE**1.5
    together = np.array(
        [[START.variance * SQUARE**2, covariance], [covariance, MEAN.variance * SQUARE]]
    )
    moved = np.array([START.bias * SQUARE, MEAN.shift * math.sqrt(SQUARE)])

    def square(s, m):
        v = s - m * m if kind is LayerNorm else s
        return v / (v + EPSILON)

    def average(s, m):
        return m / math.sqrt(s + EPSILON)

    found = after([kind(epsilon=EPSILON)], START._replace(average=MEAN), mean)
    size = square(SQUARE, mean)
    slope, bend = derivatives(square, (SQUARE, mean))
    assert found.variance == pytest.approx(slope @ together @ slope / size**2, abs=1e-10)
    bias = (slope @ moved + 0.5 * np.sum(bend * together)) / size
    assert found.bias == pytest.approx(bias, abs=1e-9)
    if kind is LayerNorm:
        assert found.average[:5] == (0.0,) * 5
        return
    own, bent = derivatives(average, (SQUARE, mean))
    shift = (own @ moved + 0.5 * np.sum(bent * together)) / math.sqrt(size)
    assert found.average.shift == pytest.approx(shift, abs=1e-9)
    assert found.average.variance == pytest.approx(own @ together @ own / size, abs=1e-10)
    both = own @ together @ slope / size**1.5
    assert found.average.covariance == pytest.approx(both, abs=1e-10)


@pytest.mark.parametrize("mask", [(0.7, 1.3, 0.0, 0.0), (0.6, 0.9, 0.2, -1.1)])
def test_moments_after_a_mask_are_those_of_a_mixture(mask):
    """Of units with three values, sums over what each of them becomes."""
    keep, factor, shift, level = mask
    values, odds = np.array([-1.0, 0.5, 2.0]), np.array([0.3, 0.5, 0.2])
    moments = [odds @ values**n for n in range(5)]
    root = math.sqrt(moments[2])
    start = START._replace(
        fourth=moments[4] / root**4, average=MEAN._replace(third=moments[3] / root**3)
    )
    kept = factor * values + shift
    of = [keep * (odds @ kept**n) + (1.0 - keep) * level**n for n in range(5)]
    before = Signal.of_one(Shape(UNITS), (moments[1], moments[2], 0.1), OTHER)
    then = Signal.of_one(Shape(UNITS), (of[1], of[2], 0.1), OTHER)
    step = type("Step", (), {"inputs": (before,), "signal": then})
    found = after_mask(step, start, keep, factor, shift, level)
    assert found.fourth == pytest.approx(of[4] / of[2] ** 2, rel=1e-12)
    assert found.average.third == pytest.approx(of[3] / of[2] ** 1.5, rel=1e-12)
    # Without what x fluctuates by, masks are left: that of one unit given x, and its square.
    still = start._replace(variance=0.0, average=Average(0.0, 0.0, 0.0, 0.0, 0.0, *MEAN[5:]))
    still = still._replace(average=still.average._replace(third=start.average.third))
    found = after_mask(step, still, keep, factor, shift, level)
    noise = keep * (1.0 - keep) / UNITS
    for power, other, own in (
        (2, 2, found.variance),
        (1, 1, found.average.variance),
        (1, 2, found.average.covariance),
    ):
        part = odds @ ((kept**power - level**power) * (kept**other - level**other))
        assert own == pytest.approx(noise * part / of[2] ** (0.5 * (power + other)), rel=1e-12)


LAYERS = {
    "layer_norm": [LayerNorm(epsilon=EPSILON)],
    "rms_norm": [RmsNorm(epsilon=EPSILON)],
    "dropout": [Dropout(0.3)],
    "alpha_dropout": [AlphaDropout(0.3)],
    "dense": [Dense(UNITS, "relu", bias_std=0.3)],
    "norm of a Gaussian": [Dense(UNITS), RmsNorm(epsilon=EPSILON), Activation("softplus")],
}


@pytest.mark.parametrize("mean", [0.0, 0.3])
@pytest.mark.parametrize("name", LAYERS)
def test_networks_a_hundred_times_as_wide_fluctuate_a_hundredth(name, mean):
    """Bounds on what first order neglects are of the next order, and higher ones vanish."""
    parts = []
    for part in (10_000, 1_000_000):
        layers = [
            Dense(UNITS * part, own.activation, bias_std=own.bias_std)
            if isinstance(own, Dense)
            else own
            for own in LAYERS[name]
        ]
        orders = np.array([part, part, part, part**2, 1.0], float)
        of_mean = np.array([part, part**2, part, part, part, 1.0, part], float)
        start = Spread(*(START[:5] / orders), average=Average(*(np.array(MEAN) / of_mean)))
        found = after(layers, start, mean, UNITS * part)
        parts.append([np.array(found[:5]) * orders, np.array(found.average) * of_mean])
    for narrow, wide in zip(*parts, strict=True):
        np.testing.assert_allclose(wide, narrow, rtol=1e-4, atol=1e-14)


def of_sphere(power, units):
    """Return E|x|^`power` of a Gaussian vector of so many units, over the square root of these to
    that power: by what moments of Gaussians are more than those of the sphere."""
    half = 0.5 * units
    ratio = gammaln(half + 0.5 * power) - gammaln(half)
    return math.exp(ratio + 0.5 * power * math.log(2.0 / units))


def absolute(power):
    """Return E|z|^`power` of z ~ N(0, 1)."""
    return 2.0 ** (0.5 * power) * math.gamma(0.5 * (power + 1)) / math.sqrt(math.pi)


@pytest.mark.parametrize(("activation", "degree"), [("relu", 1), ("relu_squared", 2)])
def test_orthogonal_weights_draw_from_a_sphere(activation, degree):
    """After data of fixed norm, z₊ and z₊² are averaged over what is uniform on a sphere: half of
    the moments of |z|, and quarters of those of pairs. The next order is of 1/n beside terms that
    are at most a hundred times as large as what is left."""
    units = 100_000
    start = Spread(0.0, 0.0, 0.0, 0.0, 3.0, average=Average(*[0.0] * 7))
    found = after([Dense(units, activation, init="orthogonal")], start, 0.0, units)

    def covariance(one, other):
        """Return that of the means of z₊ to these powers."""
        own = 0.5 * absolute(one + other)
        pair = 0.25 * absolute(one) * absolute(other)
        both = (own + (units - 1) * pair) / (of_sphere(one + other, units) * units)
        return both - pair / (of_sphere(one, units) * of_sphere(other, units))

    square = 0.5 * absolute(2 * degree)
    for one, other, known in (
        (degree, degree, found.average.variance),
        (degree, 2 * degree, found.average.covariance),
        (2 * degree, 2 * degree, found.variance),
    ):
        expected = covariance(one, other) / square ** (0.5 * (one + other) / degree)
        assert known == pytest.approx(expected, rel=100.0 / units)


def test_units_that_are_0_do_not_fluctuate():
    found = after([Dense(UNITS, "relu", weight_gain=0.0)], START._replace(average=MEAN), 0.3)
    assert found.average == Average(*[0.0] * 7)


def test_summands_without_a_mean_leave_that_of_a_branch():
    """The shift of a branch is that of the sum, relative to its root mean square."""
    shared = Residual((Dense(UNITS),))
    found = after([shared], START._replace(average=MEAN), 0.3)
    share = SQUARE / (SQUARE + SQUARE * Dense(UNITS).at(UNITS).square_gain)
    assert found.average.shift == pytest.approx(math.sqrt(share) * MEAN.shift, rel=1e-12)


def sum_of(signals, factors):
    """Return the step of the sum of independent signals times factors."""
    weights = [(c, c * c, c * c) for c in factors]
    moments = [(s.mean[0], s.same[0, 0], s.gap[0, 0]) for s in signals]
    total = Signal.of_one(Shape(UNITS), tuple(np.sum(np.multiply(weights, moments), 0)), OTHER)
    return Step(tuple(signals), total, lambda slope: (slope,) * len(signals))


def test_a_sum_of_gaussians_fluctuates_as_units_of_their_sum_do():
    """Of n independent Gaussian units, mean squares have the covariance 2c²/n for two samples of
    the cosine c, given what their layers fluctuate by, which here is nothing."""

    def units(signal):
        cosine = 1.0 - float(signal.gap[0, 0] / signal.same[0, 0])
        still = Given(1.0, *[0.0] * 8)
        return Spread(2.0 / UNITS, 2.0 * cosine**2 / UNITS, 0.0, 0.0, 3.0, given=still)

    parts = [Signal.of_one(Shape(UNITS), (0.0, *of), GAUSSIAN) for of in ((1.5, 0.9), (0.7, 0.1))]
    step = sum_of(parts, (1.2, -0.8))
    found = after_sum(step, [units(part).alone() for part in parts], (1.2, -0.8))
    assert found[:5] == pytest.approx(units(step.signal)[:5], rel=1e-13)
    assert found.given == pytest.approx(Given(1.0, *[0.0] * 8), abs=1e-13)


@pytest.mark.parametrize("factors", [(1.0, 1.0), (-0.8, 1.3)])
def test_the_third_moment_of_a_sum_has_the_mean_of_a_summand(factors):
    """E(cx + dy)³ = c³ E x³ + 3 c d² E x E y², for y of either sign."""
    values, odds = np.array([-1.0, 0.5, 2.0]), np.array([0.3, 0.5, 0.2])
    (mean, square, third), size = ([odds @ values**n for n in (1, 2, 3)], 0.7)
    signals = [
        Signal.of_one(Shape(UNITS), (mean, square, 0.1), OTHER),
        Signal.of_one(Shape(UNITS), (0.0, size, 0.1), GAUSSIAN),
    ]
    x = START._replace(average=MEAN._replace(third=third / square**1.5)).alone()
    y = START._replace(average=MEAN._replace(third=0.0)).alone()
    found = after_sum(sum_of(signals, factors), [x, y], factors)
    c, d = factors
    expected = c**3 * third + 3.0 * c * d**2 * mean * size
    total = c**2 * square + d**2 * size
    assert found.average.third == pytest.approx(expected / total**1.5, rel=1e-13)


@pytest.mark.parametrize("epsilon", [0.01, 0.4, 20.0])
def test_what_a_norm_neglects_is_bounded_by_derivatives_of_its_square(epsilon):
    """Of V/(V + ε), relative to it, by those of order 1 to 4 times powers of V, and a series."""

    def square(v):
        return v / (v + epsilon)

    slopes = [float(mp.diff(square, SQUARE, n)) * SQUARE**n for n in (1, 2, 3, 4)]
    own = derivatives_by_q(np.array(slopes) / square(SQUARE))
    found = after([RmsNorm(epsilon=epsilon)], START, 0.0)
    orders = 1.0 / (1.0 - 1.5 * (1.0 - own.slope) * START.variance)  # those after the second
    expected = abs(own.slope) * START.residual + own.roughness * START.variance**2 * orders
    assert found.residual == pytest.approx(expected, rel=1e-9)
