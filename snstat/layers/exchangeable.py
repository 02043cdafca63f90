"""Positions that are alike: second moments of those that may change places, such as tokens."""

from __future__ import annotations

import math
from typing import NamedTuple, Self

import numpy as np

from snstat.gaussian.quadrature import FloatArray
from snstat.layers.no_theory import NO_PAIRS, NO_SAMPLES, NoTheory
from snstat.layers.signal import Signal

# Relative to E[x²]: sums over positions round.
_ALIKE = 1e-12


class Exchangeable(NamedTuple):
    """Second moments of `number` positions that are alike.

    `square` is E[x²] and `other` E[x_u x_v] of two of a sample, and `gap` and `other_gap`
    are the same less those of two samples. One has all in common with itself.
    """

    number: int
    square: float
    other: float
    gap: float
    other_gap: float

    @classmethod
    def of(cls, signal: Signal) -> Self | NoTheory:
        """Return the positions of a signal; or why there are none: they are not alike, or pairs of
        them are not followed."""
        if signal.same.ndim == 1:
            return NoTheory(NO_PAIRS)
        if math.isnan(float(signal.gap[0, 0])):
            return NoTheory(NO_SAMPLES)
        room = _ALIKE * float(np.abs(signal.same).max())
        same, gap = _alike(signal.same, room), _alike(signal.gap, room)
        if same is None or gap is None:
            return NoTheory("tokens are not alike")
        return cls(len(signal.same), *same, *gap)

    @property
    def apart(self) -> float:
        """E[x²] − E[x_u x_v]: what two do not have in common."""
        return max(self.square - self.other, 0.0)

    @property
    def apart_gap(self) -> float:
        """The same less that of two samples."""
        return self.gap - self.other_gap


def of_pairs(count: int, own: FloatArray | float, other: float) -> FloatArray:
    """Return the products (count, count) that are `own` of each position with itself, and `other`
    of two."""
    found = np.full((count, count), other)
    np.fill_diagonal(found, own)
    return found


def _alike(products: FloatArray, room: float) -> tuple[float, float] | None:
    """Return the diagonal and what is beside it, None unless each is one number within `room`."""
    own = float(products[0, 0])
    other = float(products[0, -1])
    off = np.abs(products - of_pairs(len(products), own, other)).max()
    return (own, other) if off <= room else None
