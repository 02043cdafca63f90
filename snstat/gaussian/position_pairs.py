"""Pairs of positions: expectations of an activation over two Gaussians of different size.

z_u and z_v of one unit at two positions of a grid have the second moments q_u, q_v and a
covariance, of one sample or of two. Where φ(tx) = tφ(x) there is a closed form (Cho, Saul 2009).
Otherwise f = φ or φ' has a series in the correlation c (Mehler), with normalised Hermite
polynomials heₖ:

    E[f(z_u) f(z_v)] = Σ aₖ(q_u) aₖ(q_v) cᵏ,   aₖ(q) = E[f(√q ẑ) heₖ(ẑ)]

What is left after the last term is known at c = 1, which bounds it at any other c.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import numpy as np

from snstat.activation import Activation
from snstat.activation.base import Elementwise
from snstat.gaussian.cross import homogeneous
from snstat.gaussian.hermite import basis
from snstat.gaussian.pairs import half_linear_gaps
from snstat.gaussian.quadrature import FloatArray

# Relative to √(E[f(z_u)²] E[f(z_v)²]), expectations with a larger error are NaN.
LARGEST_ERROR = 1e-6
# Terms beyond this share of `LARGEST_ERROR` are left out.
_SPARE = 1e-4
_TERMS, _POINTS = 384, 12
# Panels end at the kinks of every position. With more of them the polynomials fill the memory.
_MOST_KINKS = 512
# Panels halve towards 0, where activations of large pre-activations have their bends. They are
# short enough for polynomials of the last term.
_EDGES = (0.0, *(2.0**-k for k in range(12, 1, -1)), *(0.5 * k for k in range(1, 21)))
# |x^n − x^(3n/2)| is at most 4/27 on [0, 1].
_SHARE_UNKNOWN = 4.0 / 27.0
# From here on a correlation is 1 to rounding, where the sum is known.
_ALIGNED = 1.0 - 1e-14
# Positions to a side of what is evaluated at once.
_TILE = 256


def products(
    activation: Activation, q: FloatArray, covariance: FloatArray, squares: FloatArray
) -> FloatArray:
    """Return E[φ(z_u)φ(z_v)], (P, P), for q (P,) and the covariances (P, P), which are symmetric,
    NaN where that is not known to `LARGEST_ERROR`. `squares` (P,) are E[φ(z_u)²]."""
    pairs = _Pairs(q, covariance)
    if not homogeneous(activation):
        return _series(activation, activation.function, pairs, squares)
    left, right = activation.slopes
    whole = 0.5 * (left * left + right * right)

    def expected(rows: slice, columns: slice) -> FloatArray:
        apart = 1.0 - pairs.correlation(rows, columns)
        found: FloatArray = whole - half_linear_gaps(left, right, apart)
        found *= pairs.size(rows, columns)
        return found

    return pairs.of(expected)


def slope_products(
    activation: Activation, q: FloatArray, covariance: FloatArray, squares: FloatArray
) -> FloatArray:
    """Return E[φ'(z_u)φ'(z_v)], (P, P), for q (P,) and the covariances (P, P), which are symmetric,
    NaN where that is not known to `LARGEST_ERROR`. `squares` (P,) are E[φ'(z_u)²]."""
    pairs = _Pairs(q, covariance)
    if not homogeneous(activation):
        return _series(activation, activation.derivative, pairs, squares)
    left, right = activation.slopes

    def expected(rows: slice, columns: slice) -> FloatArray:
        # The share of angles at which signs differ.
        apart = np.arccos(pairs.correlation(rows, columns)) / math.pi
        found: FloatArray = 0.5 * (left * left + right * right) * (1.0 - apart)
        found += left * right * apart
        return found

    return pairs.of(expected)


def square_products(
    activation: Activation, q: FloatArray, covariance: FloatArray, fourths: FloatArray
) -> FloatArray:
    """Return E[φ(z_u)² φ(z_v)²], (P, P), for q (P,) and the covariances (P, P), which are
    symmetric, NaN where that is not known to `LARGEST_ERROR`. `fourths` (P,) are E[φ(z_u)⁴]."""

    def square(x: FloatArray) -> FloatArray:
        return activation.function(x) ** 2

    return _series(activation, square, _Pairs(q, covariance), fourths)


class _Pairs:
    """All pairs of Gaussians of the sizes q (P,), with a symmetric `covariance` (P, P).

    They are evaluated tile by tile: arrays of a tile stay in the cache, those of all pairs would
    fill the memory, and of two tiles that mirror each other one is enough.
    """

    def __init__(self, q: FloatArray, covariance: FloatArray) -> None:
        self.q, self.root, self.covariance = q, np.sqrt(q), covariance

    def size(self, rows: slice, columns: slice) -> FloatArray:
        """Return √(q_u q_v)."""
        return np.outer(self.root[rows], self.root[columns])

    def correlation(self, rows: slice, columns: slice) -> FloatArray:
        """Return the correlations, 0 of what is 0."""
        size = self.size(rows, columns)
        with np.errstate(divide="ignore", invalid="ignore"):
            found = np.where(size > 0, self.covariance[rows, columns] / size, 0.0)
        return np.clip(found, -1.0, 1.0, out=found)

    @property
    def tiles(self) -> Iterator[tuple[slice, slice]]:
        """The rows and columns of the tiles on the diagonal, and of those to the right of it."""
        starts = range(0, len(self.q), _TILE)
        for number, row in enumerate(starts):
            for column in starts[number:]:
                yield slice(row, row + _TILE), slice(column, column + _TILE)

    @property
    def closest(self) -> float:
        """The largest size of a correlation of two."""
        largest = 0.0
        for rows, columns in self.tiles:
            found = np.abs(self.correlation(rows, columns))
            if rows == columns:
                np.fill_diagonal(found, 0.0)
            largest = max(largest, float(found.max()))
        return largest

    def of(self, expected: Callable[[slice, slice], FloatArray]) -> FloatArray:
        """Return (P, P), of which `expected` returns the tiles."""
        found = np.empty_like(self.covariance)
        for rows, columns in self.tiles:
            found[rows, columns] = expected(rows, columns)
            if rows != columns:
                found[columns, rows] = found[rows, columns].T
        return found


def _series(
    activation: Activation, function: Elementwise, pairs: _Pairs, squares: FloatArray
) -> FloatArray:
    """Return E[f(z_u)f(z_v)], (P, P), of a function with the kinks of `activation`."""
    values, place = np.unique(pairs.q, return_inverse=True)
    kinks = np.unique([abs(kink) / np.sqrt(values[values > 0]) for kink in activation.kinks])
    if kinks.size > _MOST_KINKS:
        return np.full_like(pairs.covariance, math.nan)
    edges = np.union1d(_EDGES, kinks[kinks < _EDGES[-1]])
    z, weight, polynomials = basis(tuple(edges.tolist()), _POINTS, _TERMS)
    at = function(np.sqrt(values)[:, None] * z)
    weighted = at * weight
    whole, every = weighted @ at.T, weighted @ polynomials.T
    terms = _enough(every, np.diagonal(whole), pairs.closest)
    # (terms, P), the last term first.
    coefficients = np.ascontiguousarray(every[place, :terms].T[::-1])
    left = whole - every[:, :terms] @ every[:, :terms].T
    allowed = LARGEST_ERROR * squares
    root = np.sqrt(allowed)
    # Nodes that do not resolve the function, such as a fast sine, miss its square too.
    missed = np.abs(np.diagonal(whole)[place] - squares) > allowed

    def expected(rows: slice, columns: slice) -> FloatArray:
        correlation = pairs.correlation(rows, columns)
        rest = left[np.ix_(place[rows], place[columns])]
        total = np.zeros_like(correlation)
        for own in coefficients:
            total *= correlation
            total += np.outer(own[rows], own[columns])
        power = np.abs(correlation) ** terms
        total += np.where(correlation > 0, rest * power * np.sqrt(power), 0.0)
        unknown = np.abs(rest) * np.minimum(power, _SHARE_UNKNOWN) * (correlation < _ALIGNED)
        total[unknown > np.outer(root[rows], root[columns])] = math.nan
        total[missed[rows, None] | missed[columns]] = math.nan
        return total

    return pairs.of(expected)


def _enough(coefficients: FloatArray, squares: FloatArray, correlation: float) -> int:
    """Return how many terms are enough up to this correlation."""
    with np.errstate(divide="ignore", invalid="ignore"):
        shares = np.where(squares[:, None] > 0, coefficients**2 / squares[:, None], 0.0)
    left = np.maximum(1.0 - np.cumsum(shares, axis=1), 0.0).max(axis=0)
    left *= correlation ** np.arange(1.0, coefficients.shape[1] + 1)
    small = np.flatnonzero(left <= _SPARE * LARGEST_ERROR)
    return int(small[0]) + 1 if small.size else coefficients.shape[1]
