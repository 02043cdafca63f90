"""What is certain of a signal whose moments theory does not know: how small they are at least.

A norm needs no more where its ε is small beside that, because its output is then of the size 1
whatever came in.
"""

from __future__ import annotations

import math
from typing import NamedTuple, Self

# Bounds that are larger count as this one, and smaller ones as 0, so that those of a block that is
# repeated settle.
_LARGEST, _SMALLEST = 1.0, 1e-12


class Least(NamedTuple):
    """Lower bounds, at every position: on E[x²], on the variance over units, and on E[x], none of
    them below 0: of a mean that may be negative the bound is 0, which says nothing."""

    square: float = 0.0
    variance: float = 0.0
    mean: float = 0.0

    @classmethod
    def of(cls, square: float, variance: float, mean: float = 0.0) -> Self:
        """Return these bounds, and what follows from those on the mean and the variance for E[x²].
        What is not known, NaN, is 0."""
        variance, mean = _kept(variance), _kept(mean)
        return cls(max(_kept(square), variance, _kept(mean * mean)), variance, mean)

    @classmethod
    def centred(cls, square: float) -> Self:
        """Return the bounds of a signal of mean 0 whose E[x²] is at least `square`."""
        return cls.of(square, square)

    def times(self, factor: float) -> Least:
        """Return the bounds of `factor`·x."""
        square = factor * factor
        return Least.of(square * self.square, square * self.variance, factor * self.mean)

    def repeats(self, before: Least) -> bool:
        """Return whether these are the bounds `before`, nearly."""
        return all(math.isclose(a, b, rel_tol=1e-9) for a, b in zip(self, before, strict=True))


def _kept(bound: float) -> float:
    return min(bound, _LARGEST) if bound >= _SMALLEST else 0.0
