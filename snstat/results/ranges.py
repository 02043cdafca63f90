"""The range of each statistic, by its definition."""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import MappingProxyType

# Least and largest value of each statistic of one layer, for any network. A kurtosis is at least 1,
# because a mean of squares is at least the square of the mean.
RANGES: Mapping[str, tuple[float, float]] = MappingProxyType(
    {
        "mean": (-math.inf, math.inf),
        "variance": (0.0, math.inf),
        "second_moment": (0.0, math.inf),
        "variance_over_batch": (0.0, math.inf),
        "variance_over_units": (0.0, math.inf),
        "variance_over_positions": (0.0, math.inf),
        "cosine": (-1.0, 1.0),
        "position_cosine": (-1.0, 1.0),
        "kurtosis": (1.0, math.inf),
        "dead_fraction": (0.0, 1.0),
        "saturated_fraction": (0.0, 1.0),
        "zero_samples": (0.0, 1.0),
        "largest": (0.0, math.inf),
        "gradient": (0.0, math.inf),
    }
)
# Statistics between 0 and 1 that all trials may agree on by chance.
SHARES = frozenset(name for name, ends in RANGES.items() if ends == (0.0, 1.0))
ANYTHING = (-math.inf, math.inf)
# Statistics of float32 networks are computed in float64, from products in float32 at most. This
# relative tolerance is four bits more than the rounding of such a product.
ROUNDING = 2.0**-20


def within(name: str) -> tuple[float, float]:
    """Return the least and the largest value of a statistic, with room for rounding."""
    low, high = RANGES.get(name, ANYTHING)
    return low - ROUNDING * abs(low), high + ROUNDING * abs(high)
