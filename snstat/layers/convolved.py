"""What weights that slide over a grid do to a signal."""

from __future__ import annotations

import numpy as np

from snstat.layers.initialisers import STANDARDIZED
from snstat.layers.law import GAUSSIAN, ZERO, Law
from snstat.layers.no_theory import TOO_LARGE, NoTheory
from snstat.layers.shape import Shape
from snstat.layers.signal import Signal, Slope, Step, floored
from snstat.layers.squares import followed, outer
from snstat.layers.through_weights import least_after
from snstat.layers.weights import LARGEST_SECOND_MOMENT, Weights
from snstat.layers.window import Window


def convolved(
    weights: Weights, channels: int, window: Window, signal: Signal, law: Law = GAUSSIAN
) -> Step | NoTheory:
    """Return the step to the pre-activations, or why not: they are too large to square.

    `weights` are those of one group, and `channels` those of all groups together. Pre-activations
    have this `law` where they are not 0.
    """
    same, gap = (window.summed(part) / window.taps for part in (signal.same, signal.gap))
    if weights.form == STANDARDIZED:  # they do not see the mean over their inputs
        mean = window.summed(signal.mean) / window.taps
        same = floored(same - outer(mean, mean, same))
    same = weights.pre_second_moment(same)
    if np.max(same) > LARGEST_SECOND_MOMENT:
        return NoTheory(TOO_LARGE)
    share = float(window.summed(np.ones(signal.shape.positions)).min()) / window.taps
    still = weights.keeps_silent(silent=signal.law == ZERO)
    after = Signal(
        Shape(channels, window.grid),
        np.zeros(same.shape[:1]),
        same,
        weights.square_gain * gap,
        ZERO if still else law,
        least=least_after(weights, signal, share),
    )
    factor = weights.square_gain * channels / (signal.shape.channels * window.taps)
    positions = signal.shape.positions

    def pull(slope: Slope) -> tuple[Slope, ...]:
        own = slope.independent()
        same, apart = (
            window.spread(followed(part, signal.same), positions) for part in (own.same, own.gap)
        )
        return (Slope(same, apart, own.log).scaled(factor),)

    return Step((signal,), after, pull)
