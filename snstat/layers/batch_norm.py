"""Batch norm."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from snstat.gaussian.sphere import pulled, radial
from snstat.layers.batch_on_grid import normed_on_grid
from snstat.layers.draw import Draw, Pass, Values
from snstat.layers.law import GAUSSIAN, OTHER, sphere
from snstat.layers.layer import Layer, one
from snstat.layers.no_theory import NO_SAMPLES, NOT_GAUSSIAN, NoTheory
from snstat.layers.normalise import Norm
from snstat.layers.scale import Scale
from snstat.layers.signal import SQUARES, Signal, Slope, Step, unknown_slopes

# With so few samples the mean squared gradient is infinite, or set by ε; with so few it is finite,
# but averages over networks do not settle.
ENDLESS, UNSETTLED = 3, 5
ALIKE = "all samples are alike before it"
FEW_SAMPLES = (
    f"of {ENDLESS} samples or fewer the mean squared gradient is infinite, or set by epsilon"
)


@dataclass(frozen=True, kw_only=True)
class BatchNorm(Norm):
    """(x − m)/s with s² = ν + ε: mean m and variance ν of a channel over the batch and all
    positions; x/√(1 + ε) in eval mode.

    After Gaussian x, the batch is √B times a point that is uniform on a sphere: E[x] = 0, E[x²] = 1
    and E[xx'] = −1/(B − 1) for ε = 0, whatever the cosine before. For an independent read-out g
    becomes g(B − 2)/((B − 3)v) with v = E[x²] − E[xx'] before; for B ≤ 3 it is
    infinite, or set by ε, and theory is null.
    Averages of squared gradients over networks do not settle for B ≤ 5. On a grid of P positions
    theory is that of many entries: m and s are numbers, so E[xx'] are centred over the B P entries
    and divided by E ν + ε, and Gaussian units stay Gaussian. It is off by about the relative
    variance of ν times E[x²], and null where that variance is more than 1/16, or pairs of positions
    are not followed.
    Without a grid and with ε = 0, E[x²] = 1 after Gaussian x whose size is not known.
    Theory is that of train mode, null for other laws of x (arXiv:1502.03167, arXiv:1902.08129).
    """

    kind: ClassVar[str] = "batch_norm"
    mixes: ClassVar[bool] = True

    @property
    def pairs(self) -> bool:
        """See Layer."""
        return True

    def moments(self, inputs: Sequence[Signal], batch: int) -> Step | NoTheory:
        """See Layer."""
        signal = one(inputs)
        if signal.law != GAUSSIAN:
            return NoTheory(NOT_GAUSSIAN)
        if batch < 2:
            return NoTheory("one sample has no variance over the batch")
        if np.isnan(signal.gap).any():
            return self._renewed(signal)
        if signal.mean.size > 1:
            return normed_on_grid(signal, batch, self.epsilon)
        gap = float(signal.gap[0, 0])
        if not gap > 0:
            return NoTheory(ALIKE)
        law = sphere(batch, self.epsilon / gap)
        ratio, rest = law.parameters[1], batch - 1
        if not math.isfinite(ratio):
            return NoTheory(ALIKE)
        square, back = radial(batch, ratio).square, pulled(batch, ratio)
        moments = 0.0, square, square + square / rest
        after = Signal.of_one(signal.shape, moments, law, signal.fresh)

        def pull(slope: Slope) -> tuple[Slope, ...]:
            if not slope.gap.any() and not slope.excess:
                return (slope.scaled(0.0),)
            if batch <= ENDLESS:
                return (Slope(math.nan * slope.same, math.nan * slope.gap),)
            # Its sum over the batch is 0.
            same = (back * slope.gap + slope.excess) / gap
            return (Slope(same, same + same / rest, slope.log).scaled(1.0),)

        why = FEW_SAMPLES if batch <= ENDLESS else ""
        return Step((signal,), after, pull, why_gradient=why)

    def _renewed(self, signal: Signal) -> Step | NoTheory:
        """Return the step after Gaussian units whose variance over the batch is not known: without
        ε the mean square over the batch is 1, and that of each sample if all are alike."""
        if self.epsilon or signal.mean.size > 1 or signal.varies == SQUARES:
            return NoTheory(NO_SAMPLES)
        after = Signal.of_one(signal.shape, (0.0, 1.0, math.nan), OTHER, signal.fresh)
        return Step((signal,), after, lambda slope: unknown_slopes(slope, [signal]))

    def evaluated(self) -> Layer:
        """See Layer."""
        return Scale(1.0 / math.sqrt(1.0 + self.epsilon))

    def sample(self, inputs: Sequence[Values], draw: Draw) -> Pass:
        """See Layer."""
        values = one(inputs)
        if draw.train:
            return draw.normalise_channels(values, self.epsilon)
        return self.evaluated().sample(inputs, draw)
