"""Roots of many functions at once."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from snstat.gaussian.quadrature import FloatArray

IntArray = npt.NDArray[np.intp]
# Values and slopes at places (points,) of the functions of these numbers, all for None.
Functions = Callable[[FloatArray, IntArray | None], tuple[FloatArray, FloatArray]]

# After a step this short Newton's method has converged: the error is about its square. A value this
# small is rounding.
_SHORT, _ROUNDING = 1e-8, 4e-16
# Steps of all functions before only those that still move are continued, and the most steps.
_TOGETHER, _MOST_STEPS = 4, 120


def decreasing_roots(
    functions: Functions, low: FloatArray, high: FloatArray, start: FloatArray
) -> FloatArray:
    """Return where each function falls through 0, (points,), by Newton's method in a bracket.

    Functions are positive at `low` and not positive at `high`. A step that leaves the bracket,
    which shrinks with every value, is replaced by its middle.
    """
    place, low, high = start.copy(), low.copy(), high.copy()
    of: IntArray | None = None
    for step in range(_MOST_STEPS):
        at = place if of is None else place[of]
        value, slope = functions(at, of)
        below = value > 0
        bottom, top = (low, high) if of is None else (low[of], high[of])
        bottom, top = np.where(below, at, bottom), np.where(below, top, at)
        with np.errstate(divide="ignore", invalid="ignore"):
            moved = at - value / slope
        inside = (moved >= bottom) & (moved <= top)
        moved = np.where(inside, moved, 0.5 * (bottom + top))
        done = (np.abs(value) <= _ROUNDING) | (np.abs(moved - at) <= _SHORT) & inside
        done |= top - bottom <= _ROUNDING
        np.copyto(moved, at, where=np.abs(value) <= _ROUNDING)
        if of is None:
            place, low, high = moved, bottom, top
        else:
            place[of], low[of], high[of] = moved, bottom, top
        if done.all():
            break
        if of is not None:
            of = of[~done]
        elif step >= _TOGETHER - 1:
            of = np.flatnonzero(~done)
    return place
