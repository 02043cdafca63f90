"""Highways, against quadrature of scipy."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.special import expit

from snstat.layers.highway import Highway, _Gate
from snstat.layers.shape import Shape
from snstat.layers.signal import GAUSSIAN, OTHER, Signal, Slope


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


def test_gradients_of_equal_samples_are_equal():
    """Where two samples are alike and have one read-out, nothing may tell them apart."""
    state = Signal.of_one(Shape(8), (0.5, 2.0, 0.0), OTHER)
    step = Highway("relu", bias_std=0.2).moments([state], 4)
    (back,) = step.pull(Slope(np.ones((1, 1)), np.zeros((1, 1))))
    assert step.signal.gap[0, 0] == 0.0
    assert abs(back.gap[0, 0]) < 1e-12
