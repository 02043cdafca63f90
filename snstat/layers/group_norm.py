"""Group norm."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import MISSING, dataclass
from typing import ClassVar

import numpy as np

from snstat.errors import InvalidValueError
from snstat.gaussian.quadrature import FloatArray
from snstat.layers.draw import Draw, Pass, Values
from snstat.layers.layer import one
from snstat.layers.no_theory import BY_PLACE, NO_VARIANCE, NoTheory
from snstat.layers.norm_spread import after_norm
from snstat.layers.normalise import Norm, divided, normalised, renewed, scales
from snstat.layers.shape import Shape
from snstat.layers.signal import PLACE, Signal, Step, floored
from snstat.layers.spread import Spread
from snstat.layers.squares import diagonal, outer
from snstat.limits import MAX_WIDTH
from snstat.values.kinds import Whole
from snstat.values.option import option

# With fewer channels a group, mean and variance of a group are far from numbers.
FEWEST_CHANNELS = 32


@dataclass(frozen=True, kw_only=True)
class GroupNorm(Norm):
    """(x − m)/s with s² = ν + ε: mean m and variance ν over the channels of a group and all
    positions of each sample.

    In the limit of many channels a group m and s are numbers, so E[xx'] and E[δδ'] are those of
    layer norm with m and E[x²] averaged over positions, for any law of x. Theory is null for groups
    of fewer than 32 channels, and for several groups of a concatenation, which are not alike
    (arXiv:1803.08494).
    """

    kind: ClassVar[str] = "group_norm"

    groups: int = option(Whole(1, MAX_WIDTH), "Groups of equally many channels.", default=MISSING)

    def shape(self, inputs: Sequence[Shape]) -> Shape:
        """See Layer. Raises InvalidValueError unless the groups divide the channels."""
        shape = one(inputs)
        if shape.channels % self.groups:
            bound = f"a divisor of the {shape.channels:,} channels before it"
            least = min(self.groups, shape.channels)
            near = next(n for n in range(least, 0, -1) if shape.channels % n == 0)
            raise InvalidValueError("groups", self.groups, bound, f"try {near:,}")
        return shape

    def moments(self, inputs: Sequence[Signal], batch: int) -> Step | NoTheory:  # noqa: ARG002
        """See Layer."""
        signal = one(inputs)
        if not signal.known:
            return self._renewed(signal)
        less, own = self.measured(signal)
        mean, scale = less[0], None if own is None else own[0]
        if scale is None:
            return NoTheory(NO_VARIANCE)
        if signal.shape.channels < FEWEST_CHANNELS * self.groups:
            return NoTheory(f"theory needs {FEWEST_CHANNELS} channels a group")
        if self.groups > 1 and PLACE in signal.fresh:  # groups of a concatenation are not alike
            return NoTheory(BY_PLACE)
        # E(x_u − m)(x_v − m), for any m.
        apart = signal.mean - mean
        around = outer(signal.mean, signal.mean, signal.same)
        centred = floored(signal.same - around + outer(apart, apart, signal.same))
        after = signal.become(
            (signal.mean - mean) / scale,
            centred / scale**2,
            signal.gap / scale**2,
            signal.law.centred(1.0 / float(scale), -float(mean / scale)),
        )
        return divided(signal, after, np.full_like(signal.mean, scale))

    def _renewed(self, signal: Signal) -> Step | NoTheory:
        """Return the step after moments that are not known: that of a layer norm. What positions
        have in common, and groups of a concatenation, is not known."""
        enough = signal.shape.channels >= FEWEST_CHANNELS * self.groups
        if signal.mean.size > 1 or not enough or (self.groups > 1 and PLACE in signal.fresh):
            return NoTheory("")  # that of the layer where theory ended
        return renewed(signal, self.epsilon, centred=True)

    def measured(self, signal: Signal) -> tuple[FloatArray, FloatArray | None]:
        """See Norm."""
        square, mean = diagonal(signal.same).mean(), signal.mean.mean()
        scale, like = scales(square, mean, self.epsilon), np.ones_like(signal.mean)
        return mean * like, None if scale is None else scale * like

    def spread(self, step: Step, inputs: Sequence[Spread]) -> Spread | NoTheory:
        """See Layer. Of one group it is layer norm."""
        if self.groups > 1:
            return NoTheory("first order in 1/width is not derived for several groups")
        return after_norm(step, one(inputs), self.epsilon, centred=True)

    def sample(self, inputs: Sequence[Values], draw: Draw) -> Pass:  # noqa: ARG002
        """See Layer."""
        values = one(inputs)
        parts = values.reshape(self.groups, -1, *values.shape[1:])
        found = normalised(parts, (1, *range(3, parts.ndim)), self.epsilon)

        def pull(slope: Values) -> tuple[Values, ...]:
            (back,) = found.pull(slope.reshape(parts.shape))
            return (back.reshape(slope.shape),)

        return Pass(found.values.reshape(values.shape), pull)
