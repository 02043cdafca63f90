"""A matrix of any type in blocks, so that a large one is never copied whole."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property

import numpy as np

from snstat.sources.weights.dtypes import Array, Dtype

# Values of a block: half a MiB in float64, which stays in the cache.
BLOCK = 2**16
# Values of a matrix that is widened once, not at each multiplication.
KEPT = 2**25
# Values that tell how many bits of float32 are used, and the bits of shorter types, fewest first.
LOOKED_AT, SHORTER = 2**10, (7, 10)


class Matrix:
    """Raw values (units, fan_in) of a type."""

    def __init__(self, raw: Array, dtype: Dtype) -> None:
        self.raw, self.dtype = np.asarray(raw), dtype
        self.units, self.fan_in = raw.shape
        self._wide: Array | None = None

    def blocks(self, values: int = BLOCK) -> Iterator[tuple[slice, slice, Array]]:
        """Yield rows, columns, and the block of them in float64."""
        for rows, columns in self._places(values):
            yield rows, columns, self._double(self.raw[rows, columns])

    def row_parts(self, number: int) -> Iterator[Array]:
        """Yield the parts of one row in float64."""
        for left in range(0, self.fan_in, BLOCK):
            yield self._double(self.raw[number, left : left + BLOCK])

    @cached_property
    def epsilon(self) -> float:
        """The distance from 1 to the next number: of the type, or of float16 or bfloat16 if the
        values were that before they were float32."""
        if self.dtype.raw == np.float32:
            bits = np.bitwise_or.reduce(
                self._spaced(LOOKED_AT).astype(np.float32).view(np.uint32), initial=0
            )
            for shorter in SHORTER:
                if not bits & (2 ** (self.dtype.fraction - shorter) - 1):
                    return 2.0**-shorter
        return self.dtype.epsilon

    def sample(self, most: int) -> Array:
        """Return about `most` values, evenly spaced in memory, in float64."""
        return self._double(self._spaced(most))

    def times(self, vector: Array) -> Array:
        """Return the product with a vector (fan_in,), in the precision of the values."""
        if not self._large():
            return np.asarray(self._whole() @ vector.astype(self._whole().dtype))
        total = np.zeros(self.units)
        for rows, columns, block in self.blocks(16 * BLOCK):
            total[rows] += block @ vector[columns]
        return total

    def transposed_times(self, vector: Array) -> Array:
        """Return the product of the transpose with a vector (units,)."""
        if not self._large():
            return np.asarray(vector.astype(self._whole().dtype) @ self._whole())
        total = np.zeros(self.fan_in)
        for rows, columns, block in self.blocks(16 * BLOCK):
            total[columns] += vector[rows] @ block
        return total

    def gram_times(self, vector: Array) -> Array:
        """Return W Wᵀ v or Wᵀ W v, whichever Gram matrix is smaller, in float64."""
        if self.units <= self.fan_in:
            image = self.times(self.transposed_times(vector))
        else:
            image = self.transposed_times(self.times(vector))
        return image.astype(np.float64)

    def _places(self, values: int) -> Iterator[tuple[slice, slice]]:
        """Yield rows and columns of blocks of at most this many values."""
        width = max(min(self.fan_in, values), 1)
        height = max(values // width, 1)
        for top in range(0, self.units, height):
            rows = slice(top, min(top + height, self.units))
            for left in range(0, self.fan_in, width):
                yield rows, slice(left, min(left + width, self.fan_in))

    def _spaced(self, most: int) -> Array:
        """Return about `most` raw values, evenly spaced in memory."""
        flat = self.raw.T if self.raw.flags.f_contiguous else self.raw
        step = max(flat.size // most, 1)
        # A step that shares no factor with the length of a row takes values of every column.
        while step > 1 and np.gcd(step, flat.shape[1]) > 1:
            step += 1
        return np.ascontiguousarray(flat.reshape(-1)[::step])

    def _double(self, raw: Array) -> Array:
        return np.asarray(self.dtype.widen(np.ascontiguousarray(raw)).astype(np.float64))

    def _large(self) -> bool:
        """Return whether the matrix would have to be copied, and is too large for that."""
        plain = self.raw.dtype.kind == "f" and self.raw.dtype.isnative and self.dtype.fraction > 10
        return not plain and self.raw.size > KEPT

    def _whole(self) -> Array:
        """Return all values in float32 or float64; where these are what is held, without a copy."""
        if self._wide is None:
            if self.raw.dtype.kind == "f" and self.raw.dtype.itemsize >= 4:
                self._wide = self.raw.astype(self.raw.dtype.newbyteorder("="), copy=False)
            else:
                self._wide = np.empty(self.raw.shape, np.float32)
                for rows, columns in self._places(BLOCK):  # what widens copies more than once
                    part = np.ascontiguousarray(self.raw[rows, columns])
                    self._wide[rows, columns] = self.dtype.widen(part)
        return self._wide
