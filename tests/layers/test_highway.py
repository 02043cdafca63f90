"""Highways, against quadrature of scipy."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.special import expit

from snstat.layers.highway import Highway, _Gate
from snstat.layers.law import GAUSSIAN, OTHER, ZERO
from snstat.layers.no_theory import NoTheory
from snstat.layers.shape import Shape
from snstat.layers.signal import Signal, Slope


def gaussian(function, q, bias):
    """Return E f(z + bias) for z ~ N(0, q), with panels around the middle of the gate."""
    std = math.sqrt(q)
    edges = {-40.0, -30.0, -10.0, -3.0, 0.0, 3.0, 10.0, 30.0, 40.0}
    points = sorted({-12.0, 12.0} | {p for e in edges if abs(p := (e - bias) / std) < 12.0})
    total = 0.0
    for low, high in pairwise(points):
        value = quad(
            lambda z: function(std * z + bias) * math.exp(-0.5 * z * z), low, high,
            epsabs=1e-15, epsrel=1e-13, limit=200,
        )[0]  # fmt: skip
        total += value
    return total / math.sqrt(2.0 * math.pi)


@pytest.mark.parametrize("bias", [-10.0, -3.0, -1.0, 0.0, 2.0, 10.0])
@pytest.mark.parametrize("q", [1e-6, 0.3, 4.0, 100.0, 1e4, 1e6, 1e10])
def test_moments_of_the_gate(q, bias):
    """To the accuracy of the panels. Independent samples: E[tt'] is E[t]²."""
    found = _Gate.of(Signal.of_one(Shape(8), (0.0, q, q), GAUSSIAN), bias)
    mean = gaussian(expit, q, bias)
    square = gaussian(lambda z: expit(z) ** 2, q, bias)
    slope = gaussian(lambda z: (expit(z) * expit(-z)) ** 2, q, bias)
    assert found.mean == pytest.approx(mean, rel=1e-9)
    assert found.square == pytest.approx(square, rel=1e-9)
    assert found.slope == pytest.approx(slope, rel=1e-8, abs=1e-25)
    # The variance of t is a difference, which rounding of E[t²] limits.
    assert found.gap == pytest.approx(square - mean**2, rel=1e-8, abs=1e-12 * square)


def test_a_gate_without_weights_mixes():
    """h is 0 then, and t is σ(transfer_bias) for all units."""
    state = Signal.of_one(Shape(8), (0.5, 2.0, 0.75), OTHER)
    step = Highway("tanh", weight_gain=0.0, transfer_bias=-2.0).moments([state], 4)
    signal, kept = step.signal, 1.0 - float(expit(-2.0))
    found = signal.mean[0], signal.same[0, 0], signal.gap[0, 0]
    assert found == pytest.approx((0.5 * kept, 2.0 * kept**2, 0.75 * kept**2), rel=1e-12)
    one = np.ones((1, 1))
    (back,) = step.pull(Slope(one, one))
    assert math.exp(back.log) * back.same[0, 0] == pytest.approx(kept**2, rel=1e-12)


def test_gradients_of_both_matrices():
    """E[t²] E[φ'²] and E[σ'²] E(h − x)², with E(h − x)² = E h² − 2 E h E x + E x²."""
    mean, second, bias = 0.5, 2.0, -1.5
    found = Highway("softplus", weight_gain=1.25, bias_std=0.5, transfer_bias=bias).slopes(
        Shape(8), mean, second
    )
    q = 1.25**2 * second + 0.5**2
    height, square = (gaussian(lambda z, n=n: np.logaddexp(0.0, z) ** n, q, 0.0) for n in (1, 2))
    through = gaussian(lambda z: expit(z) ** 2, q, bias) * gaussian(lambda z: expit(z) ** 2, q, 0.0)
    gate = gaussian(lambda z: (expit(z) * expit(-z)) ** 2, q, bias)
    gate *= square - 2.0 * height * mean + second
    assert found == pytest.approx((through, gate), rel=1e-9)


def test_gradients_of_equal_samples_are_equal():
    """Where two samples are alike and have one read-out, nothing may tell them apart."""
    state = Signal.of_one(Shape(8), (0.5, 2.0, 0.0), OTHER)
    step = Highway("relu", bias_std=0.2).moments([state], 4)
    (back,) = step.pull(Slope(np.ones((1, 1)), np.zeros((1, 1))))
    assert step.signal.gap[0, 0] == 0.0
    assert abs(back.gap[0, 0]) < 1e-12


def over_pairs(function, q, cosine):
    """Return E f(z, z') for z, z' ~ N(0, q) with this cosine, by Gauss–Hermite quadrature."""
    node, weight = np.polynomial.hermite_e.hermegauss(80)
    weight = weight / weight.sum()
    first, second = np.meshgrid(node, node, indexing="ij")
    other = cosine * first + math.sqrt(1.0 - cosine**2) * second
    return float(weight @ function(math.sqrt(q) * first, math.sqrt(q) * other) @ weight)


def test_pairs_of_samples_and_their_gradients():
    """By the definitions, with E[x] = 0.5, E[x²] = 2 and E[xx'] = 1.25; h is a sigmoid too.

    Of one sample, x' = x. Gradients have E[δδ'] = 0.5 and E[δ²] = 1. Tolerance: 80 nodes resolve
    the poles of the sigmoid, π/√q away, to about 1e-10.
    """
    state = Signal.of_one(Shape(8), (0.5, 2.0, 0.75), OTHER)
    layer = Highway("sigmoid", init="lecun_normal", weight_gain=0.9, bias_std=0.3)
    step = layer.moments([state], 4)
    (back,) = step.pull(Slope(np.ones((1, 1)), np.full((1, 1), 0.5)))
    q, gain = 0.81 * 2.0 + 0.09, 0.81
    found = []
    for across, delta in ((2.0, 1.0), (1.25, 0.5)):
        c = (0.81 * across + 0.09) / q

        def mean(function, c=c):
            return over_pairs(function, q, c)

        def t(z):
            return expit(z - 1.0)

        def steep(function, z):
            return function(z) * (1.0 - function(z))

        h = mean(lambda z, _: expit(z))
        hh = mean(lambda z, w: expit(z) * expit(w))
        open_, closed = mean(lambda z, w: t(z) * t(w)), mean(lambda z, w: (1 - t(z)) * (1 - t(w)))
        half = mean(lambda z, w: t(z) * (1 - t(w)))
        yy = open_ * hh + closed * across + 2.0 * half * h * 0.5
        through = gain * open_ * mean(lambda z, w: steep(expit, z) * steep(expit, w))
        gated = mean(lambda z, w: steep(t, z) * steep(t, w)) * (hh + across - 2.0 * h * 0.5)
        found.append((yy, delta * (closed + through + gain * gated)))
    (same, slope), (two, slopes) = found
    scale = math.exp(back.log)
    assert step.signal.same[0, 0] == pytest.approx(same, rel=1e-9)
    assert step.signal.gap[0, 0] == pytest.approx(same - two, rel=1e-9)
    assert scale * back.same[0, 0] == pytest.approx(slope, rel=1e-9)
    assert scale * back.gap[0, 0] == pytest.approx(slope - slopes, rel=1e-9)


@pytest.mark.parametrize("positions", [1, 2, 3])
def test_it_is_not_known_on_grids(positions):
    same = 1.5 * np.eye(positions)
    state = Signal(Shape(8, (positions,)), np.zeros(positions), same, same, GAUSSIAN)
    found = Highway("tanh").moments([state], 4)
    assert isinstance(found, NoTheory) == (positions > 1)


def test_only_silence_stays_silent():
    zero = Signal.of_one(Shape(8), (0.0, 0.0, 0.0), ZERO)
    other, gaussian = (Signal.of_one(Shape(8), (0.0, 1.5, 0.5), law) for law in (OTHER, GAUSSIAN))

    def law(signal, **keys):
        return Highway("tanh", **keys).moments([signal], 4).signal.law

    assert law(zero) == ZERO
    assert law(zero, bias_std=0.3) == OTHER
    assert law(other) == law(gaussian) == law(gaussian, weight_gain=0.0) == OTHER
