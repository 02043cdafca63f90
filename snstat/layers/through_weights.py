"""What weights do to a signal of a network of any layers."""

from __future__ import annotations

import numpy as np

from snstat.layers.initialisers import STANDARDIZED
from snstat.layers.law import GAUSSIAN, ZERO
from snstat.layers.least import Least
from snstat.layers.no_theory import TOO_LARGE, NoTheory
from snstat.layers.shape import Shape
from snstat.layers.signal import Signal, Step, floored
from snstat.layers.squares import outer
from snstat.layers.weights import LARGEST_SECOND_MOMENT, Weights


def pre_second_moment(weights: Weights, mean: float, second_moment: float) -> float:
    """Return E[z²] of the pre-activations for inputs with E[x] and E[x²]."""
    # Weights with sum 0 do not see the mean over units.
    seen = second_moment - mean**2 if weights.form == STANDARDIZED else second_moment
    return weights.pre_second_moment(max(seen, 0.0))


def through(weights: Weights, signal: Signal) -> Step | NoTheory:
    """Return the step to the pre-activations, or why not: they are too large to square.

    They are Gaussian of mean 0, and gradients pass the weights, whatever came in.
    """
    # Weights with sum 0 do not see the mean over units.
    seen = signal.same
    if weights.form == STANDARDIZED:
        seen = floored(signal.same - outer(signal.mean, signal.mean, signal.same))
    same = weights.pre_second_moment(seen)
    if np.max(same) > LARGEST_SECOND_MOMENT:
        return NoTheory(TOO_LARGE)
    still = weights.keeps_silent(silent=signal.law == ZERO)
    factor = weights.square_gain * weights.fan_out / weights.fan_in
    after = Signal(
        Shape(weights.fan_out, signal.shape.grid),
        np.zeros_like(signal.mean),
        same,
        weights.square_gain * signal.gap,
        ZERO if still else GAUSSIAN,
        least=least_after(weights, signal),
    )
    return Step((signal,), after, lambda slope: (slope.independent().scaled(factor),))


def least_after(weights: Weights, signal: Signal, share: float = 1.0) -> Least:
    """Return what is certain of pre-activations after a `signal` that is not known, at positions
    that see `share` of it or more."""
    if signal.known:
        return Least()
    bounds = signal.bounds
    seen = bounds.variance if weights.form == STANDARDIZED else bounds.square
    return Least.centred(weights.pre_second_moment(share * seen))
