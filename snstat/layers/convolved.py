"""What weights that slide over a grid do to a signal."""

from __future__ import annotations

import numpy as np

from snstat.layers.higher import Higher
from snstat.layers.initialisers import PLAIN, STANDARDIZED
from snstat.layers.law import GAUSSIAN, ZERO, Law
from snstat.layers.no_theory import TOO_LARGE, NoTheory
from snstat.layers.shape import Shape
from snstat.layers.signal import Signal, Slope, Step, floored
from snstat.layers.squares import diagonal, followed, outer
from snstat.layers.through_weights import FEW_CHANNELS, before_few, least_after, of_sum
from snstat.layers.weights import LARGEST_SECOND_MOMENT, Weights
from snstat.layers.window import Window


def convolved(
    weights: Weights, channels: int, window: Window, signal: Signal, law: Law = GAUSSIAN
) -> Step | NoTheory:
    """Return the step to the pre-activations, or why not: they are too large to square.

    `weights` are those of one group, and `channels` those of all groups together. Pre-activations
    have this `law` where they are not 0.
    """
    read = weights.fan_in // window.taps
    same = window.summed(signal.same) / window.taps
    gap = np.full_like(same, np.nan)
    if not np.isnan(signal.gap.flat[0]):  # of pairs, as much work again
        gap = window.summed(signal.gap) / window.taps
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
        higher=_mixed(weights, window, signal) if read < FEW_CHANNELS else None,
    )
    factor = weights.square_gain * channels / (signal.shape.channels * window.taps)

    def pull(slope: Slope) -> tuple[Slope, ...]:
        return (
            slope.moved(lambda part: window.spread(followed(part, signal.same))).scaled(factor),
        )

    step = Step((signal,), after, pull)
    return step if read >= FEW_CHANNELS else before_few(step)


def _mixed(weights: Weights, window: Window, signal: Signal) -> Higher:
    """Return those of units that read few channels, NaN where they are not known.

    Given x, weights of variance σ² with the fourth cumulant κ σ⁴ make E[z⁴] 3 σ⁴ (Σ x²)² + κ σ⁴ Σ
    x⁴, sums over taps and channels, which are independent of each other unless x is fixed.
    """
    count, before = window.positions, signal.beyond
    channels, square = weights.fan_in // window.taps, weights.square_gain / weights.fan_in
    if before is not None and before.fixed:  # units that read other channels have other sizes
        if channels < signal.shape.channels or weights.orthogonal or weights.form != PLAIN:
            return Higher.unknown(count)
        single = before.raw_fourth(signal.mean, diagonal(signal.same))
        return of_sum(weights, square**2 * channels * weights.excess * window.summed(single))
    squares = None if before is None else before.squares()
    if squares is None or weights.orthogonal or weights.form != PLAIN:
        return Higher.unknown(count)
    sums = channels * window.summed(diagonal(signal.same))
    whole = np.pad(squares, [(0, 1), (0, 1)])  # 0 beyond the border
    twice = sum((whole[tap, window.sources].sum(axis=0) for tap in window.sources), np.zeros(count))
    # Of one channel, and of two.
    twice = channels * twice + (1.0 - 1.0 / channels) * sums**2
    single = channels * window.summed(np.diagonal(squares))
    fourth = square**2 * (3.0 * (twice - sums**2) + weights.excess * single)
    return of_sum(weights, fourth)
