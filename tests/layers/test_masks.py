"""An activation after dropout: expectations over kept and dropped units, against quadrature."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from scipy.integrate import dblquad, quad

from snstat.activation import ALPHA, LAMBDA, resolve
from snstat.layers.activation import Activation
from snstat.layers.add import Add
from snstat.layers.alpha_dropout import AlphaDropout
from snstat.layers.batch_norm import BatchNorm
from snstat.layers.block import Block
from snstat.layers.dense import Dense
from snstat.layers.dropout import Dropout
from snstat.layers.entry import Entry
from snstat.layers.group_norm import GroupNorm
from snstat.layers.law import GAUSSIAN, OTHER, ZERO, is_masked
from snstat.layers.layer_norm import LayerNorm
from snstat.layers.no_theory import NoTheory
from snstat.layers.residual_block import Residual
from snstat.layers.rms_norm import RmsNorm
from snstat.layers.scale import Scale
from snstat.layers.shape import Shape
from snstat.layers.signal import Signal, Slope

Q, C, RATE = 1.7, 0.4, 0.3
KEEP = 1.0 - RATE
# a, and b, of alpha dropout, as in arXiv:1706.02515.
SATURATED = -LAMBDA * ALPHA
FACTOR = (KEEP + SATURATED**2 * KEEP * RATE) ** -0.5
OFFSET = -FACTOR * RATE * SATURATED
# Layer before φ -> what it makes of a kept unit z, as (factor, offset), and of a dropped one.
MASKS = {
    "dropout": (Dropout(RATE), 1.0 / KEEP, 0.0, 0.0),
    "alpha dropout": (AlphaDropout(RATE), FACTOR, OFFSET, FACTOR * SATURATED + OFFSET),
}


def signal(law=GAUSSIAN, same=Q, gap=Q * (1.0 - C)):
    return Signal.of_one(Shape(64), (0.0, same, gap), law)


def chain(*layers):
    return Block(tuple(Entry(layer) for layer in layers))


def expectation(f, g=None, breaks=()):
    """Return E[f(z)], or E[f(z)g(z')], over N(0, Q) with correlation C, split at `breaks` of z."""
    std = math.sqrt(Q)
    edges = sorted({-9.0, 9.0, *(point / std for point in breaks if abs(point) < 9.0 * std)})

    def density(*args):
        return math.exp(-0.5 * sum(a * a for a in args)) / math.sqrt(2.0 * math.pi) ** len(args)

    exact = {"epsabs": 1e-12, "epsrel": 1e-11}
    total, free = 0.0, math.sqrt(1.0 - C * C)
    for low, high in pairwise(edges):
        if g is None:
            total += quad(lambda u: density(u) * f(std * u), low, high, **exact)[0]
            continue
        for below, above in pairwise(edges):
            # Over u and v = C u + √(1 − C²) w, with panels of both at the breaks.
            total += dblquad(
                lambda v, u: density(u, (v - C * u) / free) * f(std * u) * g(std * v) / free,
                low,
                high,
                below,
                above,
                **exact,
            )[0]
    return total


@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize("name", ["relu", "tanh", "selu", "hard_tanh"])
def test_moments_are_those_of_quadrature(name, mask):
    """Tolerance: that of the quadrature in two dimensions."""
    layer, factor, offset, level = MASKS[mask]
    entry = resolve(name)
    breaks = [(kink - offset) / factor for kink in entry.kinks]

    def over_masks(function):
        """Return E of one sample, of its square, and of two."""

        def kept(z):
            return float(function(np.array(factor * z + offset)))

        lost = float(function(np.array(level)))
        mean, square = (expectation(f, None, breaks) for f in (kept, lambda z: kept(z) ** 2))
        both = expectation(kept, kept, breaks)
        return (
            KEEP * mean + RATE * lost,
            KEEP * square + RATE * lost**2,
            KEEP**2 * both + 2.0 * KEEP * RATE * mean * lost + (RATE * lost) ** 2,
            # Of units that are kept.
            square,
            both,
        )

    before = layer.moments([signal()], 4)
    step = Activation(name).moments([before.signal], 4)
    after = step.signal
    mean, square, product, _, _ = over_masks(entry.function)
    assert after.mean[0] == pytest.approx(mean, abs=1e-10)
    assert after.same[0, 0] == pytest.approx(square, rel=1e-10)
    assert after.same[0, 0] - after.gap[0, 0] == pytest.approx(product, abs=2e-10)
    assert after.law == OTHER
    # Gradients with g = 3 and h = 2, of the layer's output and of z.
    (middle,) = step.pull(Slope(np.array([[3.0]]), np.array([[1.0]])))
    _, square, product, kept, both = over_masks(entry.derivative)
    assert sizes(middle) == pytest.approx((3.0 * square, 2.0 * product), rel=1e-9)
    (first,) = before.pull(middle)
    expected = 3.0 * KEEP * factor**2 * kept, 2.0 * (KEEP * factor) ** 2 * both
    assert sizes(first) == pytest.approx(expected, rel=1e-9)
    assert first.excess == first.excess_of_two == 0.0


def sizes(slope):
    """Return E[δ²] and E[δδ'] of a slope."""
    scale = math.exp(slope.log)
    one, gap = float(slope.same[0, 0]), float(slope.gap[0, 0])
    return scale * one, scale * (one - gap)


@pytest.mark.parametrize("mask", MASKS)
def test_numbers_move_the_law_with_the_units(mask):
    """A norm and a factor in between are those of the activation's argument, and of gradients.

    Tolerance: that of the quadrature."""
    layer, factor, offset, level = MASKS[mask]
    block = chain(layer, Scale(3.0), LayerNorm(epsilon=0.5), Scale(-2.0), Activation("tanh"))
    found = block.moments([signal()], 4)
    mean = 3.0 * (KEEP * offset + RATE * level)
    square = 9.0 * (KEEP * (factor**2 * Q + offset**2) + RATE * level**2)
    size = -2.0 / math.sqrt(square - mean**2 + 0.5)

    def kept(z):
        return math.tanh(size * (3.0 * (factor * z + offset) - mean))

    lost = math.tanh(size * (3.0 * level - mean))
    expected = KEEP * expectation(lambda z: kept(z) ** 2) + RATE * lost**2
    assert found.signal.same[0, 0] == pytest.approx(expected, rel=1e-10)
    (back,) = found.pull(Slope(np.array([[1.0]]), np.array([[1.0]])))
    slope = expectation(lambda z: (1.0 - kept(z) ** 2) ** 2)
    assert sizes(back)[0] == pytest.approx(KEEP * (3.0 * size * factor) ** 2 * slope, rel=1e-9)


def test_no_rate_is_no_mask():
    for layer in (Dropout(0.0), AlphaDropout(0.0)):
        assert layer.moments([signal()], 4).signal.law == GAUSSIAN


def test_what_is_not_known_after_masks():
    dropped = Dropout(RATE).moments([signal()], 4).signal
    assert isinstance(BatchNorm().moments([dropped], 4), NoTheory)
    assert Dropout(RATE).moments([dropped], 4).signal.law == OTHER
    assert Dropout(RATE).moments([signal(OTHER)], 4).signal.law == OTHER
    assert Add().moments([dropped, signal()], 4).signal.law == OTHER
    assert Dropout(RATE).moments([signal(ZERO, 0.0, 0.0)], 4).signal.law == ZERO
    places = Signal(Shape(64, (2,)), np.zeros(2), np.eye(2), np.eye(2), GAUSSIAN)
    assert Dropout(RATE).moments([places], 4).signal.law == OTHER
    moved = AlphaDropout(RATE).moments([signal()], 4).signal
    assert isinstance(Activation("sine:3").moments([moved], 4), NoTheory)
    assert not isinstance(Activation("sine:3").moments([dropped], 4), NoTheory)


def test_a_sum_with_nothing_keeps_masks_and_what_they_pull_back():
    """The other summand, times 0, has no part in it."""
    layers = Dropout(RATE), Residual((Dense(64),), 0.0), Activation("relu")
    with_sum = chain(*layers).moments([signal()], 4)
    alone = chain(layers[0], layers[2]).moments([signal()], 4)
    assert with_sum.signal.same == pytest.approx(alone.signal.same, rel=1e-14)
    pulled = Slope(np.array([[1.0]]), np.array([[0.5]]))
    expected = sizes(alone.pull(pulled)[0])
    assert sizes(with_sum.pull(pulled)[0]) == pytest.approx(expected, rel=1e-13)


def test_a_block_with_masks_is_not_followed_beyond_where_it_settles():
    layers = tuple(map(Entry, (Dense(64, "tanh", bias_std=0.5), Dense(64), AlphaDropout(0.2))))
    step = Block((*layers, Entry(LayerNorm())), 10**6).moments([signal()], 4)
    assert len(step.turns) < 500
    assert is_masked(step.signal.law)


@pytest.mark.parametrize("law", ["gaussian", "masked", "sphere", "other"])
def test_the_identity_keeps_what_it_is_fed(law):
    before = {
        "gaussian": signal(),
        "other": signal(OTHER),
        "masked": Dropout(RATE).moments([signal()], 4).signal,
        "sphere": BatchNorm().moments([signal()], 4).signal,
    }[law]
    step = Activation("identity").moments([before], 4)
    assert step.signal.law == before.law
    assert np.array_equal(step.signal.same, before.same)
    pulled = Slope(np.array([[3.0]]), np.array([[1.0]]))
    assert sizes(step.pull(pulled)[0]) == pytest.approx((3.0, 2.0), rel=1e-15)
    linear = Dense(64, "identity").moments([signal(OTHER)], 4)
    assert linear.signal.law == GAUSSIAN


def test_a_norm_moves_dropped_units_off_a_kink_to_either_side():
    """The mean that is subtracted is 0 up to 1/√n. So a ReLU passes the slopes of all dropped units
    of a network or of none, and no theory of infinite width tells how often."""
    for norm in (LayerNorm(), GroupNorm(groups=2)):
        for kind, known in (("relu", False), ("selu", False), ("gelu", True), ("tanh", True)):
            layers = Dense(128), Dropout(0.3), norm, Activation(kind)
            assert chain(*layers).moments([signal(law=OTHER)], 4).signal.known is known
    layers = Dense(128), Dropout(0.3), RmsNorm(), Activation("relu")
    assert chain(*layers).moments([signal(law=OTHER)], 4).signal.known


def test_a_sine_after_dropout_has_the_moments_of_those_that_are_kept():
    """E sin² is (1 − e^−2q)/2, and E[sin sin'] is e^−q sinh E[zz'], of those kept in both."""
    keep, square, gap = 0.7, 1.5, 0.9
    before = Signal.of_one(Shape(40), (0.0, square, gap), GAUSSIAN)
    dropped = Dropout(1.0 - keep).moments([before], 8).signal
    found = Activation("sine").moments([dropped], 8).signal
    q, product = square / keep**2, (square - gap) / keep**2
    own = keep * 0.5 * -math.expm1(-2.0 * q)
    both = keep**2 * math.exp(-q) * math.sinh(product)
    assert found.same.item() == pytest.approx(own, rel=1e-12)
    assert found.same.item() - found.gap.item() == pytest.approx(both, rel=1e-9)
