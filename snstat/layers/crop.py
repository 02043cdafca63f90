"""Some of the positions of a grid, next to each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import MISSING, dataclass
from typing import Any, ClassVar

import numpy as np

from snstat.errors import InvalidValueError
from snstat.layers.draw import Draw, Pass, Values
from snstat.layers.layer import Layer, one
from snstat.layers.no_theory import NoTheory
from snstat.layers.resampled import resampled
from snstat.layers.shape import Shape
from snstat.layers.signal import Signal, Step
from snstat.layers.window_axis import Index
from snstat.layers.window_options import grid_of
from snstat.limits import MAX_WIDTH
from snstat.values.option import option
from snstat.values.sizes import GridSizes, Sizes, of_axes

STARTS, STOPS = GridSizes(0, MAX_WIDTH - 1), GridSizes(1, MAX_WIDTH)


@dataclass(frozen=True)
class Crop(Layer):
    """Positions start, …, stop − 1 along each axis of the grid, such as the last time.

    E[x_u x_v] stays that of the positions that are kept, for any law of x; the others have no
    gradient. The squared gradient of the layer before is an average over all of its positions, of
    which those that are kept have all. Valid convolutions and a copy of what they read, cropped to
    the same size, make a U-Net (arXiv:1505.04597).
    """

    kind: ClassVar[str] = "crop"
    linear: ClassVar[bool] = True
    arrays: ClassVar[int] = 1

    start: Sizes = option(STARTS, "The first position, counted from 0.", default=MISSING)
    stop: Sizes = option(STOPS, "The position after the last one.", default=MISSING)

    def bounds(self, shape: Shape) -> tuple[slice, ...]:
        """Return the positions along each axis. Raises InvalidValueError for a vector, for another
        number of axes, and for positions that are not there."""
        grid = grid_of(shape)
        starts, stops = (of_axes(n, getattr(self, n), len(grid)) for n in ("start", "stop"))
        for start, stop, size in zip(starts, stops, grid, strict=True):
            if stop > size:
                raise InvalidValueError("stop", stop, f"at most {size:,}, the positions before it")
            if start >= stop:
                raise InvalidValueError("start", start, f"below stop, which is {stop:,}")
        return tuple(map(slice, starts, stops))

    def shape(self, inputs: Sequence[Shape]) -> Shape:
        """See Layer. Raises InvalidValueError for what `bounds` does."""
        shape = one(inputs)
        kept = self.bounds(shape)
        return Shape(shape.channels, tuple(own.stop - own.start for own in kept))

    def sources(self, shape: Shape) -> Index:
        """Return the position that each one after was before, (positions after,)."""
        return np.arange(shape.positions).reshape(shape.grid)[self.bounds(shape)].ravel()

    def moments(self, inputs: Sequence[Signal], batch: int) -> Step | NoTheory:  # noqa: ARG002
        """See Layer."""
        signal = one(inputs)
        return resampled(signal, self.shape([signal.shape]), self.sources(signal.shape)[None])

    def sample(self, inputs: Sequence[Values], draw: Draw) -> Pass:  # noqa: ARG002
        """See Layer."""
        values = one(inputs)
        channels, _, *grid = values.shape
        kept: tuple[Any, ...] = (..., *self.bounds(Shape(channels, tuple(grid))))

        def pull(slope: Values) -> tuple[Values, ...]:
            back = np.zeros_like(values)
            back[kept] = slope
            return (back,)

        return Pass(np.ascontiguousarray(values[kept]), pull)
