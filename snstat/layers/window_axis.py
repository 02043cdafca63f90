"""One axis of a window: which positions each output position is computed from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from snstat.errors import InvalidValueError

SAME, VALID, CIRCULAR, CAUSAL = "same", "valid", "circular", "causal"
PADDINGS = (SAME, VALID, CIRCULAR, CAUSAL)
# Where a window has no position: beyond the border, where values are 0.
NOWHERE = -1

Index = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Axis:
    """One axis of a window: `size` positions, of which it takes `kernel`, `dilation` apart, from
    `before` positions to the left of the first one, and moves by `stride`. It goes `around` the
    ends, or finds 0 beyond them. `moves` is how often it is put down."""

    size: int
    kernel: int
    stride: int
    dilation: int
    before: int
    moves: int
    around: bool

    @classmethod
    def of(cls, size: int, kernel: int, stride: int, dilation: int, padding: str) -> Axis:
        """Return the axis for a name of `PADDINGS`. Raises InvalidValueError for a window that is
        larger than the grid where nothing is padded."""
        span = dilation * (kernel - 1) + 1
        if padding == VALID:
            if span > size:
                remedy = f"take padding {SAME}, or a smaller kernel"
                bound = f"a window of at most {size:,} positions with padding {VALID}"
                raise InvalidValueError("kernel", kernel, bound, remedy)
            before, moves = 0, (size - span) // stride + 1
        else:
            before = span - 1 if padding == CAUSAL else (span - 1) // 2
            moves = -(-size // stride)
        return cls(size, kernel, stride, dilation, before, moves, padding == CIRCULAR)

    @property
    def sources(self) -> Index:
        """The position that each tap takes, (kernel, moves); `NOWHERE` beyond the ends."""
        taps = np.arange(self.kernel)[:, None] * self.dilation - self.before
        found = taps + np.arange(self.moves) * self.stride
        if self.around:
            return found % self.size
        return np.where((found >= 0) & (found < self.size), found, NOWHERE)

    @property
    def padded(self) -> Index:
        """The position of each point of the axis with padding on both sides."""
        last = (self.moves - 1) * self.stride + (self.kernel - 1) * self.dilation
        found = np.arange(max(last + 1, self.size + self.before)) - self.before
        return found % self.size if self.around else found

    def taken(self, tap: int) -> slice:
        """Return the points of the padded axis that a tap takes."""
        first = tap * self.dilation
        return slice(first, first + (self.moves - 1) * self.stride + 1, self.stride)
