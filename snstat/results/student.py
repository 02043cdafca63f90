"""Student's t: how likely a mean is so many standard errors off by chance."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    FloatArray = npt.NDArray[np.float64]

# Beyond this many degrees of freedom the sums of `tail` are too long.
MANY = 400


def tail(t: float, freedom: int) -> float:
    """Return the two-sided probability of |t| at `freedom` degrees of freedom.

    Its tails are far heavier than a normal's at few degrees of freedom. Then the sums for whole
    ones (Abramowitz, Stegun, 26.7.3 and 26.7.4) are short. Other cases use scipy, whose import
    takes longer than a run.
    """
    if math.isinf(t):
        return 0.0
    if freedom > MANY:
        from scipy.special import stdtr

        return 2.0 * float(stdtr(freedom, -abs(t)))
    angle = math.atan2(abs(t), math.sqrt(freedom))
    sine, square = math.sin(angle), math.cos(angle) ** 2
    odd = freedom % 2
    term, total = (math.cos(angle), 0.0) if odd else (1.0, 0.0)
    for k in range(freedom // 2):
        total += term
        term *= square * (2 * k + 1 + odd) / (2 * k + 2 + odd)
    inside = 2.0 / math.pi * (angle + sine * total) if odd else sine * total
    return max(1.0 - inside, 0.0)


def tails(t: FloatArray, freedom: FloatArray | int) -> FloatArray:
    """Return the same of every `t`, NaN where it is NaN. Degrees of freedom may be fractions."""
    from scipy.special import stdtr

    result: FloatArray = 2.0 * stdtr(freedom, -abs(t))
    return result


def quantile(probability: float, freedom: int) -> float:
    """Return the |t| whose two-sided probability at `freedom` degrees of freedom is this one."""
    from scipy.special import stdtrit

    return float(stdtrit(freedom, 1.0 - 0.5 * probability))
