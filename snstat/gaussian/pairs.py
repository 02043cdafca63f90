"""Pairs of inputs: expectations of an activation over two correlated Gaussians.

For jointly Gaussian z₁, z₂ of mean 0, second moment q each and correlation c, everything follows
from two expectations. They are functions of q and of 1 − c, so that nearly aligned inputs keep
their relative precision:

    gap   = E[φ(z₁)²] − E[φ(z₁)φ(z₂)] = ½ E[(φ(z₁) − φ(z₂))²]   (a mean of squares: no cancellation)
    slope = E[φ'(z₁)φ'(z₂)] = −∂gap/∂(qc)                        (Price's theorem)

Closed forms: Cho, Saul 2009 (ReLU and its square), Williams 1997 (erf).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import lru_cache
from types import MappingProxyType
from typing import TypeVar

import numpy as np

from snstat.activation import Activation, Form
from snstat.gaussian.pairs_numeric import numeric_gap, numeric_slope
from snstat.gaussian.pairs_polar import (
    angle_of,
    clip_gap,
    clip_slope,
    clipped_relu_gap,
    clipped_relu_slope,
    elu_gap,
    elu_slope,
    ramp_gap,
    ramp_slope,
)
from snstat.gaussian.pairs_swish import hard_swish_gap, hard_swish_slope
from snstat.gaussian.quadrature import FloatArray
from snstat.gaussian.sine import sine_gap, sine_slope

# From this standard deviation on, an activation equals its asymptotes to a relative 1/std.
_ASYMPTOTIC_STD = 1e12
# Tolerance between the expectations of a user's function on two sets of panels.
_AGREED = 1e-10

# From this angle on θ − sin θ cancels little.
_LARGE_ANGLE = 0.5

# A number, or an array of numbers.
Angle = TypeVar("Angle", float, FloatArray)
# (q, 1 − c) → expectation
Kernel = Callable[[float, float], float]


def pair_gap(activation: Activation, second_moment: float, misalignment: float) -> float:
    """Return ½E[(φ(z₁) − φ(z₂))²] at q = `second_moment` and 1 − c = `misalignment` in [0, 2],
    NaN where the latter is not known."""
    if second_moment == 0 or misalignment == 0:
        return 0.0
    if math.isnan(misalignment):
        return math.nan
    return _expectation(0, activation, second_moment, misalignment)


def pair_slope(activation: Activation, second_moment: float, misalignment: float) -> float:
    """Return E[φ'(z₁)φ'(z₂)] at q = `second_moment` and 1 − c = `misalignment` in [0, 2],
    NaN where the latter is not known."""
    if math.isnan(misalignment):
        return math.nan
    return _expectation(1, activation, second_moment, misalignment)


def _expectation(
    which: int, activation: Activation, second_moment: float, misalignment: float
) -> float:
    """Return the gap (`which` = 0) or the slope (1), in closed form or by quadrature.

    For a user's function it is NaN unless finer panels give the same result.
    """
    if 0 < max(activation.slopes) < math.inf and second_moment > _ASYMPTOTIC_STD**2:
        left, right = activation.slopes
        kernel = _kernels(("half_linear", left / right))[which]
        return right * right * kernel(second_moment, misalignment)
    if activation.form is not None:
        return _kernels(activation.form)[which](second_moment, misalignment)
    numeric = (numeric_gap, numeric_slope)[which]
    found = numeric(activation, second_moment, misalignment)
    if not activation.custom or math.isnan(found):
        return found
    again = numeric(_finer(activation), second_moment, misalignment)
    return found if abs(found - again) <= _AGREED * abs(again) else math.nan


@lru_cache(maxsize=32)
def _finer(activation: Activation) -> Activation:
    """Return the same function with finer panels."""
    bend = 0.5 * activation.bend
    edges = {sign * part * bend for sign in (-1.0, 1.0) for part in (1.0, 3.0, 5.0)}
    return replace(activation, bend=bend, kinks=tuple(sorted({*activation.kinks, *edges})))


def _angle_minus_sine(angle: float) -> float:
    """Return θ − sin θ without cancellation."""
    return angle - math.sin(angle) if angle > _LARGE_ANGLE else _short_series(angle)


def _short_series(angle: Angle) -> Angle:
    square = angle * angle
    total = 0.0 * angle
    for k in (17, 15, 13, 11, 9, 7, 5, 3):  # Horner form of Σ (−1)ᵏ θ²ᵏ⁺¹/(2k+1)!
        total = (1.0 - total) * square / (k * (k - 1))
    return total * angle


def _leaky_gap(slope: float) -> Kernel:
    def gap(second_moment: float, misalignment: float) -> float:
        angle = angle_of(misalignment)
        linear = 0.5 * (1.0 + slope * slope) * misalignment
        # E[φφ] = q((1+a²)c/2 + (1−a)²(sin θ − θc)/(2π)), and θc − sin θ = (θ − sin θ) − θ(1−c).
        bend = (1.0 - slope) ** 2 / (2.0 * math.pi)
        return second_moment * (linear + bend * (_angle_minus_sine(angle) - angle * misalignment))

    return gap


def half_linear_gaps(left: float, right: float, misalignment: FloatArray) -> FloatArray:
    """Return `pair_gap` of `left`·x for x < 0 and `right`·x for x > 0 at q = 1, of any shape."""
    angle = 2.0 * np.arcsin(np.sqrt(np.minimum(misalignment / 2.0, 1.0)))
    rest = np.where(angle > _LARGE_ANGLE, angle - np.sin(angle), _short_series(angle))
    bend = (right - left) ** 2 / (2.0 * math.pi)
    gaps: FloatArray = 0.5 * (left**2 + right**2) * misalignment
    gaps += bend * (rest - angle * misalignment)
    return gaps


def _leaky_slope(slope: float) -> Kernel:
    def kernel(second_moment: float, misalignment: float) -> float:
        angle = angle_of(misalignment)
        same = (1.0 + slope * slope) * (math.pi - angle) / (2.0 * math.pi)
        return same + slope * angle / math.pi

    return kernel


def _erf_gap(second_moment: float, misalignment: float) -> float:
    # (2/π)(asin A − asin B), A = 2q/(1+2q), B = cA, as one arctangent.
    first = 2.0 / (1.0 / second_moment + 2.0)
    second = first * (1.0 - misalignment)
    square_gap = first * first * misalignment * (2.0 - misalignment)
    first_cosine = math.sqrt(1.0 + 4.0 * second_moment) / (1.0 + 2.0 * second_moment)
    second_cosine = math.sqrt(first_cosine * first_cosine + square_gap)
    if second > 0:
        sine = square_gap / (first * second_cosine + second * first_cosine)
    else:
        sine = first * second_cosine - second * first_cosine
    return 2.0 / math.pi * math.atan2(sine, first_cosine * second_cosine + first * second)


def _erf_slope(second_moment: float, misalignment: float) -> float:
    spread = second_moment * second_moment * misalignment * (2.0 - misalignment)
    return 4.0 / math.pi / math.sqrt(1.0 + 4.0 * second_moment + 4.0 * spread)


def _squared_gap(second_moment: float, misalignment: float) -> float:
    # E[φφ] = q²(3 sin θ cos θ + (π − θ)(1 + 2 cos² θ))/(2π) of max(x, 0)².
    angle = angle_of(misalignment)
    square_sine = misalignment * (2.0 - misalignment)
    turned = 2.0 * (math.pi - angle) * square_sine + 1.5 * _angle_minus_sine(2.0 * angle)
    return second_moment * second_moment * turned / (2.0 * math.pi)


def _squared_slope(second_moment: float, misalignment: float) -> float:
    # 2q(sin θ + (π − θ) cos θ)/π, and sin α − α cos α for α = π − θ cancels near 0.
    if misalignment <= 1.0:
        angle = angle_of(misalignment)
        turned = math.sin(angle) + (math.pi - angle) * (1.0 - misalignment)
    else:
        rest = angle_of(2.0 - misalignment)
        turned = rest * (2.0 - misalignment) - _angle_minus_sine(rest)
    return 2.0 * second_moment * turned / math.pi


def _of_constant(first: Kernel, second: Kernel) -> Callable[[], tuple[Kernel, Kernel]]:
    return lambda: (first, second)


# For each form of `Activation.form`, a function that builds gap and slope from its parameters.
_FORMS: Mapping[str, Callable[..., tuple[Kernel, Kernel]]] = MappingProxyType(
    {
        "half_linear": lambda slope: (_leaky_gap(slope), _leaky_slope(slope)),
        "exponential": lambda alpha, scale: (elu_gap(alpha, scale), elu_slope(alpha, scale)),
        "clip": lambda bound: (clip_gap(bound), clip_slope(bound)),
        "ramp": lambda bound, rise: (ramp_gap(bound, rise), ramp_slope(bound, rise)),
        "clipped_relu": lambda bound: (clipped_relu_gap(bound), clipped_relu_slope(bound)),
        "hard_swish": lambda bound: (hard_swish_gap(bound), hard_swish_slope(bound)),
        "squared": _of_constant(_squared_gap, _squared_slope),
        "erf": _of_constant(_erf_gap, _erf_slope),
        "sine": lambda frequency: (sine_gap(frequency), sine_slope(frequency)),
    }
)


@lru_cache(maxsize=256)
def _kernels(form: Form) -> tuple[Kernel, Kernel]:
    return _FORMS[form[0]](*form[1:])
