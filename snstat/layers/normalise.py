"""What the kinds that normalise share: their option, and the normalisation of values."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from snstat.gaussian.quadrature import FloatArray
from snstat.layers.between import fitted, outer_between, with_own
from snstat.layers.draw import Pass, Values
from snstat.layers.higher import Higher, none
from snstat.layers.law import GAUSSIAN, OTHER
from snstat.layers.layer import Layer, one
from snstat.layers.least import Least
from snstat.layers.no_theory import NoTheory
from snstat.layers.shape import Shape
from snstat.layers.signal import Signal, Slope, Step, unknown_slopes
from snstat.layers.squares import outer
from snstat.limits import MAX_SCALE
from snstat.values.kinds import Real
from snstat.values.option import option

# A variance below this part of the second moment is rounding.
ROUNDING = 1e-14
# An ε below this part of what the root is taken of does not count where that is not known.
LEAST_EPSILON = 1e-3


@dataclass(frozen=True, kw_only=True)
class Norm(Layer):
    """A kind that divides by √(variance + ε)."""

    arrays: ClassVar[int] = 1

    epsilon: float = option(
        Real(0.0, MAX_SCALE), "ε, added to what the root is taken of.", default=1e-5
    )

    def shape(self, inputs: Sequence[Shape]) -> Shape:
        """See Layer."""
        return one(inputs)

    def measured(self, signal: Signal) -> tuple[FloatArray, FloatArray | None] | None:  # noqa: ARG002
        """Return what is subtracted from the units of each position, and what they are divided by,
        None for 0, both (positions,); None of kinds for which these are no numbers of one
        sample."""
        return None

    def between(self, steps: Sequence[Step], inputs: Sequence[FloatArray]) -> FloatArray | NoTheory:
        """See Layer."""
        measured = [self.measured(step.inputs[0]) for step in steps]
        found = [own for own in measured if own is not None]
        if len(found) < len(measured):
            return super().between(steps, inputs)
        mean = np.array([step.inputs[0].mean for step in steps])
        less, scale = (np.array([own[n] for own in found]) for n in range(2))
        crossed = fitted(one(inputs), steps[0].inputs[0].same)
        crossed = crossed - outer_between(mean, less, crossed) - outer_between(less, mean, crossed)
        crossed = crossed + outer_between(less, less, crossed)
        return with_own(crossed / outer_between(scale, scale, crossed), steps)


def scales(square: FloatArray, mean: FloatArray, epsilon: float) -> FloatArray | None:
    """Return √(E[x²] − mean² + ε), None where that is 0.

    `square` is E[x²], an array of the shape of `mean`.
    """
    variance = square - mean * mean
    variance = np.where(variance > ROUNDING * square, variance, 0.0 * square)
    total = variance + epsilon
    return None if np.any(total <= 0) else np.sqrt(total)


def divided(before: Signal, after: Signal, scale: FloatArray, *, centred: bool = True) -> Step:
    """Return the step to `after`, in which every unit is divided by `scale` (positions,) and what
    is subtracted, where they are `centred`, does not move with any one unit."""
    factors = 1.0 / outer(scale, scale, before.same)
    if before.mixed:
        after = replace(after, higher=Higher.unknown(before.mean.size))
    elif before.higher is not None and before.beyond is not None:
        higher = before.beyond.times(1.0 / scale)
        if centred and before.mean.any():
            higher = replace(higher, squares=none)
        after = replace(after, higher=higher)
    return Step((before,), after, lambda slope: (_weighted(slope, factors),))


def renewed(signal: Signal, epsilon: float, *, centred: bool) -> Step:
    """Return the step of a norm over the units of each position after a `signal` whose E[x²] is not
    known.

    After it E[x²] is s/(s + ε) with the variance s, or E[x²] unless it is `centred`: 1 if ε is
    small beside the least that s can be, whatever the law. In a simulation it is 1 − ε/s without
    any noise, so that the number is not told, but if ε = 0, and theory goes on from it. Products of
    samples and of positions are not known, nor by what gradients are divided.
    """
    bounds = signal.bounds
    size = bounds.variance if centred else bounds.square
    known = epsilon <= LEAST_EPSILON * size
    law = GAUSSIAN if signal.law == GAUSSIAN else OTHER
    still = centred or law == GAUSSIAN
    count = signal.mean.size
    mean = np.zeros(count) if still else np.full(count, math.nan)
    square = np.ones(count) if known else np.full(count, math.nan)
    share = size / (size + epsilon) if size else 0.0
    least = Least.of(share, share if still else 0.0)
    none = np.full(count, math.nan)
    after = Signal(signal.shape, mean, square, none, law, signal.fresh, least)
    told = epsilon == 0 or not known
    return Step((signal,), after, lambda slope: unknown_slopes(slope, [signal]), told=told)


def _weighted(slope: Slope, factors: FloatArray) -> Slope:
    return slope.weighted(factors).scaled(1.0)


def normalised(
    values: Values, axes: tuple[int, ...], epsilon: float, *, centred: bool = True
) -> Pass:
    """Return (x − mean)/√(variance + ε) over `axes`, or x/√(mean of squares + ε).

    Averages are taken in float64. Without ε, values that are all equal become NaN.
    """

    def average(of: Values) -> Values:
        mean: Values = of.mean(axes, dtype=np.float64, keepdims=True).astype(values.dtype)
        return mean

    moved = values - average(values) if centred else values
    with np.errstate(divide="ignore", invalid="ignore"):
        scale = 1.0 / np.sqrt(average(moved * moved) + epsilon)
        found = moved * scale

    def pull(slope: Values) -> tuple[Values, ...]:
        back = slope - found * average(slope * found)
        if centred:
            # found has mean 0, so the order does not matter.
            back = back - average(back)
        return (back * scale,)

    return Pass(found, pull)
