"""One pass over a matrix: sums of its rows and columns, and of powers of all values."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from snstat.results import BoolArray, FloatArray, optional
from snstat.sources.weights.matrix import Matrix

# Larger mean squares have no square.
LARGE = 1e154


@dataclass(frozen=True, slots=True)
class Moments:
    """ω = Σ w (units,) and τ = Σ w² (units,) of the rows, Σ w² of the columns (fan_in,), Σ w⁴ of
    all values, and the smallest and largest value; not finite where a value is not."""

    sums: FloatArray
    squares: FloatArray
    column_squares: FloatArray
    fourth: float
    smallest: float
    largest: float

    @property
    def size(self) -> int:
        """The number of values."""
        return len(self.squares) * len(self.column_squares)

    @property
    def mean_square(self) -> float:
        """The mean of w²."""
        return float(np.sum(self.squares)) / self.size

    @property
    def kurtosis(self) -> float | None:
        """E[w⁴]/E[w²]², about 0; None where all values are 0, or squares overflow or vanish."""
        square = self.mean_square
        if not 0.0 < square < LARGE or square * square == 0.0:
            return None
        return optional(self.fourth / self.size / (square * square))

    @property
    def extreme(self) -> float:
        """The largest |w|."""
        return max(abs(self.smallest), abs(self.largest))


def moments_of(matrix: Matrix) -> Moments:
    """Return the sums of a matrix that is not empty. Values that are not finite make sums that are
    not, which is what is looked for."""
    sums, squares = np.zeros(matrix.units), np.zeros(matrix.units)
    columns = np.zeros(matrix.fan_in)
    fourth, smallest, largest = 0.0, math.inf, -math.inf
    for rows, places, block in matrix.blocks():
        square = block * block
        sums[rows] += block.sum(axis=1)
        squares[rows] += square.sum(axis=1)
        columns[places] += square.sum(axis=0)
        fourth += float(np.vdot(square, square))
        smallest, largest = min(smallest, float(block.min())), max(largest, float(block.max()))
    return Moments(sums, squares, columns, fourth, smallest, largest)


def finite_rows(matrix: Matrix, moments: Moments) -> BoolArray:
    """Return which rows (units,) hold finite values only."""
    finite: BoolArray = np.isfinite(moments.sums)
    if moments.sums.size and not np.isfinite(moments.squares).all():
        # Squares of finite values may overflow, and sums may be inf − inf; look at the values.
        finite = np.ones(matrix.units, dtype=np.bool_)
        for rows, _, block in matrix.blocks():
            finite[rows] &= np.isfinite(block).all(axis=1)
    return finite
