"""An activation after dropout of Gaussian units: some are Gaussian, the others are all alike.

With k the probability that a unit is kept, l the level of those that are dropped, and z the value
of those that are kept, each mask of its own:

    E f = k E f(z) + (1 − k) f(l)
    E ff' = k² E f(z)f(z') + 2k(1 − k) f(l) E f(z) + (1 − k)² f(l)²
"""

from __future__ import annotations

import math

import numpy as np

from snstat.activation import Activation
from snstat.activation.shifted import shifted
from snstat.gaussian.centred import centred_moments
from snstat.gaussian.expectations import derivative_mean, one_sided_slopes
from snstat.gaussian.pairs import pair_gap, pair_slope
from snstat.gaussian.rounding import without_noise
from snstat.layers.gaussian_inputs import misalignment
from snstat.layers.law import OTHER, Masked
from snstat.layers.no_theory import NoTheory
from snstat.layers.signal import Signal, Slope, Step


def through_mask(function: Activation, signal: Signal) -> Step | NoTheory:
    """Return the step of φ from a signal with a law of `Masked`, or why it is not known.

    φ' depends on the mask, so what dropout pulls back does not follow from E[δδ'] alone:
    `Slope.excess` has the rest. Nothing is known where the dropped units of a norm are at a kink.
    """
    law = Masked.of(signal.law)
    kept = of_kept(function, law.shift)
    if kept is None:
        return NoTheory("units that dropout keeps have a mean, and its averages are not known")
    if law.loose and _bends(function, law.level):
        return NoTheory("units that dropout sets to one level are at a kink")
    keep, drop, q = law.keep, 1.0 - law.keep, law.square
    state, apart = centred_moments(kept, q), misalignment(q, law.gap)
    value, slope = (float(f(np.array(law.level))) for f in (function.function, function.derivative))
    mean = keep * state.mean + drop * value
    square = keep * state.second_moment + drop * value * value
    # The same less that of two samples, without cancellation.
    gap = keep * drop * (state.variance + (state.mean - value) ** 2)
    gap += keep * keep * pair_gap(kept, q, apart)
    own = keep * state.derivative_square + drop * slope * slope

    def pull(after: Slope) -> tuple[Slope, ...]:
        one, two = float(after.same[0, 0]), float(after.same[0, 0] - after.gap[0, 0])
        product = both = 0.0
        if two:
            both = pair_slope(kept, q, apart)
            beside = 2.0 * drop * slope * float(derivative_mean(kept, 0.0, q))
            product = keep * (keep * both + beside) + (drop * slope) ** 2
        same, cross = one * own, two * product
        squares = np.array([[same]]), np.array([[same - cross]])
        extra = one * state.derivative_square - same, two * both - cross
        return (Slope(*squares, after.log, *extra).scaled(1.0),)

    mean = without_noise(mean, math.sqrt(square))
    moved_on = Signal.of_one(signal.shape, (mean, square, gap), OTHER, signal.fresh)
    return Step((signal,), moved_on, pull)


def _bends(function: Activation, level: float) -> bool:
    """Return whether φ' jumps at `level`: which side dropped units are on then decides."""
    below, above = one_sided_slopes(function, level)
    # A slope that is continuous differs by what it changes over the smallest step.
    return not math.isclose(float(below), float(above), abs_tol=1e-9)


def of_kept(function: Activation, shift: float) -> Activation | None:
    """Return φ(z + `shift`) as a function of z, None if its expectations are not known."""
    if shift == 0:
        return function
    if function.custom or function.formed("sine") is not None:
        return None
    return shifted(function, shift)
