"""The options of a layer that makes one position out of those in a window."""

from __future__ import annotations

from dataclasses import MISSING, dataclass

from snstat.errors import InvalidValueError
from snstat.layers.shape import Shape
from snstat.layers.window import Window, window
from snstat.layers.window_axis import VALID
from snstat.layers.window_options import SIZES, grid_of
from snstat.values.option import Settings, option
from snstat.values.sizes import Sizes, of_axes


@dataclass(frozen=True)
class PoolOptions(Settings):
    """The options of a pool. Nothing is padded unless a kind says so: windows that do not fit are
    left out."""

    size: Sizes = option(SIZES, "Positions in the window, along each axis.", default=MISSING)
    stride: Sizes | None = option(
        SIZES, "Positions by which the window moves.", shown="the size: windows do not overlap"
    )

    def window(self, shape: Shape) -> Window:
        """Return the window over the grid of `shape`. Raises InvalidValueError for a vector, and
        for sizes that do not fit."""
        return self._padded(shape, VALID)

    def _padded(self, shape: Shape, padding: str) -> Window:
        grid = grid_of(shape)
        size = of_axes("size", self.size, len(grid))
        stride = size if self.stride is None else of_axes("stride", self.stride, len(grid))
        for own, positions in zip(size, grid, strict=True):
            if own > positions:
                bound = f"at most the {positions:,} positions along an axis before it"
                raise InvalidValueError("size", own, bound, f"try {positions:,}")
        return window(grid, size, stride, (1,) * len(grid), padding)
