"""Dropout: every unit is dropped or scaled up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import MISSING, dataclass, replace
from typing import ClassVar

from snstat.gaussian.quadrature import FloatArray
from snstat.layers.draw import Draw, Pass, Values
from snstat.layers.higher import Higher
from snstat.layers.law import GAUSSIAN, OTHER, ZERO, Law, Masked
from snstat.layers.layer import Layer, one
from snstat.layers.mask_spread import after_mask
from snstat.layers.no_theory import NoTheory
from snstat.layers.scale import Scale
from snstat.layers.shape import Shape
from snstat.layers.signal import Signal, Slope, Step
from snstat.layers.spread import Spread
from snstat.layers.squares import alone, diagonal
from snstat.limits import MAX_RATE
from snstat.values.kinds import Real
from snstat.values.option import option

RATE = Real(0.0, MAX_RATE)


@dataclass(frozen=True)
class Dropout(Layer):
    """x/k with probability k = 1 − rate, else 0, for every unit by itself; x in eval mode.

    E[x²] and squared gradients grow by 1/k, exactly and for any law of x; the mean and products of
    samples, or of positions, stay. After Gaussian x, theory knows an activation of the result.
    Theory is that of train mode (Srivastava et al. 2014; signal propagation: arXiv:1611.01232,
    arXiv:1811.00293).
    """

    kind: ClassVar[str] = "dropout"
    linear: ClassVar[bool] = True
    per_position: ClassVar[bool] = True

    rate: float = option(RATE, "Probability that a unit is dropped.", default=MISSING)

    def shape(self, inputs: Sequence[Shape]) -> Shape:
        """See Layer."""
        return one(inputs)

    def moments(self, inputs: Sequence[Signal], batch: int) -> Step:  # noqa: ARG002
        """See Layer."""
        signal = one(inputs)
        if not self.rate:
            return Step((signal,), signal, lambda slope: (slope,))
        more = 1.0 / (1.0 - self.rate) - 1.0
        added = more * self.masked_alike(signal.same)
        after = signal.become(
            signal.mean,
            signal.same + added,
            signal.gap + added,
            masked(signal, 1.0 - self.rate, 1.0 / (1.0 - self.rate)),
        )
        # No bound falls, and only units that are kept have moments.
        after = replace(
            after, least=signal.least, higher=_kept(signal, after, 1.0 / (1.0 - self.rate))
        )

        def pull(slope: Slope) -> tuple[Slope, ...]:
            slope = slope.kept()
            grown = more * self.masked_alike(slope.same)
            return (Slope(slope.same + grown, slope.gap + grown, slope.log).scaled(1.0),)

        return Step((signal,), after, pull)

    def spread(self, step: Step, inputs: Sequence[Spread]) -> Spread | NoTheory:
        """See Layer."""
        if not self.rate:
            return one(inputs).times(1.0)
        keep = 1.0 - self.rate
        return after_mask(step, one(inputs), keep, 1.0 / keep)

    def evaluated(self) -> Layer:
        """See Layer."""
        return Scale(1.0)

    def sample(self, inputs: Sequence[Values], draw: Draw) -> Pass:
        """See Layer."""
        values = one(inputs)
        if not draw.train:
            return Pass(values, lambda slope: (slope,))
        mask = draw.kept(self.mask_shape(values), self.rate, values.dtype)
        mask *= 1.0 / (1.0 - self.rate)
        return Pass(values * mask, lambda slope: (slope * mask,))

    def masked_alike(self, square: FloatArray) -> FloatArray:
        """Return the products of positions that have one mask, 0 for the others."""
        return alone(diagonal(square), square)

    def mask_shape(self, values: Values) -> tuple[int, ...]:
        """Return the shape of the mask of these values."""
        return values.shape


def _kept(before: Signal, after: Signal, more: float) -> Higher | None:
    """Return the moments beyond the second of units times `more` with probability 1/`more`, else
    0: E[xⁿ] times `more`ⁿ⁻¹."""
    higher, mean = before.beyond, before.mean
    if higher is None:
        return None
    square, after_it = diagonal(before.same), diagonal(after.same)
    third = more**2 * (higher.third + 3.0 * mean * square - 2.0 * mean**3)
    third += 2.0 * mean**3 - 3.0 * mean * after_it
    fourth = more**3 * higher.raw_fourth(mean, square)
    # To cumulants: what raw_fourth adds to the fourth one.
    apart = Higher(third, 0.0 * third).raw_fourth(mean, after_it)
    return Higher(third, fourth - apart)


def masked(
    signal: Signal, keep: float, factor: float, shift: float = 0.0, level: float = 0.0
) -> Law:
    """Return the law of `factor`·x + `shift`, or `level` with probability 1 − `keep`, for the units
    x of `signal`."""
    if signal.law == ZERO and shift == level == 0:
        return ZERO
    if signal.law != GAUSSIAN or signal.mean.size > 1 or not signal.known:
        return OTHER
    q, gap = float(signal.same[0, 0]), float(signal.gap[0, 0])
    return Masked(keep, 0.0, 0.0, q, gap).moved(factor, shift)._replace(level=level).law
