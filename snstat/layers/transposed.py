"""What weights that put down a window for every position do to a signal."""

from __future__ import annotations

import numpy as np

from snstat.layers.higher import Higher
from snstat.layers.initialisers import STANDARDIZED
from snstat.layers.law import GAUSSIAN, OTHER, ZERO
from snstat.layers.no_theory import TOO_LARGE, NoTheory
from snstat.layers.shape import Shape
from snstat.layers.signal import Signal, Slope, Step, floored
from snstat.layers.squares import MOST_PAIRED, beyond_pairs, diagonal, outer
from snstat.layers.through_weights import FEW_CHANNELS, least_after
from snstat.layers.weights import LARGEST_SECOND_MOMENT, Weights
from snstat.layers.window import Window


def transposed(weights: Weights, channels: int, window: Window, signal: Signal) -> Step | NoTheory:
    """Return the step to the pre-activations, or why not: they are too large to square.

    `weights` go from the channels before to all taps of the `channels` after; their biases are
    those of the sum over taps. `window` is over the grid after.
    """
    seen, gap = signal.same, signal.gap
    if weights.form == STANDARDIZED:  # they do not see the mean over their inputs
        seen = floored(seen - outer(signal.mean, signal.mean, seen))
    if window.size > MOST_PAIRED:
        seen, gap = diagonal(seen), diagonal(gap)
    same = weights.pre_second_moment(window.spread(seen))
    if np.max(same) > LARGEST_SECOND_MOMENT:
        return NoTheory(TOO_LARGE)
    fewest = float(window.spread(np.ones(signal.shape.positions)).min())
    many = weights.fan_in >= FEW_CHANNELS
    law = GAUSSIAN
    if weights.keeps_silent(silent=signal.law == ZERO):
        law = ZERO
    elif not weights.bias_std and not fewest:  # positions that are 0
        law = OTHER
    after = Signal(
        Shape(channels, tuple(axis.size for axis in window.axes)),
        np.zeros(window.size),
        same,
        weights.square_gain * window.spread(gap),
        law,
        least=least_after(weights, signal, fewest),
        higher=Higher.gaussian(same) if many else Higher.unknown(window.size),
    )
    factor = weights.square_gain * channels / signal.shape.channels

    def pull(slope: Slope) -> tuple[Slope, ...]:
        return (slope.of(after).moved(window.summed).of(signal).scaled(factor),)

    return Step((signal,), after, pull, why_pairs=beyond_pairs(signal.same, after.same))
