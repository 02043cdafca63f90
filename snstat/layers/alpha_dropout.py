"""Alpha dropout: units are set to where SELU saturates, and mean and variance are restored."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import MISSING, dataclass
from typing import ClassVar

from snstat.activation import ALPHA, LAMBDA
from snstat.layers.draw import Draw, Pass, Values
from snstat.layers.dropout import RATE, masked
from snstat.layers.layer import Layer, one
from snstat.layers.mask_spread import after_mask
from snstat.layers.no_theory import NoTheory
from snstat.layers.scale import Scale
from snstat.layers.shape import Shape
from snstat.layers.signal import Signal, Slope, Step
from snstat.layers.spread import Spread
from snstat.layers.squares import alone, diagonal
from snstat.values.option import option

# What a dropped unit is set to: −λα, the limit of SELU at −∞.
LEVEL = -LAMBDA * ALPHA


@dataclass(frozen=True)
class AlphaDropout(Layer):
    """a·x + b with probability k = 1 − rate, else a·α' + b, for every unit by itself; x in eval
    mode.

    α' = −λα, a = (k + α'²k(1 − k))^(−1/2) and b = −a(1 − k)α': mean 0 and variance 1 stay. Exactly
    and for any law of x, the mean becomes a·k·m, the variance a²(k·ν + k(1 − k)(m − α')²), products
    of samples are multiplied by a²k², and squared gradients by a²k < 1. After Gaussian x, theory
    knows an activation of the result. Theory is that of train mode (arXiv:1706.02515).
    """

    kind: ClassVar[str] = "alpha_dropout"
    linear: ClassVar[bool] = True
    per_position: ClassVar[bool] = True

    rate: float = option(RATE, "Probability that a unit is dropped.", default=MISSING)

    def shape(self, inputs: Sequence[Shape]) -> Shape:
        """See Layer."""
        return one(inputs)

    def moments(self, inputs: Sequence[Signal], batch: int) -> Step:  # noqa: ARG002
        """See Layer."""
        signal, keep, factor = one(inputs), 1.0 - self.rate, self._factor
        if not self.rate:
            return Step((signal,), signal, lambda slope: (slope,))
        both = (factor * keep) ** 2
        noise = factor**2 * keep * self.rate
        # E(x − α')² of each position.
        apart = diagonal(signal.same) - 2.0 * LEVEL * signal.mean + LEVEL**2
        added = alone(noise * apart, signal.same)
        after = signal.become(
            factor * keep * signal.mean,
            both * signal.same + added,
            both * signal.gap + added,
            masked(signal, *self._mask),
        )

        def pull(slope: Slope) -> tuple[Slope, ...]:
            slope = slope.kept()
            grown = alone(noise * diagonal(slope.same), slope.same)
            same, gap = both * slope.same + grown, both * slope.gap + grown
            return (Slope(same, gap, slope.log).scaled(1.0),)

        return Step((signal,), after, pull)

    def spread(self, step: Step, inputs: Sequence[Spread]) -> Spread | NoTheory:
        """See Layer."""
        if not self.rate:
            return one(inputs).times(1.0)
        return after_mask(step, one(inputs), *self._mask)

    def evaluated(self) -> Layer:
        """See Layer."""
        return Scale(1.0)

    def sample(self, inputs: Sequence[Values], draw: Draw) -> Pass:
        """See Layer."""
        values = one(inputs)
        if not draw.train:
            return Pass(values, lambda slope: (slope,))
        mask, factor = draw.kept(values.shape, self.rate, values.dtype), self._factor
        # The same as a·x + b or a·α' + b.
        found = factor * (mask * values + LEVEL * ((1.0 - self.rate) - mask))
        return Pass(found, lambda slope: (factor * mask * slope,))

    @property
    def _mask(self) -> tuple[float, float, float, float]:
        """k, a, b and what a dropped unit becomes."""
        keep, factor = 1.0 - self.rate, self._factor
        return keep, factor, -factor * self.rate * LEVEL, factor * keep * LEVEL

    @property
    def _factor(self) -> float:
        keep = 1.0 - self.rate
        return 1.0 / math.sqrt(keep + LEVEL**2 * keep * self.rate)
