"""Matrices of tied layers that are not drawn: what they do to one value after another."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from snstat.engine.general.growing import Growing, Numbers
from snstat.engine.general.workshop import Workshop
from snstat.engine.kernels import random
from snstat.layers.draw import Values
from snstat.layers.weights import Weights
from snstat.network.rows import Row


def is_unseen(weights: Weights, columns: int, shop: Workshop) -> bool:
    """Return whether a matrix that acts at several times, on so many `columns`, is not drawn."""
    return not weights.orthogonal and shop.is_matrix_free(weights, columns)


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


def held(row: Row, batch: int, *, drawn: bool) -> int:
    """Return how many numbers a trial of `batch` samples keeps of matrices that act at several
    times: all are `drawn`, or those that act on no fewer columns than they have."""
    layer, before = row.layer, row.before
    columns = batch * layer.columns(before)
    found = 0
    for own in layer.matrices(before)[: None if layer.tied else layer.whole]:
        sides = own.fan_in + own.fan_out
        whole = own.fan_out * (own.fan_in + 1)
        # On the way back there is another basis.
        free = columns < own.fan_in and not drawn
        found += min(whole, 2 * columns * sides) if free else whole
    return found
