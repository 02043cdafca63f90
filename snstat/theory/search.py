"""What searches for fixed points share: their result, and roots of functions."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from snstat.results import FixedPoint
from snstat.values.special import compiled

_ABSOLUTE, _RELATIVE = 1e-15, 1e-14
_MOST_STEPS = 100


@dataclass(frozen=True, slots=True)
class Search:
    """The isolated fixed points, whether others form a continuum, and the behaviour at infinity:
    "grows" (infinity attracts), "returns" or "keeps"."""

    fixed_points: tuple[FixedPoint, ...]
    continuum: bool
    at_infinity: str


def root(function: Callable[[float], float], low: float, high: float) -> float:
    """Return where `function` changes sign between `low` and `high`, by Brent's method.

    Raises ValueError where it has one sign at both, or is NaN.
    """

    def known(x: float) -> float:
        value = function(x)
        if math.isnan(value):
            raise ValueError(f"the function is NaN at {x!r}")
        return value

    try:
        # What scipy.optimize.brentq calls. To import its package takes far longer than the search.
        brent = compiled("optimize", "_zeros")._brentq  # noqa: SLF001  # scipy has no other
        return float(brent(known, low, high, _ABSOLUTE, _RELATIVE, _MOST_STEPS, (), False, True))
    except (ImportError, AttributeError, TypeError):  # this release of scipy has another
        from scipy.optimize import brentq

        return float(brentq(known, low, high, xtol=_ABSOLUTE, rtol=_RELATIVE))
