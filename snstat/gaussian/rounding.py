"""Numbers that differ from a short one, or from 0, by rounding alone."""

from __future__ import annotations

import math

# Means and entries of Jacobians this small relative to the whole are rounding and reported as 0. A
# number of 12 digits this close to a computed value replaces it.
ROUNDING = 2e-15


def neat(value: float) -> float:
    """Return `value` rounded to 12 digits if that is within rounding of it, else `value` itself."""
    if not math.isfinite(value):
        return value
    short = float(f"{value:.12g}")
    return short if abs(short - value) <= ROUNDING * abs(value) else value


def without_noise(mean: float, scale: float) -> float:
    """Return `mean`, or 0 where it is rounding relative to the root mean square `scale`."""
    return 0.0 if abs(mean) <= ROUNDING * scale else neat(mean)
