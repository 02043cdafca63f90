"""Moments of an activation whose pre-activation is N(0, q): one layer of a random network."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from snstat.activation import Activation
from snstat.gaussian.expectations import one_sided_slopes
from snstat.gaussian.pairs_numeric import trapezoid
from snstat.gaussian.quadrature import FloatArray, centred_nodes, composite, gaussian_nodes
from snstat.gaussian.sine import sine_centred


@dataclass(frozen=True, slots=True)
class CentredMoments:
    """E φ, Var φ, kurtosis and skewness of φ, and E[φ'²], for z ~ N(0, q).

    Kurtosis and skewness are NaN where the variance of φ is 0. At q = 0, E[φ'²] is its limit for
    small q: at a kink of φ, the mean over both sides.
    """

    mean: float
    variance: float
    kurtosis: float
    derivative_square: float
    skewness: float = math.nan

    @property
    def second_moment(self) -> float:
        """E[φ²]."""
        return self.mean * self.mean + self.variance

    @property
    def cumulants(self) -> tuple[float, float]:
        """The third and fourth cumulant of φ, 0 of a constant."""
        square = self.variance * self.variance
        if not square > 0:
            return 0.0, 0.0
        third = self.skewness * self.variance * math.sqrt(self.variance)
        return third, (self.kurtosis - 3.0) * square


def centred_moments(activation: Activation, second_moment: float) -> CentredMoments:
    """Return the moments of φ(z) for z ~ N(0, `second_moment`), a finite value of at least 0."""
    # Deep networks come back to the same values. The functions of users are not kept alive.
    find = _moments.__wrapped__ if activation.custom else _moments
    return find(activation, second_moment)


@lru_cache(maxsize=256)
def _moments(activation: Activation, second_moment: float) -> CentredMoments:
    half_linear, clip = activation.formed("half_linear"), activation.formed("clip")
    if half_linear is not None:
        return _half_linear(half_linear[0], second_moment)
    sine = activation.formed("sine")
    if sine is not None:
        return CentredMoments(0.0, *sine_centred(sine[0], second_moment), 0.0)
    std = math.sqrt(second_moment)
    if clip is not None and 0 < std <= clip[0]:
        return _clip(clip[0], std)
    x, weight = rule(activation, std)
    value = activation.function(x)
    mean = 0.0 if activation.odd else float(weight @ value)
    spread = value - mean
    # Scale before squaring, so that tiny signals do not vanish and huge ones do not overflow.
    scale = float(np.abs(spread).max())
    square = (spread / scale) ** 2 if scale > 0 else spread
    variance = float(weight @ square)
    fourth = float(weight @ (square * square))
    if std == 0:
        left, right = one_sided_slopes(activation, 0.0)
        return CentredMoments(mean, 0.0, math.nan, float(left * left + right * right) / 2.0)
    slope = activation.derivative(x)
    return CentredMoments(
        mean,
        variance * scale * scale,
        fourth / variance**2 if variance > 0 else math.nan,
        float(weight @ (slope * slope)),
        float(weight @ (square * spread)) / scale / variance**1.5 if variance > 0 else math.nan,
    )


def closed_form(activation: Activation) -> bool:
    """Return whether the moments of `activation` have a closed form for signals of any size."""
    return activation.form is not None and activation.form[0] in ("half_linear", "sine")


def second_moments(activation: Activation, q: FloatArray) -> FloatArray:
    """Return E[φ(z)²] for z ~ N(0, q), (points,), for all q (points,) at once, to scan the map.

    For activations with a single kink at 0 (SELU, ELU) the points share one quadrature rule.
    """
    if activation.kinks != (0.0,) or activation.formed("half_linear"):
        return np.array([centred_moments(activation, float(point)).second_moment for point in q])
    std, result = np.sqrt(q), np.empty(len(q))
    near = std <= 1.0
    z, weight = _half_lines()
    value = activation.function(std[near, None] * z)
    result[near] = (value * value) @ weight
    if not near.all():
        nodes = gaussian_nodes(activation, np.zeros(int((~near).sum())), std[~near])
        value = activation.function(nodes.x)
        result[~near] = (nodes.weight * value * value).sum(axis=1)
    return result


def rule(activation: Activation, std: float) -> tuple[FloatArray, FloatArray]:
    """Return nodes x and weights for expectations over N(0, std²)."""
    if activation.kinks == (0.0,) and std <= 1.0:
        z, weight = _half_lines()
        return z * std, weight
    rule = trapezoid(activation, std)
    if rule is not None:
        return rule
    return centred_nodes(activation, std)


@lru_cache(maxsize=1)
def _half_lines() -> tuple[FloatArray, FloatArray]:
    """Return z and weights for functions smooth at the scale of z except for a kink at 0."""
    z, weight = composite(np.linspace(-9.8, 9.8, 9), 24)
    weight = weight * np.exp(-0.5 * z * z)
    return z, weight / weight.sum()


def _half_linear(slope: float, second_moment: float) -> CentredMoments:
    """Return the moments of φ(x) = x if x > 0 else slope·x in closed form: they scale with q."""
    first = (1.0 - slope) / math.sqrt(2.0 * math.pi)
    second = (1.0 + slope**2) / 2.0
    third = 2.0 * (1.0 - slope**3) / math.sqrt(2.0 * math.pi)
    fourth = 1.5 * (1.0 + slope**4)
    variance = second - first**2
    central = fourth - 4.0 * first * third + 6.0 * first**2 * second - 3.0 * first**4
    skew = third - 3.0 * first * second + 2.0 * first**3
    return CentredMoments(
        first * math.sqrt(second_moment),
        variance * second_moment,
        central / variance**2 if second_moment > 0 else math.nan,
        second,
        skew / variance**1.5 if second_moment > 0 else math.nan,
    )


def _clip(bound: float, std: float) -> CentredMoments:
    """Return the moments of z clipped to ±bound in closed form, without cancellation for
    std ≤ bound."""
    # Beyond 50 standard deviations nothing is clipped, and powers of larger edges would overflow.
    edge = min(bound / std, 50.0)
    inside, outside = math.erf(edge / math.sqrt(2.0)), math.erfc(edge / math.sqrt(2.0))
    density = math.sqrt(2.0 / math.pi) * math.exp(-0.5 * edge * edge)
    second = inside - edge * density + edge * edge * outside
    fourth = 3.0 * inside - edge * (edge * edge + 3.0) * density + edge**4 * outside
    return CentredMoments(0.0, std * std * second, fourth / second**2, inside, 0.0)
