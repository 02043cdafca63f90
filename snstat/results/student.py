"""Student's t: how likely a mean is so many standard errors off by chance.

scipy has both functions, but importing scipy.special takes longer than judging a run.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    FloatArray = npt.NDArray[np.float64]

# Relative differences of values that count as equal.
_PRECISION = 1e-15
# Beyond this, 1 + s² is s² to rounding.
_LARGE = 1e8
# Γ(a + ½)/Γ(a) is √w times this series in 1/w², w = a − ¼: to rounding from a = 20 on.
_SERIES = (1.0, 1 / 64, -19 / 8192, 631 / 524288, -174317 / 2**27)
_FROM = 20


def tail(t: npt.ArrayLike, freedom: npt.ArrayLike) -> FloatArray:
    """Return the two-sided probability of |t| at `freedom` degrees of freedom.

    Degrees of freedom may be fractions, and are at least 1. The arguments broadcast; NaN where one
    is NaN. It is the incomplete beta function I_x(freedom/2, ½) with x = freedom/(freedom + t²), to
    1e-13 far out in the tail, too.
    """
    freedom = np.asarray(freedom, np.float64)
    s = np.abs(t) / np.sqrt(freedom)
    with np.errstate(over="ignore", divide="ignore"):
        square = s * s
        x, y = 1.0 / (1.0 + square), 1.0 / (1.0 + 1.0 / square)
        log = np.where(s > _LARGE, 2.0 * np.log(s), np.log1p(square))
    a = 0.5 * freedom
    front = np.exp(-a * log) * np.sqrt(y / math.pi) * _ratio(a)  # xᵃ √y/B(a, ½)
    beyond = (a + 0.5) * y - 0.5  # how far x is below the mean of the beta distribution
    far = beyond > 0
    first, second = np.where(far, a, 0.5), np.where(far, 0.5, a)
    part = front / _fraction(first, second, np.where(far, x, y), np.abs(beyond))
    result: FloatArray = np.where(far, part, 1.0 - part)[()]
    return result


def quantile(probability: float, freedom: int) -> float:
    """Return the |t| whose two-sided probability at `freedom` degrees of freedom is this one."""
    t, change = math.sqrt(-2.0 * math.log(probability)), math.inf  # enough for a normal
    # Newton's method in logarithms, in which the tail is concave: after one step, it falls.
    while abs(change) > _PRECISION:
        chance, s = float(tail(t, freedom)), t / math.sqrt(freedom)
        density = s * float(_ratio(np.asarray(0.5 * freedom))) / math.sqrt(math.pi)
        slope = 2.0 * density * (1.0 + s * s) ** (-0.5 * (freedom + 1)) / chance
        change = math.log(chance / probability) / slope
        t *= math.exp(change)
    return t


def _ratio(a: FloatArray) -> FloatArray:
    """Return Γ(a + ½)/Γ(a), which a difference of their logarithms has not to full precision."""
    w = a + (_FROM - 0.25)
    result: FloatArray = np.sqrt(w) * np.polynomial.polynomial.polyval(w**-2.0, _SERIES)
    for k in range(_FROM):
        result = result * ((a + k) / (a + (k + 0.5)))
    return result


def _fraction(a: FloatArray, b: FloatArray, x: FloatArray, below: FloatArray) -> FloatArray:
    """Return xᵃ (1 − x)ᵇ/(B(a, b) I_x(a, b)) for x below the mean: a − (a + b) x is `below`.

    Source: Didonato, Morris, ACM Transactions on Mathematical Software 18 (1992), equation 9.
    """
    c = total = a / (a + 1.0) * (below + 1.0)
    d, n, changes = 0.0 * c, 0, True
    while changes:  # Lentz's method
        n += 1
        step = n * (b - n) * x / (a + (2 * n - 1))
        top = step * x * (a + (n - 1)) * (a + b + (n - 1)) / (a + (2 * n - 1))
        bottom = n + step + (a + n) / (a + (2 * n + 1)) * (below + 1.0 + n * (2.0 - x))
        c, d = bottom + top / c, 1.0 / (bottom + top * d)
        total = total * (c * d)
        changes = bool((np.abs(c * d - 1.0) > _PRECISION).any())
    return total
