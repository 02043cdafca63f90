"""Fluctuations of norms, masks and sums: what is exact, and what is not known."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from snstat.activation import ALPHA, LAMBDA, resolve
from snstat.experiment.inputs import DrawnInputs
from snstat.gaussian.by_q import derivatives
from snstat.layers.activation import Activation
from snstat.layers.activation_spread import spread_at
from snstat.layers.add import Add
from snstat.layers.alpha_dropout import AlphaDropout
from snstat.layers.batch_norm import BatchNorm
from snstat.layers.block import Block
from snstat.layers.concat import Concat
from snstat.layers.dense import Dense
from snstat.layers.dropout import Dropout
from snstat.layers.entry import Entry
from snstat.layers.law import GAUSSIAN, OTHER
from snstat.layers.layer_norm import LayerNorm
from snstat.layers.norm_spread import _rough
from snstat.layers.residual_block import Residual
from snstat.layers.rms_norm import RmsNorm
from snstat.layers.scale import Scale
from snstat.layers.shape import Shape
from snstat.layers.signal import Signal
from snstat.layers.spread import Average, Spread
from snstat.network.network import Network
from snstat.theory.walk import walk
from tests.layers.plain_draw import PlainDraw

UNITS = 40
START = Spread(0.05, 0.02, 0.003, 1e-5, 2.5)
MEAN = Average(0.01, 1e-5, 0.02, 0.005, 0.03, 1.4, 0.05)


def chain(*layers, times=1):
    return Block(tuple(e if isinstance(e, Entry) else Entry(e) for e in layers), times)


def signal(mean=0.0, same=1.5, gap=0.9, law=OTHER):
    return Signal.of_one(Shape(UNITS), (mean, same, gap), law)


def spread_after(block, start=START, before=None):
    step = block.moments([before or signal()], 8)
    return step, block.spread(step, [start])


def found(*layers, units=UNITS, inputs="normal"):
    drawn = DrawnInputs(inputs, units, 2, 0.0, 1.0).moments()
    return walk(Network(Shape(units), chain(*layers)), 2, drawn)


GAUSSIANS = {
    "weights": Dense(UNITS),
    "weights and biases": Dense(UNITS, bias_std=0.7),
    "orthogonal": Dense(UNITS, init="orthogonal", bias_std=0.5),
    "uniform": Dense(UNITS, init="lecun_uniform"),
}
AFTER = {
    "rms_norm": (RmsNorm(epsilon=0.0),),
    "rms_norm with ε": (RmsNorm(epsilon=0.4),),
    "layer_norm": (LayerNorm(epsilon=0.0),),
    "layer_norm with ε": (LayerNorm(epsilon=0.4),),
    "residual": (Residual((Dense(UNITS, bias_std=0.4),), 0.8),),
    "residual, norm": (Residual((RmsNorm(), Dense(UNITS)), -0.8), RmsNorm(epsilon=0.2)),
    "residual with a shortcut": (
        Residual((Dense(UNITS, "relu"), Dense(UNITS)), 0.8, (Dense(UNITS),)),
    ),
}


@pytest.mark.parametrize("after", AFTER)
@pytest.mark.parametrize("gaussian", GAUSSIANS)
def test_the_identity_of_a_gaussian_fluctuates_as_it_does(gaussian, after):
    """What is known of the Gaussian, for any function of it, is consistent with the units."""
    block = chain(GAUSSIANS[gaussian], *AFTER[after])
    step, spread = spread_after(block)
    assert spread.given is not None
    q = float(step.signal.same[0, 0])
    apart = float(step.signal.gap[0, 0]) / q
    again = spread_at(resolve("identity"), spread.given, q, apart, step.signal)
    close = {"rel": 1e-5, "abs": 1e-8}  # that of moments of pairs
    assert again[:3] == pytest.approx(spread[:3], **close)
    assert again.average.variance == pytest.approx(spread.average.variance, **close)
    assert again.average.pair == pytest.approx(spread.average.pair, **close)


@pytest.mark.parametrize("layer", [RmsNorm(epsilon=0.0), LayerNorm(epsilon=0.0)])
def test_norms_without_epsilon_hold_the_mean_square(layer):
    _, spread = spread_after(chain(layer), START._replace(average=MEAN), signal(0.3))
    assert spread[:4] == (0.0, 0.0, 0.0, 0.0)
    # Of units that are not Gaussian the fourth moment stays, about the mean that is subtracted.
    mean = 0.3 / math.sqrt(1.5)
    fourth = 2.5
    if isinstance(layer, LayerNorm):
        fourth = 2.5 - 4.0 * mean * 1.4 + 6.0 * mean**2 - 3.0 * mean**4
        fourth /= (1.0 - mean**2) ** 2
        assert (spread.average.shift, spread.average.variance) == (0.0, 0.0)
    assert spread.fourth == pytest.approx(fourth, rel=1e-13)


def test_the_bias_of_a_function_of_a_sum_is_that_of_moments_of_gaussians():
    """With x = W₁x₀ and u = x + W₂x, each x₀ ~ N(0, 1): given S = |x₀|²/n, E u⁴ = E[x⁴ + 6x²Q +
    3Q²] with Q = |x|²/n, which is S²(12 + 18/n), and E S² = 1 + 2/n."""
    linear = Dense(UNITS, init="lecun_normal")
    walked = found(linear, Residual((linear,)), Activation("relu_squared"))
    assert walked.second_moment[-1] == pytest.approx(6.0, rel=1e-12)
    assert walked.bias[-1] == pytest.approx(3.5 / UNITS, rel=1e-9)


@pytest.mark.parametrize(("inputs", "fourth"), [("normal", 3.0), ("uniform", 2.7)])
def test_fourth_moments_of_sums(inputs, fourth):
    """E(x + y)⁴ = E x⁴ + 6 E x² E y² + E y⁴, with 1.8 for x that are uniform and 3 for y."""
    block = chain(Residual((Dense(UNITS, init="lecun_normal"),)))
    start = Spread(0.0, 0.0, 0.0, 0.0, {"normal": 3.0, "uniform": 1.8}[inputs])
    _, spread = spread_after(block, start, signal(0.0, 1.0, 1.0))
    assert spread.fourth == pytest.approx(fourth, rel=1e-13)


def test_a_mask_with_levels_follows_the_mean():
    """E of the mean square is linear in those of x² and x: the bias is exact."""
    rate, mean, square = 0.3, 0.4, 1.5
    keep, level = 1.0 - rate, -LAMBDA * ALPHA
    a = (keep + level**2 * keep * rate) ** -0.5
    b = -a * rate * level

    def total(square, mean):
        kept = a * a * square + 2.0 * a * b * mean + b * b
        return keep * kept + rate * (a * level + b) ** 2

    start = START._replace(average=MEAN)
    _, spread = spread_after(chain(AlphaDropout(rate)), start, signal(mean, square))
    moved = total(square * (1.0 + START.bias), mean + math.sqrt(square) * MEAN.shift)
    assert spread.bias == pytest.approx(moved / total(square, mean) - 1.0, rel=1e-10)


@pytest.mark.parametrize("layer", [Dropout(0.4), AlphaDropout(0.4)])
@pytest.mark.parametrize("name", ["sigmoid", "selu"])
def test_an_activation_after_a_mask_has_the_moments_of_plain_samples(layer, name):
    """Networks that all have the same q fluctuate by moments of units alone. Tolerance: 5 standard
    errors of 10⁶ units."""
    start = Spread(0.0, 0.0, 0.0, 0.0, 3.0)
    block = chain(Dense(UNITS), layer, Activation(name))
    step, spread = spread_after(block, start, signal(0.0, 1.5, 0.3))
    random = np.random.default_rng(7)
    common, own = random.normal(size=(10**6, 1)), random.normal(size=(10**6, 2))
    z = math.sqrt(1.2) * common + math.sqrt(0.3) * own
    x = resolve(name).function(layer.sample([z], PlainDraw(8)).values)
    x /= math.sqrt(float(step.signal.same[0, 0]))
    mean = float(step.signal.mean[0]) / math.sqrt(float(step.signal.same[0, 0]))
    for values, found in (
        ((x**2 - 1.0) ** 2, UNITS * spread.variance),
        ((x**2 - 1.0).prod(1), UNITS * spread.pair),
        ((x - mean) ** 2, UNITS * spread.average.variance),
        ((x - mean).prod(1), UNITS * spread.average.pair),
        ((x - mean) * (x**2 - 1.0), UNITS * spread.average.covariance),
        (x**3, spread.average.third),
        (x**4, spread.fourth),
    ):
        assert abs(values.mean() - found) < 5.0 * values.std() / math.sqrt(values.size)


def test_a_factor_turns_the_mean():
    _, spread = spread_after(chain(Scale(-2.0)), START._replace(average=MEAN))
    assert spread[:5] == START[:5]
    assert spread.average.shift == -MEAN.shift
    assert spread.average.third == -MEAN.third
    assert spread.average.variance == MEAN.variance


def test_two_functions_of_one_layer_fluctuate_together():
    """How much is not known, but the bias of their sum is."""
    first = Dense(UNITS)
    both = Residual((Activation("relu"), Dense(UNITS)), 1.0, (Activation("tanh"), Dense(UNITS)))
    walked = found(first, both)
    assert np.isnan(walked.variance[-1])
    assert np.isfinite(walked.bias[-1])
    apart = Residual((Activation("relu"), Dense(UNITS)), 1.0, (Dense(UNITS), Dense(UNITS)))
    assert np.isfinite(found(first, apart).variance[-1])


@pytest.mark.parametrize(
    "layers",
    [
        # The branch depends on units of the other summand, and so does φ of the sum.
        (Dense(UNITS), Residual((Activation("relu"), Dense(UNITS))), Activation("relu")),
        # The mean of products of two summands that have means.
        (Dense(UNITS, "relu"), Residual((Dense(UNITS, "relu"),))),
        (Dense(UNITS, "relu"), Entry(Add(), (1, 1))),
        (
            Dense(UNITS),
            Entry(Activation("relu")),
            Dense(UNITS, "sigmoid"),
            Entry(Add(), (1, 3)),
        ),
        # The mean over units of two concatenated layers.
        (Entry(Dense(UNITS, "relu")), Entry(Concat(), (0, 1)), AlphaDropout(0.1)),
        (Entry(Dense(UNITS, "relu")), Entry(Concat(), (0, 1)), LayerNorm()),
        (Dense(UNITS), BatchNorm()),
        (Dense(UNITS), Scale(0.0)),
        (Dense(UNITS, weight_gain=0.0), LayerNorm()),
        # The norm of what is dropped is not that of the Gaussian.
        (Dense(UNITS), Dropout(0.2), RmsNorm(), Activation("relu")),
    ],
)
def test_what_is_not_known_is_nan(layers):
    walked = found(*layers)
    assert np.isfinite(walked.second_moment[-1])
    assert np.isfinite(walked.bias[1])
    assert np.isnan(walked.bias[-1])


def test_a_long_block_follows_its_input_as_its_turns_in_a_row():
    """By the product of responses: what a residual around it needs."""
    layer = Dense(UNITS, "tanh", bias_std=0.3)
    once, many = (spread_after(chain(layer, times=times))[1] for times in (1, 3))
    rows, state, response = [], signal(), 1.0
    for _ in range(3):
        step = layer.moments([state], 8)
        rows.append(layer.spread(step, [START]).responses[0])
        state = step.signal
    for row in rows:
        response *= row
    assert once.responses == (pytest.approx(rows[0], rel=1e-12),)
    assert many.responses == (pytest.approx(response, rel=1e-12),)
    settled = spread_after(chain(layer, times=10**9))[1]
    assert settled.responses == (pytest.approx(0.0, abs=1e-30),)


def test_sums_of_fixed_squares_vary_by_their_products():
    """Of units a·s and a·s', signs with a cosine, squares are fixed and those of a sum are not:
    here by all signs that one unit of two summands has for two samples."""
    sizes, cosines = (1.2, 0.7), (0.6, -0.3)
    means, both, square = np.zeros(2), 0.0, 0.0
    for s, t, u, v in itertools.product((1, -1), repeat=4):
        chance = (1 + cosines[0] * s * t) * (1 + cosines[1] * u * v) / 16
        one, other = (sizes[0] * s + sizes[1] * u) ** 2, (sizes[0] * t + sizes[1] * v) ** 2
        means += chance * np.array([one, other])
        both += chance * one * other
        square += chance * one**2
    inputs = [
        Signal.of_one(Shape(UNITS), (0.0, a * a, a * a * (1.0 - c)), GAUSSIAN)
        for a, c in zip(sizes, cosines, strict=True)
    ]
    layer, fixed = Add(), Spread(0.0, 0.0, 0.0, 0.0, 1.0)
    found = layer.spread(layer.moments(inputs, 2), [fixed, fixed])
    assert found.variance == pytest.approx((square / means[0] ** 2 - 1.0) / UNITS, rel=1e-12)
    assert found.pair == pytest.approx((both / means.prod() - 1.0) / UNITS, rel=1e-12)


@pytest.mark.parametrize("weak", [0.1, 0.5, 0.9])
def test_the_roughness_of_a_norm_is_that_of_its_series(weak):
    """With w = ε/(V + ε), V(1 + t)/(V(1 + t) + ε) is (1 + t)/(1 + (1 − w)t) times that at t = 0:
    coefficients of t by long division."""
    strong = 1.0 - weak
    series, left = [], [1.0, 1.0, 0.0, 0.0, 0.0]
    for power in range(5):
        series.append(left[power])
        if power < 4:
            left[power + 1] -= strong * left[power]
    values = np.array([math.factorial(n) * series[n] for n in range(1, 5)])
    wanted = derivatives(values).roughness / weak * 0.01**2 / (1.0 - 0.015 * strong)
    assert _rough(strong, 0.01) == pytest.approx(wanted, rel=1e-12)
