"""Layer norm."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from snstat.gaussian.quadrature import FloatArray
from snstat.layers.draw import Draw, Pass, Values
from snstat.layers.layer import one
from snstat.layers.no_theory import NO_VARIANCE, NoTheory
from snstat.layers.norm_spread import after_norm
from snstat.layers.normalise import Norm, divided, renewed, scales
from snstat.layers.signal import Signal, Step, floored
from snstat.layers.spread import Spread
from snstat.layers.squares import diagonal, outer


@dataclass(frozen=True, kw_only=True)
class LayerNorm(Norm):
    """(x − m)/s with s² = ν + ε: mean m and variance ν over the channels of each sample and
    position.

    In the limit of large width m and s are numbers, so E[xx'] becomes (E[xx'] − mm')/(ss') and
    E[δδ'] becomes E[δδ']/(ss'), for any law of x. Where theory does not know E[x²], it goes on from
    E[x²] = 1, without cosines, if ε is below a thousandth of what ν is at least. At width
    n and with ε = 0, squared gradients are smaller by (n − 2)/n (arXiv:1607.06450).
    """

    kind: ClassVar[str] = "layer_norm"
    per_position: ClassVar[bool] = True
    renews: ClassVar[bool] = True

    def moments(self, inputs: Sequence[Signal], batch: int) -> Step | NoTheory:  # noqa: ARG002
        """See Layer."""
        signal = one(inputs)
        if not signal.known:
            return renewed(signal, self.epsilon, centred=True)
        _, scale = self.measured(signal)
        if scale is None:
            return NoTheory(NO_VARIANCE)
        both = outer(scale, scale, signal.same)
        centred = floored(signal.same - outer(signal.mean, signal.mean, signal.same))
        factor = 1.0 / float(scale[0])
        after = signal.become(
            np.zeros_like(signal.mean),
            centred / both,
            signal.gap / both,
            signal.law.centred(factor, -factor * float(signal.mean[0])),
        )
        return divided(signal, after, scale)

    def measured(self, signal: Signal) -> tuple[FloatArray, FloatArray | None]:
        """See Norm."""
        return signal.mean, scales(diagonal(signal.same), signal.mean, self.epsilon)

    def spread(self, step: Step, inputs: Sequence[Spread]) -> Spread | NoTheory:
        """See Layer."""
        return after_norm(step, one(inputs), self.epsilon, centred=True)

    def sample(self, inputs: Sequence[Values], draw: Draw) -> Pass:
        """See Layer."""
        return draw.normalise_samples(one(inputs), self.epsilon)
