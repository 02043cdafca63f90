"""Where a bounded activation is saturated: |φ'| is below a hundredth of its maximum."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np

from snstat.activation import Activation

# A unit is saturated if |φ'| is below this fraction of its maximum.
SATURATED = 0.01
# Bounded activations are saturated beyond ±50 and twice their kinks. The slope of softsign decays
# most slowly, and is below a hundredth beyond 9.
_RANGE, _POINTS = 50.0, 20_001


def saturates(activation: Activation) -> bool:
    """Return whether the activation is bounded, with horizontal asymptotes at both ends."""
    return activation.left is not None and activation.right is not None


@lru_cache(maxsize=64)
def level_parts(activation: Activation) -> tuple[tuple[float, float], ...]:
    """Return the intervals on which |φ'| is below a hundredth of its maximum, in order."""
    reach = max([_RANGE, *(2.0 * abs(kink) for kink in activation.kinks)])
    x = np.linspace(-reach, reach, _POINTS)
    slope = np.abs(activation.derivative(x))
    bound = SATURATED * float(slope.max())
    level = slope < bound
    edges = [-math.inf] if level[0] else []
    for left in np.flatnonzero(level[1:] != level[:-1]).tolist():
        low, high = float(x[left]), float(x[left + 1])
        for _ in range(60):
            middle = 0.5 * (low + high)
            same = (abs(float(activation.derivative(np.array(middle)))) < bound) == level[left]
            low, high = (middle, high) if same else (low, middle)
        edges.append(0.5 * (low + high))
    if level[-1]:
        edges.append(math.inf)
    return tuple(zip(edges[::2], edges[1::2], strict=True))


def resting_part(activation: Activation) -> tuple[float, float]:
    """Return the level interval that reaches to 0: there a unit is off, as half of the units of
    ReLU6 are, rather than driven to an end. (0, 0) if there is none."""
    parts = level_parts(activation) if saturates(activation) else ()
    return next((part for part in parts if part[0] <= 0.0 <= part[1]), (0.0, 0.0))


def steep_range(activation: Activation) -> tuple[float, float]:
    """Return (low, high): a unit is saturated outside this interval. NaN for activations that
    are unbounded, or saturated in between too."""
    parts = level_parts(activation) if saturates(activation) else ()
    if len(parts) != 2 or parts[0][0] != -math.inf or parts[1][1] != math.inf:
        return math.nan, math.nan
    return parts[0][1], parts[1][0]
