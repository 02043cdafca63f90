"""Sums over the taps of a window for all pairs of positions.

Both positions of a pair have the same tap, and a tap of a window has one of each axis. So the sum
is over the taps of one axis after the other, which are far fewer than those of the window.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np

from snstat.gaussian.quadrature import FloatArray
from snstat.layers.window_axis import Axis


def summed_pairs(axes: Sequence[Axis], products: FloatArray) -> FloatArray:
    """Return the sum over all taps of the moments (P, P) of pairs of positions before a window."""
    sizes = [axis.size for axis in axes]
    for number, axis in enumerate(axes):
        whole = _split(products, sizes, number)
        if axis.around:
            whole = whole.take(axis.padded, 1).take(axis.padded, 4)
        sizes[number] = axis.moves
        total = np.zeros(_shape(sizes, number))
        for after, before in _places(axis):
            total[:, after, :, :, after] += whole[:, before, :, :, before]
        products = total
    return products.reshape(math.prod(sizes), -1)


def spread_pairs(axes: Sequence[Axis], products: FloatArray) -> FloatArray:
    """Return the adjoint of `summed_pairs`."""
    sizes = [axis.moves for axis in axes]
    for number, axis in enumerate(axes):
        whole = _split(products, sizes, number)
        sizes[number] = len(axis.padded) if axis.around else axis.size
        total = np.zeros(_shape(sizes, number))
        for after, before in _places(axis):
            total[:, before, :, :, before] += whole[:, after, :, :, after]
        if axis.around:
            total = _folded(_folded(total, 1, axis), 4, axis)
        sizes[number] = axis.size
        products = total
    return products.reshape(math.prod(sizes), -1)


def _shape(sizes: Sequence[int], number: int) -> tuple[int, ...]:
    """Return the axes before one of them, it, and those after it, of both positions of a pair."""
    own = math.prod(sizes[:number]), sizes[number], math.prod(sizes[number + 1 :])
    return (*own, *own)


def _split(products: FloatArray, sizes: Sequence[int], number: int) -> FloatArray:
    return products.reshape(_shape(sizes, number))


def _places(axis: Axis) -> Iterator[tuple[slice, slice]]:
    """Yield where each tap is put down, and the positions that it takes there, padded ones where
    the window goes around."""
    size, start = (len(axis.padded), 0) if axis.around else (axis.size, -axis.before)
    for tap in range(axis.kernel):
        first = start + tap * axis.dilation
        low = max(-(first // axis.stride), 0)
        high = min(-((first - size) // axis.stride), axis.moves)
        if low < high:
            taken = slice(first + low * axis.stride, first + (high - 1) * axis.stride + 1)
            yield slice(low, high), slice(taken.start, taken.stop, axis.stride)


def _folded(total: FloatArray, number: int, axis: Axis) -> FloatArray:
    """Return the sums at the positions of a circle from those at its padded points."""
    points = np.moveaxis(total, number, 0)
    found = np.zeros((axis.size, *points.shape[1:]))
    point = 0
    while point < len(points):
        place = (point - axis.before) % axis.size
        count = min(axis.size - place, len(points) - point)
        found[place : place + count] += points[point : point + count]
        point += count
    return np.moveaxis(found, 0, number)
