"""Channel dropout: whole channels of a sample are dropped or scaled up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import MISSING, dataclass, replace
from typing import ClassVar

from snstat.layers.draw import Draw, Pass, Values
from snstat.layers.dropout import RATE, kept, masked
from snstat.layers.layer import Layer, one
from snstat.layers.scale import Scale
from snstat.layers.shape import Shape
from snstat.layers.signal import OTHER, ZERO, Signal, Slope, Step
from snstat.values.option import option


@dataclass(frozen=True)
class ChannelDropout(Layer):
    """x/k with probability k = 1 − rate, else 0, for all positions of a channel alike; x in eval
    mode.

    As dropout, but products of two positions of a sample grow by 1/k too, exactly and for any law
    of x. Without a grid it is dropout. Theory is that of train mode (arXiv:1411.4280).
    """

    kind: ClassVar[str] = "channel_dropout"

    rate: float = option(RATE, "Probability that a channel is dropped.", default=MISSING)

    def shape(self, inputs: Sequence[Shape]) -> Shape:
        """See Layer."""
        return one(inputs)

    def moments(self, inputs: Sequence[Signal], batch: int) -> Step | None:  # noqa: ARG002
        """See Layer."""
        signal = one(inputs)
        if not self.rate:
            return Step((signal,), signal, lambda slope: (slope,))
        more = 1.0 / (1.0 - self.rate) - 1.0
        after = replace(
            signal,
            same=signal.same + more * signal.same,
            gap=signal.gap + more * signal.same,
            law=ZERO if signal.law == ZERO else OTHER,
        )

        def pull(slope: Slope) -> tuple[Slope, ...]:
            grown = more * slope.same
            return (Slope(slope.same + grown, slope.gap + grown, slope.log).scaled(1.0),)

        return Step((signal,), after, pull)

    def evaluated(self) -> Layer:
        """See Layer."""
        return Scale(1.0)

    def sample(self, inputs: Sequence[Values], draw: Draw) -> Pass:
        """See Layer."""
        values = one(inputs)
        if not draw.train:
            return Pass(values, lambda slope: (slope,))
        shape = (*values.shape[:2], *[1] * (values.ndim - 2))
        return masked(values, kept(shape, values, self.rate, draw) / (1.0 - self.rate))
