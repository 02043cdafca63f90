"""The options of a layer with a window that slides over its grid."""

from __future__ import annotations

from dataclasses import MISSING, dataclass

from snstat.errors import InvalidValueError
from snstat.layers.shape import Shape
from snstat.layers.window import Window, window
from snstat.layers.window_axis import CAUSAL, PADDINGS, SAME
from snstat.limits import MAX_WIDTH
from snstat.values.kinds import Name
from snstat.values.option import Settings, option
from snstat.values.sizes import GridSizes, Sizes, of_axes

SIZES = GridSizes(1, MAX_WIDTH)


@dataclass(frozen=True, kw_only=True)
class WindowOptions(Settings):
    """The options of a window."""

    kernel: Sizes = option(SIZES, "Positions in the window, along each axis.", default=MISSING)
    stride: Sizes = option(SIZES, "Positions by which the window moves.", default=1)
    dilation: Sizes = option(SIZES, "Distance between positions in the window.", default=1)
    padding: str = option(
        Name(PADDINGS),
        "same: zeros on both sides. valid: none. circular: the other end of the grid. causal: zeros"
        " before the start, on a grid of one axis.",
        default=SAME,
    )

    def window(self, shape: Shape) -> Window:
        """Return the window over the grid of `shape`. Raises InvalidValueError for a vector, and
        for sizes that do not fit."""
        axes = len(shape.grid)
        grid_of(shape)
        if self.padding == CAUSAL and axes > 1:
            bound = f"another padding on a grid of {axes} axes"
            raise InvalidValueError("padding", self.padding, bound, "causal is for time")
        kernel, stride, dilation = (
            of_axes(name, getattr(self, name), axes) for name in ("kernel", "stride", "dilation")
        )
        return window(shape.grid, kernel, stride, dilation, self.padding)


def time_of(shape: Shape) -> int:
    """Return the number of times, or of tokens, in the grid of `shape`. Raises InvalidValueError
    unless it has one axis."""
    if len(grid_of(shape, "[128]")) > 1:
        bound = "a shape whose grid has one axis: of times, or of tokens"
        raise InvalidValueError("input", str(shape), bound)
    return shape.positions


def grid_of(shape: Shape, example: str = "[32, 32]") -> tuple[int, ...]:
    """Return the grid of `shape`. Raises InvalidValueError for a vector, with an `example`."""
    if not shape.grid:
        remedy = f"give the input a grid: input = {{ channels = 3, grid = {example} }}"
        raise InvalidValueError("input", str(shape), "a shape with a grid", remedy)
    return shape.grid
