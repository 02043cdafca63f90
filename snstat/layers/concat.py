"""A concatenation of layers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import ClassVar

import numpy as np

from snstat.errors import InvalidValueError
from snstat.gaussian.quadrature import FloatArray
from snstat.layers.draw import Draw, Pass, Values
from snstat.layers.law import GAUSSIAN, OTHER, ZERO
from snstat.layers.layer import Layer, several
from snstat.layers.least import Least
from snstat.layers.no_theory import NoTheory
from snstat.layers.shape import Shape
from snstat.layers.signal import PLACE, Signal, Slope, Step, aligned
from snstat.layers.spread import Spread
from snstat.layers.sum_spread import after_concat


@dataclass(frozen=True)
class Concat(Layer):
    """The units of two layers or more, one layer after the other, on the same grid.

    E[x] and E[xx'] over all units are averages over the parts, weighted by their numbers of units.
    The units of all together are Gaussian if those of the parts are, with the same moments. Each
    part has the gradient of its units.
    Source: arXiv:1608.06993.
    """

    kind: ClassVar[str] = "concat"
    linear: ClassVar[bool] = True
    per_position: ClassVar[bool] = True
    arrays: ClassVar[int] = 1

    def shape(self, inputs: Sequence[Shape]) -> Shape:
        """See Layer."""
        first = several(inputs)[0]
        for other in inputs:
            if other.grid != first.grid:
                raise InvalidValueError("inputs", f"{first} and {other}", "layers on the same grid")
        return Shape(sum(part.channels for part in inputs), first.grid)

    def moments(self, inputs: Sequence[Signal], batch: int) -> Step:  # noqa: ARG002
        """See Layer."""
        inputs, shape = aligned(inputs), self.shape([part.shape for part in inputs])
        shares = np.array([part.shape.channels for part in inputs]) / shape.channels

        def average(arrays: Iterable[FloatArray]) -> FloatArray:
            return sum((c * array for c, array in zip(shares, arrays, strict=True)), np.zeros(1))

        mean = average(part.mean for part in inputs)
        same, gap = average(part.same for part in inputs), average(part.gap for part in inputs)
        # Units of two concatenations may be of like parts, so these are not independent.
        fresh = frozenset((PLACE,)).union(*(part.fresh for part in inputs))
        law = OTHER
        if all(part.law == ZERO for part in inputs):
            law = ZERO
        elif all(part.law == GAUSSIAN for part in inputs) and _alike(inputs):
            law = GAUSSIAN

        def pull(slope: Slope) -> tuple[Slope, ...]:
            return (slope,) * len(inputs)

        after = Signal(shape, mean, same, gap, law, fresh, _least(inputs, shares))
        return Step(tuple(inputs), after, pull)

    def unlimited(self, own: Sequence[Shape], wide: Sequence[Shape]) -> str:
        """See Layer: the shares of the parts must stay."""
        first = Fraction(wide[0].channels, own[0].channels)
        if all(Fraction(w.channels, o.channels) == first for o, w in zip(own, wide, strict=True)):
            return ""
        parts = " and ".join(f"{part.channels:,}" for part in own)
        return f"parts of {parts} channels have other shares of a population"

    def spread(self, step: Step, inputs: Sequence[Spread]) -> Spread | NoTheory:
        """See Layer."""
        return after_concat(step, inputs)

    def sample(self, inputs: Sequence[Values], draw: Draw) -> Pass:  # noqa: ARG002
        """See Layer."""
        ends = np.cumsum([len(part) for part in inputs])[:-1]
        return Pass(np.concatenate(inputs), lambda slope: tuple(np.split(slope, ends)))


def _least(parts: Sequence[Signal], shares: FloatArray) -> Least:
    """Return what is certain of all units where some are not known."""
    if all(part.known for part in parts):
        return Least()
    square, variance, mean = shares @ np.array([part.bounds for part in parts])
    return Least.of(square, variance, mean)


def _alike(parts: Sequence[Signal]) -> bool:
    """Return whether parts have the same moments."""
    first = parts[0]
    return all(
        np.array_equal(first.mean, part.mean)
        and np.array_equal(first.same, part.same)
        and np.array_equal(first.gap, part.gap)
        for part in parts
    )
