"""Tokens that are alike: second moments of positions that may change places."""

from __future__ import annotations

from typing import NamedTuple, Self

import numpy as np

from snstat.gaussian.quadrature import FloatArray
from snstat.layers.signal import Signal

# Relative to E[x²]: sums over positions round.
_ALIKE = 1e-12


class Tokens(NamedTuple):
    """Second moments of `number` tokens that are alike.

    `square` is E[x²] and `other` E[x_u x_v] of two tokens of a sample, and `gap` and `other_gap`
    are the same less those of two samples. One token has all in common with itself.
    """

    number: int
    square: float
    other: float
    gap: float
    other_gap: float

    @classmethod
    def of(cls, signal: Signal) -> Self | None:
        """Return the tokens of a signal, None where they are not alike, or pairs of them are not
        followed."""
        if signal.same.ndim == 1:
            return None
        room = _ALIKE * float(np.abs(signal.same).max())
        same, gap = _alike(signal.same, room), _alike(signal.gap, room)
        return None if same is None or gap is None else cls(len(signal.same), *same, *gap)

    @property
    def apart(self) -> float:
        """E[x²] − E[x_u x_v]: what tokens do not have in common."""
        return max(self.square - self.other, 0.0)

    @property
    def apart_gap(self) -> float:
        """The same less that of two samples."""
        return self.gap - self.other_gap


def alike(count: int, own: FloatArray | float, other: float) -> FloatArray:
    """Return the products (count, count) that are `own` of each token with itself, and `other` of
    two."""
    found = np.full((count, count), other)
    np.fill_diagonal(found, own)
    return found


def _alike(products: FloatArray, room: float) -> tuple[float, float] | None:
    """Return the diagonal and what is beside it, None unless each is one number within `room`."""
    own = float(products[0, 0])
    other = float(products[0, -1])
    off = np.abs(products - alike(len(products), own, other)).max()
    return (own, other) if off <= room else None
