"""Pair expectations of hard swish, x·min(max(x + b, 0), 2b)/(2b), from its second derivative.

With y = x/b, φ''(x) = (1[|y| < 1] − ½δ(y − 1) − ½δ(y + 1))/b, and by Price's theorem

    slope(c) = E[φ'²] − q ∫ E[φ''φ''] dc',   gap(c) = q (1 − c) E[φ'²] − q² ∫ (c' − c) E[φ''φ''] dc'

from c to 1. E[φ''φ''] of two samples consists of the probability that both |y| < 1 (see
`pairs_polar.hard_tanh_gap`), a Gaussian probability for one at its kink, and a density for both.
"""

from __future__ import annotations

import math

import numpy as np

from snstat.gaussian.pairs_polar import Kernel, angle_of, hard_tanh_gap, hard_tanh_moment, mirrored
from snstat.gaussian.quadrature import FloatArray
from snstat.values.special import special

# Below this edge a difference of error functions is a series of so many terms.
_SMALL_EDGE, _TERMS = 0.5, 14


def hard_swish_gap(bound: float) -> Kernel:
    """Return the gap of hard swish with kinks at ±`bound` as a function of (q, 1 − c)."""

    def gap(second_moment: float, misalignment: float) -> float:
        q = second_moment / (bound * bound)
        angle = angle_of(misalignment)
        step, density, weight = _at_kinks(q, angle)
        # cos θ' − cos θ
        beyond = 2.0 * np.sin((angle + step) / 2.0) * np.sin((angle - step) / 2.0)
        curved = q * (hard_tanh_moment(q, misalignment) + float(weight @ (beyond * density)))
        return second_moment * (misalignment * _slope_square(q) - curved)

    return gap


def hard_swish_slope(bound: float) -> Kernel:
    """Return E[φ'(z₁)φ'(z₂)] of the same activation."""

    def slope(second_moment: float, misalignment: float) -> float:
        q = second_moment / (bound * bound)
        _, density, weight = _at_kinks(q, angle_of(misalignment))
        return _slope_square(q) - hard_tanh_gap(q, misalignment) - q * float(weight @ density)

    return slope


def _at_kinks(q: float, angle: float) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return θ' on [0, θ], the part of b² sin θ' E[φ''φ''] in which one sample or both are at a
    kink, and weights; q is that of y."""
    std = math.sqrt(q)
    step, weight = mirrored(angle, 8.0 * (1.0 + std + 1.0 / std))
    sine, cosine = np.sin(step / 2.0), np.cos(step / 2.0)
    erf = special("erf")
    with np.errstate(divide="ignore", over="ignore", under="ignore"):
        inside = 0.5 * (erf(sine / cosine / (math.sqrt(2.0) * std)))
        inside += 0.5 * erf(cosine / sine / (math.sqrt(2.0) * std))
        # Both at one kink, or at both: 1 ± c = 2 cos², 2 sin² of θ'/2.
        both = np.exp(-0.5 / q / cosine**2) + np.exp(-0.5 / q / sine**2)
    one = math.exp(-0.5 / q) / (math.sqrt(2.0 * math.pi) * std)
    density = both / (4.0 * math.pi * q) - 2.0 * one * inside * np.sin(step)
    return step, density, weight


def _slope_square(q: float) -> float:
    """Return E[φ'²]: (y + ½)² between the kinks, then 1."""
    edge = 1.0 / math.sqrt(2.0 * q)
    inside, outside = math.erf(edge), math.erfc(edge)
    if edge < _SMALL_EDGE:
        terms = (
            (-1.0) ** k * edge ** (2 * k) / (math.factorial(k) * (2 * k + 3)) for k in range(_TERMS)
        )
        share = 4.0 / math.sqrt(math.pi) * edge**3 * sum(terms)
    else:
        share = inside - 2.0 / math.sqrt(math.pi) * edge * math.exp(-edge * edge)
    return 0.5 * outside + 0.25 * inside + q * share
