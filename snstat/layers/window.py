"""A window that slides over a grid: which positions each output position is computed from."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import chain, product

import numpy as np

from snstat.gaussian.quadrature import FloatArray
from snstat.layers.arrays import Values
from snstat.layers.window_axis import NOWHERE, Axis, Index
from snstat.layers.window_pairs import spread_pairs, summed_pairs


@dataclass(frozen=True)
class Window:
    """A window over all axes of a grid."""

    axes: tuple[Axis, ...]

    @property
    def grid(self) -> tuple[int, ...]:
        """The grid of what is computed."""
        return tuple(axis.moves for axis in self.axes)

    @property
    def positions(self) -> int:
        """The number of positions of what is computed."""
        return math.prod(self.grid)

    @property
    def size(self) -> int:
        """The number of positions that it slides over."""
        return math.prod(axis.size for axis in self.axes)

    @property
    def strides(self) -> int:
        """The product of the strides."""
        return math.prod(axis.stride for axis in self.axes)

    @cached_property
    def taps(self) -> int:
        """The number of positions in the window."""
        return math.prod(axis.kernel for axis in self.axes)

    @cached_property
    def sources(self) -> Index:
        """The position that each tap takes for each output position, (taps, positions after), by
        its number in the grid before; `NOWHERE` beyond the border."""
        found = np.zeros((1, 1), np.int64)
        for axis in self.axes:
            own = axis.sources
            whole = found[:, None, :, None] * axis.size + own[None, :, None, :]
            beyond = (found == NOWHERE)[:, None, :, None] | (own == NOWHERE)[None, :, None, :]
            found = np.where(beyond, NOWHERE, whole).reshape(len(found) * len(own), -1)
        return found

    def summed(self, products: FloatArray) -> FloatArray:
        """Return the sum over all taps of moments before the window, (P, P) of pairs of positions
        or (P,) of positions by themselves; both of a pair have the same tap."""
        if products.ndim > 1:
            return summed_pairs(self.axes, products)
        whole = np.append(products, 0.0)  # at NOWHERE
        found: FloatArray = whole[self.sources].sum(axis=0)
        return found

    def spread(self, products: FloatArray) -> FloatArray:
        """Return the adjoint of `summed`."""
        if products.ndim > 1:
            return spread_pairs(self.axes, products)
        whole = np.zeros(self.size + 1)
        for tap in self.sources:
            whole[tap] += products  # no position twice, but for NOWHERE, which is dropped
        return whole[:-1]

    def parts(self, values: Values) -> Iterator[Values]:
        """Yield what each tap takes of `values` (channels, batch, *grid): (channels, batch, *grid
        after), views of them."""
        padded = self._padded(values)
        for place in self._taken():
            yield padded[place]

    def patches(self, values: Values) -> Values:
        """Return what the window takes of `values` (channels, batch, *grid): (taps · channels,
        batch, *grid after), the channels of a tap next to each other."""
        channels, batch = values.shape[:2]
        out = np.empty((self.taps, channels, batch, *self.grid), values.dtype)
        for tap, part in enumerate(self.parts(values)):
            out[tap] = part
        return out.reshape(self.taps * channels, batch, *self.grid)

    def put_back(self, patches: Values) -> Values:
        """Return the adjoint of `patches`: (channels, batch, *grid before)."""
        channels, batch = len(patches) // self.taps, patches.shape[1]
        return self.together(patches.reshape(self.taps, channels, batch, *self.grid))

    def together(self, parts: Iterable[Values]) -> Values:
        """Return the adjoint of `parts`: (channels, batch, *grid before)."""
        own = iter(parts)
        first = next(own)
        sizes = [len(axis.padded) for axis in self.axes]
        total = np.zeros((*first.shape[:2], *sizes), first.dtype)
        for part, place in zip(chain((first,), own), self._taken(), strict=True):
            total[place] += part
        for number, axis in enumerate(self.axes, 2):
            total = _folded(total, number, axis)
        return total

    def _padded(self, values: Values) -> Values:
        for number, axis in enumerate(self.axes, 2):
            place = axis.padded
            if axis.around:
                values = np.take(values, place, number)
                continue
            inside = slice(axis.before, axis.before + axis.size)
            shape = list(values.shape)
            shape[number] = len(place)
            whole = np.zeros(shape, values.dtype)
            whole[_along(number, inside)] = values
            values = whole
        return values

    def _taken(self) -> Iterator[tuple[slice, ...]]:
        """Yield the place of each tap in padded values."""
        every = slice(None)
        for taps in product(*(range(axis.kernel) for axis in self.axes)):
            own = (axis.taken(tap) for axis, tap in zip(self.axes, taps, strict=True))
            yield (every, every, *own)


def _folded(total: Values, number: int, axis: Axis) -> Values:
    """Return the values at the positions of an axis from those of its padded points."""
    inside = slice(axis.before, axis.before + axis.size)
    found = total[_along(number, inside)]
    if axis.around:
        found = found.copy()
        for point, position in enumerate(axis.padded):
            if not inside.start <= point < inside.stop:
                found[_along(number, position)] += total[_along(number, point)]
    return found


def _along(number: int, place: slice | int | np.int64) -> tuple[slice | int | np.int64, ...]:
    return (*[slice(None)] * number, place)


@lru_cache(maxsize=256)
def window(
    grid: tuple[int, ...],
    kernel: tuple[int, ...],
    stride: tuple[int, ...],
    dilation: tuple[int, ...],
    padding: str,
) -> Window:
    """Return the window over a grid. Raises InvalidValueError where it does not fit."""
    sizes = zip(grid, kernel, stride, dilation, strict=True)
    return Window(tuple(Axis.of(*own, padding) for own in sizes))
