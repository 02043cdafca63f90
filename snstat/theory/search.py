"""What searches for fixed points share: their result, and roots of functions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from snstat.results import FixedPoint


@dataclass(frozen=True, slots=True)
class Search:
    """The isolated fixed points, whether others form a continuum, and the behaviour at infinity:
    "grows" (infinity attracts), "returns" or "keeps"."""

    fixed_points: tuple[FixedPoint, ...]
    continuum: bool
    at_infinity: str


def root(function: Callable[[float], float], low: float, high: float) -> float:
    """Return where `function` changes sign."""
    # It is slow to import and often not needed.
    from scipy.optimize import brentq

    return float(brentq(function, low, high, xtol=1e-15, rtol=1e-14))
