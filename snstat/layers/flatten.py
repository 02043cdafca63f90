"""Flatten: the positions of a grid become channels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from snstat.layers.draw import Draw, Pass, Values
from snstat.layers.higher import Higher, pooled
from snstat.layers.law import GAUSSIAN, OTHER
from snstat.layers.layer import Layer, one
from snstat.layers.shape import Shape
from snstat.layers.signal import PLACE, Signal, Slope, Step, equal
from snstat.layers.squares import alone, diagonal
from snstat.layers.window_options import grid_of


@dataclass(frozen=True)
class Flatten(Layer):
    """All positions of a grid as channels of one vector.

    First come all positions of the first channel, row by row, then those of the second, as in
    PyTorch. E[x] and E[xx'] over all units are averages over positions, for any law of x; every
    position has the gradient of the units after it, and gradients of different positions are
    uncorrelated. Units are Gaussian where those before are and all positions have the same moments.
    Otherwise, as behind a border of zeros, they differ by their place: what needs only second
    moments goes on (LeCun et al. 1998; arXiv:1409.1556).
    """

    kind: ClassVar[str] = "flatten"
    linear: ClassVar[bool] = True
    arrays: ClassVar[int] = 1

    def shape(self, inputs: Sequence[Shape]) -> Shape:
        """See Layer. Raises InvalidValueError for a vector."""
        shape = one(inputs)
        grid_of(shape)
        return Shape(shape.units)

    def moments(self, inputs: Sequence[Signal], batch: int) -> Step:  # noqa: ARG002
        """See Layer."""
        signal = one(inputs)
        shape, count = Shape(signal.shape.units), signal.mean.size
        if count == 1:
            return Step((signal,), replace(signal, shape=shape), lambda slope: (slope,))
        parts = signal.mean, diagonal(signal.same), diagonal(signal.gap)
        law, fresh = signal.law, signal.fresh
        if not all(equal(part, np.full_like(part, part[0])) for part in parts):
            law, fresh = OTHER, fresh | {PLACE}
        mean, same, gap = (float(part.mean()) for part in parts)
        after = Signal.of_one(shape, (mean, same, gap), law, fresh)
        higher = signal.beyond
        if law == GAUSSIAN and higher is not None and higher.normal:
            higher = None  # those of the law
        elif higher is not None:
            _, third, fourth = pooled(higher, signal.mean, diagonal(signal.same))
            higher = Higher(np.array([third]), np.array([fourth]))
        after = replace(after, least=signal.least, higher=higher)

        def pull(slope: Slope) -> tuple[Slope, ...]:
            same, gap = (
                alone(np.full(count, part.item()), signal.same) for part in (slope.same, slope.gap)
            )
            return (Slope(same, gap, slope.log).scaled(1.0),)

        return Step((signal,), after, pull)

    def sample(self, inputs: Sequence[Values], draw: Draw) -> Pass:  # noqa: ARG002
        """See Layer."""
        values = one(inputs)
        channels, batch = values.shape[:2]

        def pull(slope: Values) -> tuple[Values, ...]:
            parts = slope.reshape(channels, -1, batch).swapaxes(1, 2)
            return (parts.reshape(values.shape),)

        found = values.reshape(channels, batch, -1).swapaxes(1, 2).reshape(-1, batch)
        return Pass(found, pull)
