"""A max pool: the largest value of a window."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from snstat.layers.draw import Draw, Pass, Values
from snstat.layers.law import GAUSSIAN
from snstat.layers.layer import Layer, one
from snstat.layers.least import Least
from snstat.layers.pool_options import PoolOptions
from snstat.layers.shape import Shape
from snstat.layers.signal import Signal, Step, unknown
from snstat.layers.window import Window
from snstat.layers.window_axis import SAME, VALID
from snstat.values.kinds import Name
from snstat.values.option import option


@dataclass(frozen=True)
class MaxPool(PoolOptions, Layer):
    """The largest value of the positions in a window that slides over a grid, channel by channel.

    Its gradient is that of the position which has the largest value: of several the first, row by
    row, as in PyTorch. Padding same is none of zeros: what is beyond the grid is in no window.
    Theory is null: the law of a maximum is not one of a few moments. It is certain only that
    E[max²] is at least E[x]², and E[x²]/2 of Gaussian x, which tells a norm behind it that its ε is
    small (Riesenhuber, Poggio 1999; arXiv:1409.1556).
    """

    kind: ClassVar[str] = "max_pool"

    padding: str = option(
        Name((VALID, SAME)),
        "valid: windows that do not fit are left out. same: windows stand around every stride-th"
        " position, those at the border are smaller.",
        default=VALID,
    )

    def window(self, shape: Shape) -> Window:
        """See PoolOptions."""
        return self._padded(shape, self.padding)

    def shape(self, inputs: Sequence[Shape]) -> Shape:
        """See Layer. Raises InvalidValueError for a vector, and for a window that does not fit."""
        shape = one(inputs)
        return Shape(shape.channels, self.window(shape).grid)

    def moments(self, inputs: Sequence[Signal], batch: int) -> Step:  # noqa: ARG002
        """See Layer. Where x > 0 the maximum is no less."""
        signal = one(inputs)
        square, _, mean = signal.bounds
        least = Least.of(0.5 * square if signal.law == GAUSSIAN else 0.0, 0.0, mean)
        why = "the law of a maximum is not one of a few moments"
        return unknown(self.shape([signal.shape]), inputs, why, least)

    def sample(self, inputs: Sequence[Values], draw: Draw) -> Pass:  # noqa: ARG002
        """See Layer. NaN counts as the largest value."""
        values = one(inputs)
        window = self.window(Shape(len(values), values.shape[2:]))
        parts = self._parts(window, values)
        found = next(parts).copy()
        which = np.zeros(found.shape, np.min_scalar_type(window.taps))
        for tap, part in enumerate(parts, 1):
            larger = (part > found) | np.isnan(part)
            np.copyto(found, part, where=larger)
            which[larger] = tap

        def pull(slope: Values) -> tuple[Values, ...]:
            taps = range(window.taps)
            return (window.together(np.where(which == tap, slope, 0) for tap in taps),)

        return Pass(found, pull)

    def _parts(self, window: Window, values: Values) -> Iterator[Values]:
        """Yield what each tap takes, −∞ beyond the grid."""
        if self.padding == VALID:
            yield from window.parts(values)
            return
        inside = window.parts(np.ones((1, 1, *values.shape[2:]), values.dtype))
        nothing = values.dtype.type(-np.inf)
        for own, there in zip(window.parts(values), inside, strict=True):
            yield np.where(there > 0, own, nothing)
