"""Some of the units of a layer, next to each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import MISSING, dataclass, replace
from typing import ClassVar, NamedTuple

import numpy as np

from snstat.errors import InvalidValueError
from snstat.layers.draw import Draw, Pass, Values
from snstat.layers.layer import Layer, one
from snstat.layers.no_theory import BY_PLACE, NoTheory
from snstat.layers.shape import Shape
from snstat.layers.signal import PLACE, Signal, Slope, Step
from snstat.limits import MAX_WIDTH
from snstat.values.kinds import Whole
from snstat.values.option import option


class _From(NamedTuple):
    """The draw that unit i depends on, of which unit i before it was unit `start` + i."""

    draw: object
    start: int


@dataclass(frozen=True)
class Slice(Layer):
    """Units (channels) start, …, stop − 1 of every position.

    All moments are those of the units before, of which they are some, where units are independent
    and alike. A squared gradient of the units before is the share of the units that are picked
    times that after them. Two slices that begin at different units depend on different rows of
    the weights before them, so that sums and products of them have theory: a fused gate is
    `slice`, `slice`, activation, `multiply`. Theory is null where units differ by their place, as
    after concat and sinusoids, and a population of infinite width does not stand for it.
    Source: arXiv:1612.08083.
    """

    kind: ClassVar[str] = "slice"
    linear: ClassVar[bool] = True
    per_position: ClassVar[bool] = True
    arrays: ClassVar[int] = 1

    start: int = option(Whole(0, MAX_WIDTH - 1), "The first unit, counted from 0.", default=MISSING)
    stop: int = option(Whole(1, MAX_WIDTH), "The unit after the last one.", default=MISSING)

    def shape(self, inputs: Sequence[Shape]) -> Shape:
        """See Layer. Raises InvalidValueError for units that are not there, and for none."""
        shape = one(inputs)
        if self.stop > shape.channels:
            bound = f"at most {shape.channels:,}, the channels before it"
            raise InvalidValueError("stop", self.stop, bound)
        if self.start >= self.stop:
            bound = f"below stop, which is {self.stop:,}"
            raise InvalidValueError("start", self.start, bound)
        return Shape(self.stop - self.start, shape.grid)

    def moments(self, inputs: Sequence[Signal], batch: int) -> Step | NoTheory:  # noqa: ARG002
        """See Layer."""
        signal = one(inputs)
        shape = self.shape([signal.shape])
        if shape == signal.shape:
            return Step((signal,), signal, lambda slope: (slope,))
        if PLACE in signal.fresh:
            return NoTheory(BY_PLACE)
        share = shape.channels / signal.shape.channels

        def pull(slope: Slope) -> tuple[Slope, ...]:
            return (slope.scaled(share),)

        fresh = frozenset(self._moved(draw) for draw in signal.fresh)
        return Step((signal,), replace(signal, shape=shape, fresh=fresh), pull)

    def unlimited(self, own: Sequence[Shape], wide: Sequence[Shape]) -> str:  # noqa: ARG002
        """See Layer. The units of a population have other numbers."""
        return f"it picks units by their numbers, {self.start:,} to {self.stop - 1:,}"

    def sample(self, inputs: Sequence[Values], draw: Draw) -> Pass:  # noqa: ARG002
        """See Layer."""
        values = one(inputs)

        def pull(slope: Values) -> tuple[Values, ...]:
            back = np.zeros_like(values)
            back[self.start : self.stop] = slope
            return (back,)

        return Pass(values[self.start : self.stop], pull)

    def _moved(self, draw: object) -> object:
        """Return what a unit depends on. Unit i of a slice is another one than unit i of another
        slice, or of all units, unless they begin at the same unit."""
        origin, start = draw if isinstance(draw, _From) else (draw, 0)
        start += self.start
        return _From(origin, start) if start else origin
