"""Closed forms of sin(ωz), z ~ N(m, v), in a = ω²v: Gaussian averages of trigonometric functions.

They are written in terms of 1 − e^−a and similar, so that nothing cancels:
E e^{ikωz} = e^{−k²a/2 + ikωm}.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from snstat.gaussian.quadrature import FloatArray

Kernel = Callable[[float, float], float]


def sine_moments(
    frequency: float, mean: npt.ArrayLike, variance: npt.ArrayLike
) -> tuple[FloatArray, FloatArray]:
    """Return (E, Var) of sin(ωz)."""
    angle, loss, kept = _parts(frequency, mean, variance)
    first = np.sin(angle) * np.exp(-0.5 * frequency * frequency * np.asarray(variance))
    return first[()], (loss * (0.5 * loss + kept * np.cos(angle) ** 2))[()]


def sine_slope_mean(frequency: float, mean: npt.ArrayLike, variance: npt.ArrayLike) -> FloatArray:
    """Return E[ω cos(ωz)]."""
    decay = np.exp(-0.5 * frequency * frequency * np.asarray(variance, dtype=np.float64))
    result: FloatArray = frequency * np.cos(frequency * np.asarray(mean)) * decay
    return result[()]


def sine_slope_square(frequency: float, mean: npt.ArrayLike, variance: npt.ArrayLike) -> FloatArray:
    """Return E[ω² cos²(ωz)]."""
    angle, loss, kept = _parts(frequency, mean, variance)
    # Var cos + (E cos)², as for the sine shifted by a quarter period.
    square = loss * (0.5 * loss + kept * np.sin(angle) ** 2) + kept * np.cos(angle) ** 2
    result: FloatArray = frequency * frequency * square
    return result[()]


def sine_jacobian(
    frequency: float, mean: FloatArray, variance: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Return ∂E/∂m, ∂E/∂v, ∂Var/∂m and ∂Var/∂v."""
    angle, loss, kept = _parts(frequency, mean, variance)
    decay = np.exp(-0.5 * frequency * frequency * variance)
    square = frequency * frequency
    return (
        frequency * np.cos(angle) * decay,
        -0.5 * square * np.sin(angle) * decay,
        -frequency * kept * loss * np.sin(2.0 * angle),
        square * kept * (loss + (kept - loss) * np.cos(angle) ** 2),
    )


def sine_kurtosis(frequency: float, mean: npt.ArrayLike, variance: npt.ArrayLike) -> FloatArray:
    """Return E[(φ − E φ)⁴]/Var² for a of about 1 or more; for smaller a the harmonics cancel."""
    angle = frequency * np.asarray(mean, dtype=np.float64)
    a = frequency * frequency * np.asarray(variance, dtype=np.float64)
    first = np.sin(angle) * np.exp(-0.5 * a)
    second = 0.5 - 0.5 * np.cos(2.0 * angle) * np.exp(-2.0 * a)
    third = 0.75 * first - 0.25 * np.sin(3.0 * angle) * np.exp(-4.5 * a)
    fourth = 0.375 - 0.5 * np.cos(2.0 * angle) * np.exp(-2.0 * a)
    fourth += 0.125 * np.cos(4.0 * angle) * np.exp(-8.0 * a)
    central = fourth - 4.0 * first * third + 6.0 * first**2 * second - 3.0 * first**4
    result: FloatArray = central / (second - first * first) ** 2
    return result[()]


def sine_centred(frequency: float, second_moment: float) -> tuple[float, float, float]:
    """Return Var, kurtosis and E[φ'²] at mean 0; the kurtosis is NaN where the variance is 0."""
    loss = -math.expm1(-2.0 * frequency * frequency * second_moment)
    kurtosis = 0.5 * (6.0 - 4.0 * loss + loss * loss) if loss > 0 else math.nan
    return 0.5 * loss, kurtosis, frequency * frequency * (1.0 - 0.5 * loss)


def sine_gap(frequency: float) -> Kernel:
    """Return the gap of sin(ωx) as a function of (q, 1 − c)."""
    square = frequency * frequency

    def gap(second_moment: float, misalignment: float) -> float:
        a = square * second_moment
        return -0.5 * math.expm1(-a * misalignment) * (1.0 + math.exp(-a * (2.0 - misalignment)))

    return gap


def sine_slope(frequency: float) -> Kernel:
    """Return E[φ'(z₁)φ'(z₂)] of sin(ωx) as a function of (q, 1 − c)."""
    square = frequency * frequency

    def slope(second_moment: float, misalignment: float) -> float:
        a = square * second_moment
        apart, together = math.exp(-a * misalignment), math.exp(-a * (2.0 - misalignment))
        return 0.5 * square * (apart + together)

    return slope


def sine_pair_squares(
    frequency: float, second_moment: float, misalignment: float
) -> tuple[float, float, float]:
    """Return E[s₁²s₂²], E[c₁²c₂²] and E[c₁²s₂²], with s and c the sine and cosine of ωz."""
    a = frequency * frequency * second_moment
    both = 0.5 * (math.exp(-4.0 * a * misalignment) + math.exp(-4.0 * a * (2.0 - misalignment)))
    one = math.exp(-2.0 * a)
    return 0.25 * (1.0 - 2.0 * one + both), 0.25 * (1.0 + 2.0 * one + both), 0.25 * (1.0 - both)


def _parts(
    frequency: float, mean: npt.ArrayLike, variance: npt.ArrayLike
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return ωm, 1 − e^−a and e^−a."""
    a = frequency * frequency * np.asarray(variance, dtype=np.float64)
    return frequency * np.asarray(mean, dtype=np.float64), -np.expm1(-a), np.exp(-a)
