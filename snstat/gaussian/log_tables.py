"""Gaussian expectations at any number of second moments q at once, from tables in x = ln q.

E[φ(√q ẑ)²], its derivative by q and E[φ'(√q ẑ)²] are analytic in x in the strip |Im x| < π/2,
whatever φ is. So polynomials of degree 31 on panels of half-width 1 are exact to rounding
(`tabulated` says more). Panels that are not resolved are halved. From them come polynomials of
degree 11 on equal cells of width 1/4, which cost 11 multiplications a value.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from numpy.polynomial import chebyshev

from snstat.activation import Activation
from snstat.gaussian.centred import centred_moments
from snstat.gaussian.expectations import jacobian
from snstat.gaussian.quadrature import FloatArray

IntArray = npt.NDArray[np.intp]

# Cells begin at multiples of their width in ln q, so that q = 1 is the edge of two.
CELL = 0.25
ORDERS = 12
_PANEL_CELLS, _POINTS = 8, 32
# Bound on the last coefficients of a resolved panel, relative to the values on it. The derivative
# loses digits in its own evaluation where E[φ²] hardly depends on q; what it may lose relative to
# E[φ²]/q is as little as the others.
_RESOLVED, _RESOLVED_SLOPE = 2e-13, 2e-11
# How often a panel may be halved until it has one cell.
_HALVINGS = 3


@dataclass(frozen=True, slots=True, eq=False)
class LogTable:
    """Three expectations of one activation on cells [first + k, first + k + 1]·`CELL` of ln q.

    Each array (orders, cells) has the coefficients of powers of t in [-1, 1] across a cell:
    `ratio` of E[φ²]/q, `slope` of ∂E[φ²]/∂q, `derivative_square` of E[φ'²]. They are NaN in cells
    where the activation is unknown or the expectations are not resolved.
    """

    first: int
    ratio: FloatArray
    slope: FloatArray
    derivative_square: FloatArray

    @property
    def cells(self) -> int:
        """How many cells there are."""
        return int(self.ratio.shape[1])

    @property
    def nodes(self) -> FloatArray:
        """The edges of the cells in ln q, (cells + 1,)."""
        return CELL * (self.first + np.arange(self.cells + 1, dtype=np.float64))


def log_table(activation: Activation, low: float, high: float) -> LogTable:
    """Return the table of `activation` that covers ln q from `low` to `high`."""
    width = CELL * _PANEL_CELLS
    first, last = math.floor(low / width), math.ceil(high / width)
    parts = [_cells(activation, number) for number in range(first, last)]
    joined = np.concatenate(parts, axis=2)
    joined.flags.writeable = False
    return LogTable(first * _PANEL_CELLS, *joined)


def powers(coefficients: FloatArray, t: FloatArray) -> FloatArray:
    """Return polynomials in powers of `t` (points,), with `coefficients` (orders, points)."""
    total: FloatArray = coefficients[-1].copy()
    for row in coefficients[-2::-1]:
        total *= t
        total += row
    return total


def powers_and_slopes(coefficients: FloatArray, t: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the polynomials of `powers` and their derivatives by t."""
    total, slope = coefficients[-1].copy(), np.zeros_like(t)
    for row in coefficients[-2::-1]:
        slope *= t
        slope += total
        total *= t
        total += row
    return total, slope


@lru_cache(maxsize=1024)
def _cells(activation: Activation, number: int) -> FloatArray:
    """Return the coefficients (3, orders, cells) on the cells of panel `number`."""
    return np.concatenate(_resolved(activation, number * _PANEL_CELLS, _PANEL_CELLS, 0), axis=2)


def _resolved(activation: Activation, first: int, count: int, depth: int) -> list[FloatArray]:
    """Return the coefficients on `count` cells from cell `first` on, in parts."""
    middle, half = CELL * (first + count / 2.0), CELL * count / 2.0
    series = chebyshev_series(_expectations(activation, middle + half * chebyshev_nodes(_POINTS)))
    sizes = np.abs(series).sum(axis=1)
    bounds = _RESOLVED * sizes
    bounds[1] = max(_RESOLVED_SLOPE * sizes[1], bounds[0])
    if (np.abs(series[:, -3:]).max(axis=1) <= bounds).all():
        # Interpolated at nodes of each cell.
        places = (np.arange(count) + 0.5)[:, None] + 0.5 * chebyshev_nodes(ORDERS)
        basis = chebyshev.chebvander(places * 2.0 / count - 1.0, _POINTS - 1)
        values = np.einsum("vk,cnk->vcn", series, basis)
        return [np.einsum("vck,ko->voc", chebyshev_series(values), _powers_of_chebyshev())]
    if depth == _HALVINGS:
        return [np.full((3, ORDERS, count), math.nan)]
    return [
        part
        for place in (first, first + count // 2)
        for part in _resolved(activation, place, count // 2, depth + 1)
    ]


def _expectations(activation: Activation, x: FloatArray) -> FloatArray:
    """Return E[φ²]/q, ∂E[φ²]/∂q and E[φ'²] at ln q = `x` (points,), shape (3, points)."""
    q = np.exp(x)
    states = [centred_moments(activation, value) for value in q.tolist()]
    means = np.array([state.mean for state in states])
    by_q = jacobian(activation, 0.0, q)[:, :, 1]
    return np.stack(
        [
            np.array([state.second_moment for state in states]) / q,
            2.0 * means * by_q[:, 0] + by_q[:, 1],
            np.array([state.derivative_square for state in states]),
        ]
    )


def chebyshev_nodes(points: int) -> FloatArray:
    """Return the zeros of the Chebyshev polynomial of degree `points`, descending."""
    return np.cos(math.pi * (np.arange(points) + 0.5) / points)


def chebyshev_series(values: FloatArray) -> FloatArray:
    """Return Chebyshev coefficients from values at `chebyshev_nodes`, along the last axis."""
    points = values.shape[-1]
    orders = np.arange(points)
    transform = np.cos(np.outer(orders, math.pi * (orders + 0.5) / points)) * (2.0 / points)
    transform[0] /= 2.0
    series: FloatArray = values @ transform.T
    return series


@lru_cache(maxsize=1)
def _powers_of_chebyshev() -> FloatArray:
    """Return the coefficients of powers (orders, powers) of each Chebyshev polynomial, integers."""
    found = np.zeros((ORDERS, ORDERS))
    for order in range(ORDERS):
        of_one = chebyshev.cheb2poly([0.0] * order + [1.0])
        found[order, : len(of_one)] = of_one
    return found
