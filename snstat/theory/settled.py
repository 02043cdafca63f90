"""Where q settles that starts from 1, for a grid of gains and biases at once.

With α = G² and β = b², q' = αS(q) + β, S(q) = E[φ(√q ẑ)²]. In x = ln q and with T = S/q,
r = q'/q = αT + βe^−x. From q = 1 the map moves q upwards to the next x where r falls below 1, or
downwards to the last x where r exceeds 1. For one α that is where the threshold θ(x) = (1 − αT)eˣ
of β first reaches β, and for one β where the threshold (1 − βe^−x)/T of α first reaches α. So a
running extreme of θ over the cells of a table finds the cell of every point by bisection.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from snstat.activation import Activation
from snstat.gaussian.log_tables import CELL, LogTable, log_table, powers, powers_and_slopes
from snstat.gaussian.quadrature import FloatArray
from snstat.theory.many_roots import IntArray, decreasing_roots

# |r − 1| below this is rounding and moves nothing.
_ROUNDING = 2e-14
# Points that are refined together, whose numbers fit into a cache of 512 KiB.
_BLOCK = 4096
# Halvings of a cell that locate an extreme of θ, near which θ changes with the square.
_HALVINGS = 30
# How far a table grows at a time, in ln q.
_PANEL = 2.0


def table_for(
    activation: Activation,
    squares: tuple[float, float],
    biases: tuple[float, float],
    ends: tuple[float, float],
) -> LogTable:
    """Return a table with the limits of all points with α within `squares` and β within `biases`,
    (low, high) each, as far as they are within `ends`, also (low, high), of ln q.

    r increases with α and β, so the least and the greatest of them decide.
    """
    low, high = 0.0, 0.0
    for (alpha, beta), sign in (
        ((squares[1], biases[1]), 1.0),
        ((squares[0], biases[0]), -1.0),
    ):
        place = 0.0
        while abs(place) < abs(ends[1] if sign > 0 else ends[0]):
            place, before = place + sign * _PANEL, place
            part = log_table(activation, min(place, before), max(place, before))
            ratio = _node_values(part.ratio)
            with np.errstate(over="ignore"):
                excess = sign * (alpha * ratio + beta * np.exp(-part.nodes) - 1.0)
            if not (excess >= -_ROUNDING).all():  # NaN is where nothing is known
                break
        low, high = min(low, place), max(high, place)
    return log_table(activation, low, high)


def _node_values(coefficients: FloatArray) -> FloatArray:
    """Return polynomials (orders, cells) at the edges of all cells, (cells + 1,)."""
    signs = (-1.0) ** np.arange(len(coefficients))
    return np.append(signs @ coefficients, coefficients[:, -1].sum())


@dataclass(frozen=True, slots=True, eq=False)
class Settled:
    """Where q = 1 settles, each array (points,): the `cell` of the table and the place `t` in it
    where `finite`; elsewhere q grows without bound where it `rises`, and falls to 0 where not."""

    cell: IntArray
    t: FloatArray
    finite: npt.NDArray[np.bool_]
    rises: npt.NDArray[np.bool_]


def settle(table: LogTable, square_gain: FloatArray, bias_square: FloatArray) -> Settled:
    """Return where q settles for every α = `square_gain` (gains,) and β = `bias_square` (biases,),
    in the order of an array (gains, biases)."""
    shape = square_gain.size, bias_square.size
    by_gain = shape[0] <= shape[1]
    rows, columns = (square_gain, bias_square) if by_gain else (bias_square, square_gain)
    kinds = (np.intp, np.float64, np.float64, np.bool_, np.bool_)
    wholes: list[npt.NDArray[Any]] = [np.empty((rows.size, columns.size), kind) for kind in kinds]
    thresholds = _Thresholds(table, by_gain=by_gain)
    order = np.argsort(columns)
    for start in range(0, rows.size, _BLOCK):
        part = slice(start, start + _BLOCK)
        found = thresholds.scan(rows[part], columns[order])
        for whole, piece in zip(wholes, found, strict=True):
            whole[part, order] = piece
    cell, low, high, finite, rises = ((whole if by_gain else whole.T).ravel() for whole in wholes)
    t = np.zeros(cell.size)
    wanted = np.flatnonzero(finite)
    for start in range(0, wanted.size, _BLOCK):
        here = wanted[start : start + _BLOCK]
        alpha, beta = square_gain[here // shape[1]], bias_square[here % shape[1]]
        t[here] = _refined(table, cell[here], alpha, beta, (low[here], high[here]))
    return Settled(cell, t, finite, rises)


def _refined(
    table: LogTable,
    cell: IntArray,
    alpha: FloatArray,
    beta: FloatArray,
    bracket: tuple[FloatArray, FloatArray],
) -> FloatArray:
    """Return t in [-1, 1] of the cell of each point at which r = 1, (points,)."""
    ratio = table.ratio[:, cell]
    # Everything is multiplied by what does not depend on t.
    ratio *= alpha
    at_middle = beta * np.exp(-CELL * (table.first + cell + 0.5))
    half = 0.5 * CELL

    def excess(t: FloatArray, of: IntArray | None) -> tuple[FloatArray, FloatArray]:
        own, middle = (ratio, at_middle) if of is None else (ratio[:, of], at_middle[of])
        value, slope = powers_and_slopes(own, t)
        of_bias = middle * np.exp(-half * t)
        return value + of_bias - 1.0, slope - half * of_bias

    return decreasing_roots(excess, *bracket, 0.5 * (bracket[0] + bracket[1]))


class _Thresholds:
    """The threshold θ(x) of one parameter at given values of the other, on the cells of a table.

    If `by_gain`, rows are gains α and θ is of β; otherwise rows are β and θ is of α.
    """

    def __init__(self, table: LogTable, *, by_gain: bool) -> None:
        self.table, self.by_gain = table, by_gain
        self.zero = -table.first  # the edge at q = 1
        self.ratio, self.slope = _node_values(table.ratio), _node_values(table.slope)

    def scan(self, rows: FloatArray, values: FloatArray) -> tuple[npt.NDArray[Any], ...]:
        """Return cell, bracket (low, high) in t, whether it is finite, and whether q rises, each
        (rows, values), for ascending `values` of the other parameter."""
        from_one = self._level(rows, slice(self.zero, self.zero + 1), 0.0)
        rises = values > from_one
        cell = np.zeros(rises.shape, np.intp)
        low, high = np.full(rises.shape, -1.0), np.full(rises.shape, 1.0)
        finite = np.zeros(rises.shape, np.bool_)
        for upwards in (True, False):
            if (rises == upwards).any():
                parts = self._walk(rows, values, upwards=upwards)
                for whole, piece in zip((cell, low, high, finite), parts, strict=True):
                    np.copyto(whole, piece, where=rises == upwards)
        return cell, low, high, finite, rises

    def _walk(
        self, rows: FloatArray, values: FloatArray, *, upwards: bool
    ) -> tuple[npt.NDArray[Any], ...]:
        """Return cell, bracket and whether there is any, from q = 1 on in one direction."""
        sign = 1.0 if upwards else -1.0
        edges = slice(self.zero, None) if upwards else slice(0, self.zero + 1)
        # Downwards all is mirrored: θ becomes −θ, and its minima become maxima.
        level = sign * self._level(rows, edges, -sign * _ROUNDING)
        climb = self._climb(rows, edges)
        peaks = (climb[:, :-1] > 0) & (climb[:, 1:] < 0)
        if not upwards:
            peaks = (climb[:, :-1] < 0) & (climb[:, 1:] > 0)
            level, peaks = level[:, ::-1], peaks[:, ::-1]
        reached = level[:, 1:].copy()
        count = reached.shape[1]
        numbers = self.zero + np.arange(count) if upwards else self.zero - 1 - np.arange(count)
        place = np.full(reached.shape, sign)
        row, step = np.nonzero(peaks)
        if row.size:
            t, height = self._peak(rows[row], numbers[step], sign)
            higher = height > reached[row, step]
            row, step = row[higher], step[higher]
            reached[row, step], place[row, step] = height[higher], t[higher]
        np.maximum.accumulate(reached, axis=1, out=reached)
        wanted = sign * values
        found = np.array([np.searchsorted(own, wanted) for own in reached])
        finite = found < count
        found = np.minimum(found, count - 1)
        end = np.take_along_axis(place, found, axis=1)
        cell = numbers[found]
        if upwards:
            return cell, np.full(end.shape, -1.0), end, finite
        return cell, end, np.full(end.shape, 1.0), finite

    def _level(self, rows: FloatArray, edges: slice, margin: float) -> FloatArray:
        """Return θ at edges of cells, (rows, edges), for r = 1 + `margin`."""
        shift = self.table.nodes[edges]
        return _threshold(
            rows[:, None], shift, self.ratio[edges], 1.0 + margin, by_gain=self.by_gain
        )

    def _climb(self, rows: FloatArray, edges: slice) -> FloatArray:
        """Return what has the sign of ∂θ/∂x at edges of cells, (rows, edges)."""
        return _climb(
            rows[:, None],
            self.table.nodes[edges],
            self.ratio[edges],
            self.slope[edges],
            by_gain=self.by_gain,
        )

    def _peak(self, rows: FloatArray, cell: IntArray, sign: float) -> tuple[FloatArray, FloatArray]:
        """Return where in each cell `sign`·θ is largest, and that value, each (points,)."""
        ratio, slope = self.table.ratio[:, cell], self.table.slope[:, cell]
        middle = CELL * (self.table.first + cell + 0.5)
        low, high = np.full(cell.size, -1.0), np.full(cell.size, 1.0)
        for _ in range(_HALVINGS):
            t = 0.5 * (low + high)
            climb = _climb(
                rows,
                middle + 0.5 * CELL * t,
                powers(ratio, t),
                powers(slope, t),
                by_gain=self.by_gain,
            )
            before = sign * climb > 0
            low, high = np.where(before, t, low), np.where(before, high, t)
        t = 0.5 * (low + high)
        x = middle + 0.5 * CELL * t
        margin = 1.0 - sign * _ROUNDING
        return t, sign * _threshold(rows, x, powers(ratio, t), margin, by_gain=self.by_gain)


def _threshold(
    row: FloatArray, x: FloatArray, ratio: FloatArray, level: float, *, by_gain: bool
) -> FloatArray:
    """Return the other parameter at which r = `level`."""
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        if by_gain:
            found: FloatArray = (level - row * ratio) * np.exp(x)
        else:
            found = (level - row * np.exp(-x)) / ratio
    return found


def _climb(
    row: FloatArray, x: FloatArray, ratio: FloatArray, slope: FloatArray, *, by_gain: bool
) -> FloatArray:
    """Return what has the sign of ∂θ/∂x; `slope` is ∂S/∂q = T + ∂T/∂x."""
    with np.errstate(over="ignore"):
        found: FloatArray = (
            1.0 - row * slope if by_gain else row * np.exp(-x) * slope + ratio - slope
        )
    return found
