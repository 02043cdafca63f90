"""Matrices of tied layers that are not drawn: what they do to one value after another."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from snstat.engine.footprint import DOUBLE
from snstat.engine.general.growing import Growing, Numbers
from snstat.engine.kernels import random
from snstat.layers.draw import Values
from snstat.layers.weights import Weights
from snstat.network.rows import Row

# Arrays of all columns in float64 that are there while Growing finds new directions among them.
PRODUCT = 8


class UnseenMatrices:
    """See Tied: matrices that are not drawn. All act on the same values, so they are one matrix of
    N(0, 1) whose rows are multiplied by the standard deviations of their weights."""

    def __init__(
        self,
        weights: Sequence[Weights],
        columns: int,
        dtype: np.dtype[Any],
        draw: random.Draw,
    ) -> None:
        fan_in, outputs = weights[0].fan_in, sum(own.fan_out for own in weights)
        stds = [np.full(own.fan_out, own.gain / np.sqrt(fan_in)) for own in weights]
        bias_stds = [np.full(own.fan_out, own.bias_std) for own in weights]
        self._stds = np.concatenate(stds)[:, None]
        biases = _numbers(outputs, random.BIASES, draw, dtype)(0, 1)[0]
        self.biases = (np.concatenate(bias_stds) * biases).astype(dtype)[:, None]
        self._dtype = dtype
        ahead = _numbers(outputs, random.WEIGHTS, draw, dtype)
        behind = _numbers(fan_in, random.NOISE, draw, dtype)
        self._ahead = Growing(fan_in, outputs, columns, ahead, dtype)
        self._behind = Growing(outputs, fan_in, columns, behind, dtype)

    def times(self, values: Values) -> Values:
        """See Tied."""
        found = self._stds * self._ahead.times(_together(values))
        return _apart(found, values).astype(self._dtype)

    def back(self, slope: Values) -> Values:
        """See Tied. What was not used ahead is independent of all that was."""
        found = self._ahead.back(self._stds * _together(slope), self._behind)
        return _apart(found, slope).astype(self._dtype)


def _numbers(columns: int, purpose: int, draw: random.Draw, dtype: np.dtype[Any]) -> Numbers:
    """Return what draws rows of so many independent N(0, 1)."""

    def numbers(first: int, count: int) -> Values:
        rows = np.empty((count, columns), dtype)
        random.draw_rows(rows, first, random.STANDARD, purpose, draw)
        return rows

    return numbers


def _together(values: Values) -> Values:
    """Return (rows, columns) of (…, rows, columns), the columns of all times next to each other."""
    if values.ndim == 2:
        return values
    return np.moveaxis(values, 0, 1).reshape(values.shape[1], -1)


def _apart(found: Values, like: Values) -> Values:
    """Return (rows, columns) with times first, as in the array that the columns came from."""
    if like.ndim == 2:
        return found
    times, _, columns = like.shape
    return np.moveaxis(found.reshape(len(found), times, columns), 1, 0)


class MatrixBytes(NamedTuple):
    """Bytes of a layer's matrices: those that a trial keeps, and those of a product beside."""

    kept: float
    beside: float


def matrix_bytes(
    row: Row,
    laws: Sequence[Weights],
    batch: int,
    size: int,
    is_matrix_free: Callable[[Weights, int], bool],
) -> MatrixBytes:
    """Return what a trial of `batch` samples takes for matrices that are drawn whole, or that act
    at several times, with numbers of `size` bytes.

    `laws` are what all matrices of the layer are drawn from, and `is_matrix_free` tells of one, and
    a number of columns, whether it is not drawn.
    """
    layer, columns = row.layer, batch * row.layer.columns(row.before)
    kept, beside = _count(laws[: layer.whole]) * size, 0
    for group in layer.tied(laws):
        if not all(is_matrix_free(own, columns) for own in group):
            kept += _count(group) * size
            continue
        inputs, outputs = group[0].fan_in, sum(own.fan_out for own in group)
        # What is known of both ways; see Growing.
        ahead, behind = min(inputs, columns), min(outputs, columns)
        kept += (ahead * inputs + behind * outputs) * DOUBLE
        kept += (ahead * outputs + behind * inputs) * size
        beside = max(beside, PRODUCT * columns * (inputs + outputs) * DOUBLE)
    return MatrixBytes(float(kept), float(beside))


def _count(weights: Sequence[Weights]) -> int:
    return sum(own.count for own in weights)
