"""What batch norm does to a signal on a grid: mean and variance are those of many entries."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from snstat.gaussian.quadrature import FloatArray
from snstat.layers.higher import Higher
from snstat.layers.law import GAUSSIAN
from snstat.layers.no_theory import NO_PAIRS, NO_VARIANCE, NoTheory
from snstat.layers.signal import SQUARES, Signal, Slope, Step
from snstat.layers.squares import MOST_SPREAD


def normed_on_grid(signal: Signal, batch: int, epsilon: float) -> Step | NoTheory:
    """Return the step of batch norm after Gaussian units at several positions, or why there is
    none: pairs of them are not followed, or the variance ν of a channel over all `batch` · P
    entries is far from a number.

    With z̄ the mean of a channel, (z − z̄)/√(E ν + ε) has the moments of the result but for errors
    of the order of the relative variance of ν: 2/(batch · P) if entries are independent.
    """
    if signal.same.ndim == 1:
        return NoTheory(NO_PAIRS)
    crossed = signal.same - signal.gap
    same, other = _centred(signal.same, crossed, batch)
    total = float(np.diagonal(same).mean())
    if not total > 0:
        return NoTheory(NO_VARIANCE)
    squares = np.square(same).mean() + (batch - 1) * np.square(other).mean()
    if not 2.0 * squares / (batch * total**2) <= MOST_SPREAD:
        return NoTheory("batch and positions are too few for their variance to be a number")
    scale = total + epsilon
    nothing = np.zeros_like(signal.mean)
    after = signal.become(nothing, same / scale, signal.gap / scale, GAUSSIAN)
    # ν differs between channels, which no norm over them undoes.
    after = replace(after, varies=SQUARES, higher=Higher.unknown(signal.mean.size))

    def pull(slope: Slope) -> tuple[Slope, ...]:
        own, _ = _centred(slope.same, slope.same - slope.gap, batch)
        return (Slope(own / scale, slope.gap / scale, slope.log).scaled(1.0),)

    return Step((signal,), after, pull)


def _centred(same: FloatArray, crossed: FloatArray, batch: int) -> tuple[FloatArray, FloatArray]:
    """Return products (P, P) of one sample and of two, less the means over all entries."""
    rows = (same.sum(axis=1) + (batch - 1) * crossed.sum(axis=1)) / (batch * len(same))
    away = rows.mean() - rows[:, None] - rows
    return same + away, crossed + away
