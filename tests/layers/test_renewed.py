"""Theory behind a layer that it does not know: what goes on, and what a norm restores.

The layer without theory is a max pool, an activation of units that are not Gaussian, or a sum of a
signal with a function of itself. Simulations are plain, of two widths, and expectations after a
norm are integrals of scipy.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import norm

from snstat.experiment.inputs import DrawnInputs
from snstat.layers.activation import Activation
from snstat.layers.attention import Attention
from snstat.layers.batch_norm import BatchNorm
from snstat.layers.block import Block
from snstat.layers.conv import Conv
from snstat.layers.conv_transpose import ConvTranspose
from snstat.layers.dense import Dense
from snstat.layers.depthwise_conv import DepthwiseConv
from snstat.layers.dropout import Dropout
from snstat.layers.entry import Entry
from snstat.layers.flatten import Flatten
from snstat.layers.group_norm import GroupNorm
from snstat.layers.law import GAUSSIAN, OTHER
from snstat.layers.layer_norm import LayerNorm
from snstat.layers.least import Least
from snstat.layers.max_pool import MaxPool
from snstat.layers.multiply import Multiply
from snstat.layers.no_theory import NoTheory
from snstat.layers.normalise import LEAST_EPSILON
from snstat.layers.residual_block import Residual
from snstat.layers.rms_norm import RmsNorm
from snstat.layers.scale import Scale
from snstat.layers.separable_conv import SeparableConv
from snstat.layers.shape import Shape
from snstat.layers.signal import Signal, Slope, unknown
from snstat.layers.squares import diagonal
from snstat.network.network import Network
from snstat.theory.walk import walk
from tests.layers.plain_draw import PlainDraw
from tests.layers.plain_theory import tends

BATCH = 3


def chain(*layers, times=None):
    return Block(tuple(Entry(layer) for layer in layers), times)


def expected(f):
    return quad(lambda z: f(z) * norm.pdf(z), -12.0, 12.0, points=[0.0], epsabs=1e-13)[0]


def gelu(z):
    return z * norm.cdf(z)


# Width -> layers before, of which theory ends, and those behind it, with their grid.
BEHIND = {
    "max pool, conv, norm, relu": lambda width: (
        chain(Conv(channels=width, kernel=3, activation="relu"), MaxPool(2)),
        chain(
            Conv(channels=width, kernel=3, activation="relu", padding="circular"),
            Dense(width, bias_std=0.5),
            LayerNorm(epsilon=0.0),
            Activation("relu"),
            Dropout(0.2),
            Conv(channels=width, kernel=3, bias_std=0.2),
        ),
        (6,),
    ),
    "max pool, norm": lambda width: (
        chain(Conv(channels=width, kernel=3, activation="relu"), MaxPool(2)),
        chain(LayerNorm(epsilon=0.0), SeparableConv(channels=width, kernel=3, activation="gelu")),
        (6,),
    ),
    "two activations, batch norm": lambda width: (
        chain(Dense(width, "gelu"), Activation("tanh")),
        chain(Dense(width), BatchNorm(epsilon=0.0), Dense(width, "gelu", bias_std=0.3)),
        (),
    ),
    "sum with a function of itself, rms norm": lambda width: (
        chain(Dense(width), Residual((Entry(Activation("relu")),))),
        chain(RmsNorm(epsilon=0.0), Dense(width, "gelu"), GroupNorm(groups=1)),
        (),
    ),
    "dense, rms norm, φ": lambda width: (
        chain(Dense(width, "relu"), Activation("gelu")),
        chain(Dense(width, bias_std=1.0), RmsNorm(epsilon=0.0), Dropout(0.3), Activation("gelu")),
        (),
    ),
}


@pytest.mark.parametrize("name", BEHIND)
def test_what_a_norm_restores_is_what_plain_simulations_tend_to(name):
    """Mean and E[x²] at every position."""

    def observed(width, seed):
        before, behind, grid = BEHIND[name](width)
        layers, count = chain(before, behind), math.prod(grid)
        own = np.eye(count)
        start = Signal(Shape(width, grid), np.zeros(count), own, own, OTHER)
        between = before.moments([start], BATCH).signal
        assert np.isnan(between.same).all()
        after = behind.moments([between], BATCH).signal
        assert np.isnan(diagonal(after.gap)).all() or after.known
        rows = []
        for trial in range(300):
            draw = PlainDraw((seed, trial))
            x = draw.random.normal(size=(width, BATCH, *grid))
            y = layers.sample([x], draw).values.reshape(-1, BATCH, after.mean.size)
            rows.append(np.concatenate([y.mean((0, 1)), (y * y).mean((0, 1))]))
        return np.array(rows), np.concatenate([after.mean, diagonal(after.same)])

    tends(observed, 2 * (3 + 3 + 3))


@pytest.mark.parametrize("kind", [LayerNorm, RmsNorm])
def test_behind_a_norm_expectations_are_integrals(kind):
    """Of Gaussian units of variance 1, whatever the size before."""
    lost = chain(Dense(8, "relu"), Activation("tanh"), Dense(8), kind(epsilon=0.0))
    start = Signal.of_one(Shape(8), (0.0, 1.7, 1.0), OTHER)
    step = lost.moments([start], BATCH)
    assert step.signal.law == GAUSSIAN
    for layers in ((Activation("gelu"),), (Dropout(0.0), Activation("gelu"))):
        after = chain(*layers).moments([step.signal], BATCH)
        assert after.signal.mean[0] == pytest.approx(expected(gelu), abs=1e-12)
        square = expected(lambda z: gelu(z) ** 2)
        assert after.signal.same[0, 0] == pytest.approx(square, rel=1e-12)
        assert math.isnan(after.signal.gap[0, 0])
        one = np.ones((1, 1))
        (back,) = after.pull(Slope(one, one))
        slope = expected(lambda z: (norm.cdf(z) + z * norm.pdf(z)) ** 2)
        assert math.exp(back.log) * back.same[0, 0] == pytest.approx(slope, rel=1e-10)
        (two,) = after.pull(Slope(one, 0.5 * one))
        assert math.isnan(two.gap[0, 0])
        assert math.isfinite(two.same[0, 0])


def test_gradients_pass_weights_and_half_lines_whatever_came_in():
    """Against plain simulations: theory of gradients needs no law of what weights act on."""
    grid = (4,)

    def observed(width, seed):
        behind = chain(
            Conv(channels=width, kernel=3, activation="leaky_relu:0.3", bias_std=0.2),
            DepthwiseConv(kernel=3, multiplier=2),
            Scale(1.5),
            Dropout(0.3),
            Residual((Dense(2 * width, "relu"), Dense(2 * width))),
            ConvTranspose(channels=width, kernel=3, stride=2),
            SeparableConv(channels=width, kernel=3, activation="relu"),
            Flatten(),
            Dense(width, "relu"),
        )
        step = behind.moments([unknown(Shape(width, grid), [start(width)]).signal], BATCH)
        one = np.ones((1, 1))
        (back,) = step.pull(Slope(one, one))
        theory = math.exp(back.log) * diagonal(back.same)
        assert np.array_equal(diagonal(back.same), diagonal(back.gap))
        rows = []
        for trial in range(200):
            draw = PlainDraw((seed, trial))
            x = np.abs(draw.random.normal(size=(width, BATCH, *grid)))
            found = behind.sample([x], draw)
            (h,) = found.pull(draw.random.normal(size=found.values.shape))
            rows.append((h * h).mean((0, 1)))
        return np.array(rows), theory

    def start(width):
        own = np.eye(4)
        return Signal(Shape(width, grid), np.zeros(4), own, own, OTHER)

    tends(observed, 4)


def test_gradients_that_share_a_part_are_known_of_one_sample_alone():
    x = unknown(Shape(8), [Signal.of_one(Shape(8), (0.0, 1.0, 1.0), OTHER)]).signal
    step = Dense(8, "relu", weight_gain=1.0).moments([x], BATCH)
    (back,) = step.pull(Slope(np.ones((1, 1)), np.full((1, 1), 0.25)))
    assert math.exp(back.log) * back.same[0, 0] == pytest.approx(0.5)
    assert math.isnan(back.gap[0, 0])
    # Of a curve, E[φ'²] depends on the size.
    assert isinstance(Dense(8, "gelu").moments([x], BATCH), NoTheory)
    (lost,) = Dense(8, "tanh").moments([x], BATCH).pull(Slope(np.ones((1, 1)), np.ones((1, 1))))
    assert math.isnan(lost.same[0, 0])
    assert Dense(8, "tanh").moments([x], BATCH).signal.mean[0] == 0.0


def test_products_of_positions_go_on_where_they_are_0():
    own = np.eye(2)
    x = unknown(Shape(8, (2,)), [Signal(Shape(8, (2,)), np.zeros(2), own, own, OTHER)]).signal
    step = Dense(8, "relu", weight_gain=1.0).moments([x], BATCH)
    one = np.ones((2, 2))
    (back,) = step.pull(Slope(one, one))
    assert np.array_equal(np.isnan(back.same), one - own > 0)
    (back,) = step.pull(Slope(own, own))
    assert math.exp(back.log) * back.same == pytest.approx(0.5 * own)


@pytest.mark.parametrize("kind", [LayerNorm, RmsNorm, lambda **keys: GroupNorm(groups=1, **keys)])
def test_an_epsilon_must_be_small_beside_what_is_certain(kind):
    """Of a sum that is at least its first summand, here of variance 0.5."""
    before = Signal.of_one(Shape(64), (0.0, 0.5, 0.5), GAUSSIAN)
    lost = Residual((Dense(64), Activation("relu"), Activation("tanh"), Dense(64)))
    signal = lost.moments([before], BATCH).signal
    assert not signal.known
    assert signal.bounds == pytest.approx((0.5, 0.5, 0.0))
    for part, known in ((0.9, True), (1.1, False)):
        step = kind(epsilon=part * LEAST_EPSILON * 0.5).moments([signal], BATCH)
        assert step.signal.known == known
        assert step.told != known
        (back,) = step.pull(Slope(np.ones((1, 1)), np.ones((1, 1))))
        assert math.isnan(back.same[0, 0])
    assert kind(epsilon=0.0).moments([signal], BATCH).told


@pytest.mark.parametrize("turned", [False, True])
def test_nothing_is_certain_of_a_product(turned):
    """One factor may be as small as it likes."""
    lost = unknown(Shape(64), [start_of(64, ())], least=Least.of(0.8, 0.8)).signal
    small = Signal.of_one(Shape(64), (0.0, 1e-8, 1e-8), GAUSSIAN)
    factors = [small, lost] if turned else [lost, small]
    product = Multiply().moments(factors, BATCH).signal
    assert product.bounds == Least()
    assert not LayerNorm().moments([product], BATCH).signal.known


BOUNDED = {
    "dense": (lambda n: Dense(n, bias_std=0.3, weight_gain=0.7), ()),
    "standardized": (lambda n: Dense(n, weights="standardized", weight_gain=1.2), ()),
    "conv": (lambda n: Conv(channels=n, kernel=3), (4,)),
    "conv_transpose": (lambda n: ConvTranspose(channels=n, kernel=3, stride=2), (4,)),
    "depthwise": (lambda _: DepthwiseConv(kernel=3), (4,)),
    "relu": (lambda n: Dense(n, "relu"), ()),
    "leaky": (lambda n: Dense(n, "leaky_relu:0.4"), (2,)),
    "max pool": (lambda _: MaxPool(2), (4,)),
    "max pool of Gaussians": (lambda n: chain(Dense(n), MaxPool(2)), (4,)),
    "max pool of relu": (lambda n: chain(Dense(n, "relu"), MaxPool(2)), (4,)),
    "scale": (lambda _: Scale(-0.5), ()),
    "dropout": (lambda _: Dropout(0.4), ()),
    "flatten": (lambda _: Flatten(), (3,)),
    "residual": (lambda n: Residual((Dense(n, "gelu"), Dense(n)), 0.5), ()),
    "layer norm": (lambda _: LayerNorm(epsilon=0.3), ()),
    "rms norm": (lambda _: RmsNorm(epsilon=0.3), ()),
}


@pytest.mark.parametrize("name", BOUNDED)
def test_nothing_is_smaller_than_what_is_certain(name):
    """Of a signal with bounds that it attains: E[x²] 0.8, variance 0.55, mean 0.5. Tolerance: 5
    standard errors over networks, and more at a width of 96 for what is known in the limit."""
    build, grid = BOUNDED[name]
    width, random = 96, np.random.default_rng(5)
    before = unknown(
        Shape(width, grid), [start_of(width, grid)], least=Least.of(0.8, 0.55, 0.5)
    ).signal
    step = build(width).moments([before], BATCH)
    bounds = step.signal.bounds
    assert not step.signal.known
    assert bounds.square > 0
    rows = []
    for trial in range(60):
        # Positions that are equal make the least of a maximum.
        x = 0.5 + math.sqrt(0.55) * random.normal(size=(width, BATCH, *[1] * len(grid)))
        x = np.broadcast_to(x, (width, BATCH, *grid))
        y = build(width).sample([x], PlainDraw((7, trial))).values
        y = y.reshape(*y.shape[:2], -1)
        mean, square = y.mean(0), (y * y).mean(0)
        variance = square - mean**2
        rows.append([part.mean(0).min() for part in (square, variance, mean)])
    found, error = np.mean(rows, 0), 5.0 * np.std(rows, 0) / math.sqrt(len(rows))
    assert np.all(np.maximum(found, 0.0) + error + 3.0 / width >= bounds), (found, bounds)


def start_of(width, grid):
    count = math.prod(grid)
    own = np.eye(count)
    return Signal(Shape(width, grid), np.zeros(count), own, own, OTHER)


def test_attention_that_is_not_known_is_independent_of_its_input():
    """W_o is: so a stream is no smaller than it was, and norms in later branches have theory."""
    own = np.diag([1.0, 2.0, 3.0])
    x = Signal(Shape(16, (3,)), np.zeros(3), own, own, GAUSSIAN)
    heads = Attention(heads=2)
    step = heads.moments([x], BATCH)
    assert not step.signal.known
    assert step.signal.law == GAUSSIAN
    assert not step.signal.mean.any()
    assert not step.signal.fresh & x.fresh
    block = chain(
        Residual((LayerNorm(), heads)),
        Residual((LayerNorm(), Dense(16, "relu"), Dense(16))),
        times=3,
    )
    found = block.moments([x], BATCH)
    branch = found.turns[-1][1].turns[0][0]
    assert branch.turns[0][1].signal.same == pytest.approx(np.ones(3))  # He's weights
    assert not found.signal.known


def test_the_walk_tells_what_is_known():
    """A number of a norm with ε is not told: a simulation has it without noise."""
    layers = (Dense(8, "relu"), Activation("tanh"), Dense(8, bias_std=1.0))
    inputs = DrawnInputs("normal", 8, 4, 0.0, 1.0).moments()
    for epsilon, told in ((0.0, True), (1e-5, False)):
        then = (LayerNorm(epsilon=epsilon), Activation("relu"), Dense(8))
        found = walk(Network(Shape(8), chain(*layers, *then)), 4, inputs)
        known = [True, True, False, False, told, True, True]
        assert np.isfinite(found.second_moment).tolist() == known
        assert np.isfinite(found.mean).tolist() == [True, True, False, *[True] * 4]
        assert np.isfinite(found.cosine).tolist() == [True, True, *[False] * 5]
        assert np.isfinite(found.log_gradient).tolist() == [False] * 4 + [True] * 3
        assert found.second_moment[5] == pytest.approx(0.5)


def test_depth_costs_nothing_where_nothing_is_known():
    """Bounds of a stream that grows, or of a signal that falls, settle."""
    x = unknown(Shape(8), [start_of(8, ())], least=Least.of(0.5, 0.5)).signal
    for layers in (
        (Residual((LayerNorm(), Dense(8, "relu"), Dense(8))),),
        (Dense(8, "relu", weight_gain=0.9),),
        (Dense(8), Activation("relu"), RmsNorm(epsilon=0.0), Dropout(0.1)),
    ):
        step = chain(*layers, times=10**6).moments([x], BATCH)
        assert len(step.turns) < 300
