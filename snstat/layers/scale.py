"""A scale: every unit times a number."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

from snstat.layers.draw import Draw, Pass, Values
from snstat.layers.law import ZERO
from snstat.layers.layer import Layer, one
from snstat.layers.no_theory import STILL, NoTheory
from snstat.layers.shape import Shape
from snstat.layers.signal import Signal, Step
from snstat.layers.spread import Spread
from snstat.limits import MAX_SCALE
from snstat.values.kinds import Real
from snstat.values.option import option


@dataclass(frozen=True)
class Scale(Layer):
    """factor·x. It multiplies second moments, and squared gradients on the way back, by factor².

    Source: arXiv:2002.10444.
    """

    kind: ClassVar[str] = "scale"
    linear: ClassVar[bool] = True
    per_position: ClassVar[bool] = True
    arrays: ClassVar[int] = 1

    factor: float = option(Real(-MAX_SCALE, MAX_SCALE), "Factor of every unit.", default=1.0)

    def shape(self, inputs: Sequence[Shape]) -> Shape:
        """See Layer."""
        return one(inputs)

    def moments(self, inputs: Sequence[Signal], batch: int) -> Step | NoTheory:  # noqa: ARG002
        """See Layer."""
        signal, square = one(inputs), self.factor**2
        after = signal.become(
            self.factor * signal.mean,
            square * signal.same,
            square * signal.gap,
            signal.law.moved(self.factor) if self.factor else ZERO,
        )
        higher = signal.beyond
        after = replace(
            after,
            least=signal.least.times(self.factor),
            higher=None if higher is None else higher.times(self.factor),
        )
        return Step((signal,), after, lambda slope: (slope.scaled(square),))

    def spread(self, step: Step, inputs: Sequence[Spread]) -> Spread | NoTheory:  # noqa: ARG002
        """See Layer."""
        before = one(inputs)
        if not self.factor:
            return NoTheory(STILL)
        return before.times(math.copysign(1.0, self.factor))

    def sample(self, inputs: Sequence[Values], draw: Draw) -> Pass:  # noqa: ARG002
        """See Layer."""
        factor = self.factor
        return Pass(factor * one(inputs), lambda slope: (factor * slope,))
