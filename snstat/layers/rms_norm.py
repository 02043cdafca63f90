"""RMS norm."""

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
from snstat.layers.signal import Signal, Step
from snstat.layers.spread import Spread
from snstat.layers.squares import diagonal, outer


@dataclass(frozen=True, kw_only=True)
class RmsNorm(Norm):
    """x/s with s² = q + ε: q the mean of x² over the channels of each sample and position.

    In the limit of large width s is a number, so E[xx'] and E[δδ'] are divided by ss' for any law
    of x; the mean and the cosine of samples survive. Where theory does not know E[x²], it goes on
    from E[x²] = 1 as after layer norm. At width n and with ε = 0, squared gradients
    are smaller by (n − 1)/n (arXiv:1910.07467).
    """

    kind: ClassVar[str] = "rms_norm"
    per_position: ClassVar[bool] = True
    renews: ClassVar[bool] = True

    def moments(self, inputs: Sequence[Signal], batch: int) -> Step | NoTheory:  # noqa: ARG002
        """See Layer."""
        signal = one(inputs)
        if not signal.known:
            return renewed(signal, self.epsilon, centred=False)
        _, scale = self.measured(signal)
        if scale is None:
            return NoTheory(NO_VARIANCE)
        both = outer(scale, scale, signal.same)
        after = signal.become(
            signal.mean / scale,
            signal.same / both,
            signal.gap / both,
            signal.law.moved(1.0 / float(scale[0])),
        )
        return divided(signal, after, scale, centred=False)

    def measured(self, signal: Signal) -> tuple[FloatArray, FloatArray | None]:
        """See Norm."""
        square = diagonal(signal.same)
        nothing = np.zeros_like(square)
        return nothing, scales(square, nothing, self.epsilon)

    def spread(self, step: Step, inputs: Sequence[Spread]) -> Spread | NoTheory:
        """See Layer."""
        return after_norm(step, one(inputs), self.epsilon, centred=False)

    def sample(self, inputs: Sequence[Values], draw: Draw) -> Pass:
        """See Layer."""
        return draw.normalise_samples(one(inputs), self.epsilon, centred=False)
