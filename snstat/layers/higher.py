"""Moments of units beyond the second: what the kurtosis of a layer follows from."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from snstat.gaussian.quadrature import FloatArray

# Fourth moments of signals with a larger E[x²] would overflow, with a smaller one lose digits.
LARGEST_FOURTH, LEAST_FOURTH = 1e70, 1e-70
# A difference below this part is none.
_STILL = 1e-12
Squares = Callable[[], FloatArray | None]


def none() -> None:
    """Return that products of squares are not known."""


@dataclass(frozen=True, slots=True, eq=False)
class Higher:
    """The `third` and `fourth` cumulants of units at every position, (P,): 0 of Gaussian ones.
    `squares` returns E[x_u² x_v²] of all pairs of positions, (P, P), None where not known. Units
    that are `fixed` are those of one sample of data: numbers, whose sums are no random ones."""

    third: FloatArray
    fourth: FloatArray
    squares: Squares = none
    fixed: bool = False

    @property
    def normal(self) -> bool:
        """Whether cumulants are those of Gaussian units."""
        return not (self.third.any() or self.fourth.any())

    @classmethod
    def gaussian(cls, same: FloatArray) -> Higher:
        """Return those of Gaussian units of mean 0 with E[x_u x_v] = `same`, which a single number
        or pairs of positions may be."""
        zero = np.zeros(len(same))

        def squares() -> FloatArray | None:
            if same.ndim == 1:
                return None
            own = np.diagonal(same)
            found: FloatArray = np.outer(own, own) + 2.0 * same * same
            return found

        return cls(zero, zero, squares)

    @classmethod
    def unknown(cls, count: int) -> Higher:
        """Return those of so many positions that are not known."""
        none = np.full(count, np.nan)
        return cls(none, none)

    def times(self, factor: FloatArray | float) -> Higher:
        """Return those of units times a `factor`, or one for every position (P,)."""

        def squares() -> FloatArray | None:
            found = self.squares()
            if found is None:
                return None
            square = factor * factor * np.ones(len(found))
            return found * np.outer(square, square)

        return Higher(factor**3 * self.third, factor**4 * self.fourth, squares, self.fixed)

    def raw_fourth(self, mean: FloatArray, square: FloatArray) -> FloatArray:
        """Return E[x⁴] for units with this E[x] and E[x²], all (P,)."""
        variance = square - mean * mean
        found: FloatArray = (
            self.fourth
            + 3.0 * variance**2
            + 4.0 * mean * self.third
            + 6.0 * mean**2 * variance
            + mean**4
        )
        return found


def alike(one: Higher | None, other: Higher | None, same: FloatArray) -> bool:
    """Return whether moments beyond the second are equal, nearly, beside E[x_u x_v] = `same`."""
    if one is None or other is None:
        return one is other
    if same.size == 1:  # nearly always: without arrays it takes a tenth of the time
        size = same.item()
        return _near(one.third.item(), other.third.item(), size * math.sqrt(size)) and _near(
            one.fourth.item(), other.fourth.item(), size * size
        )
    size = float(np.abs(same).max())
    parts = (one.third, other.third, size**1.5), (one.fourth, other.fourth, size**2)
    return all(
        np.allclose(a, b, rtol=_STILL, atol=_STILL * scale, equal_nan=True) for a, b, scale in parts
    )


def _near(one: float, other: float, size: float) -> bool:
    """Return whether two numbers are equal, nearly, or both not known."""
    if math.isnan(one) or math.isnan(other):
        return math.isnan(one) and math.isnan(other)
    return abs(one - other) <= _STILL * max(abs(one), size)


def pooled(
    higher: Higher, mean: FloatArray, square: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return variance, third and fourth cumulant of the units of all positions together, or of
    samples in their place: averages over the first axis."""
    if mean.size == 1:
        return (square - mean**2)[0], higher.third[0], higher.fourth[0]
    apart = mean - mean.mean(axis=0)
    around = square - mean**2 + apart**2
    variance = square - mean**2
    third = higher.third + 3.0 * apart * variance + apart**3
    fourth = higher.raw_fourth(apart, around)
    total = around.mean(axis=0)
    return total, third.mean(axis=0), fourth.mean(axis=0) - 3.0 * total**2
