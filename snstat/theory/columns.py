"""Theory of one layer as numbers: averages over its positions."""

from __future__ import annotations

import math

import numpy as np

from snstat.gaussian.quadrature import FloatArray
from snstat.layers.equal_tokens import whole
from snstat.layers.gaussian_inputs import LEAST_SQUARE
from snstat.layers.higher import LEAST_FOURTH, pooled
from snstat.layers.law import GAUSSIAN, ZERO
from snstat.layers.no_theory import NoTheory
from snstat.layers.signal import Signal, Slope
from snstat.layers.spread import Spread
from snstat.layers.squares import diagonal

# What `moments_of` and `spreads_of` return: of the moments, those of `Walk` come first.
WALKED, MOMENTS, SPREADS = 8, 11, 11


def moments_of(signal: Signal) -> tuple[float, ...]:
    """Return the columns of `Walk` up to `kurtosis`; the third and fourth cumulant of all units at
    all positions together, NaN where they are not known; and how many pairs of positions have an
    angle."""
    over_positions = cosine = least = math.nan
    angles, signal = 0, whole(signal)
    if signal.mean.size == 1:  # nearly always: an average takes twenty times as long
        mean, square, gap = signal.mean.item(), signal.same.item(), signal.gap.item()
        centre = mean * mean
    else:
        mean, every = float(signal.mean.mean()), diagonal(signal.same)
        square = float(every.mean())
        least = float(every.min()) / square if square > 0 else math.nan
        gap, centre = float(diagonal(signal.gap).mean()), float((signal.mean**2).mean())
        if signal.same.ndim > 1:
            over_positions, cosine, angles = _of_pairs(signal.same)
    if square < LEAST_SQUARE and signal.law != ZERO:  # of a square that underflows
        mean = math.nan
    over_units = max(square - centre, 0.0)
    of_positions = over_positions, cosine, least
    return mean, square, gap, over_units, *of_positions, *_tails(signal), float(angles)


def _tails(signal: Signal) -> tuple[float, float, float]:
    """Return kurtosis, third and fourth cumulant of all units at all positions, NaN where they are
    not known."""
    nothing = math.nan, math.nan, math.nan
    if signal.higher is None and signal.law != GAUSSIAN:
        return nothing
    higher = signal.beyond
    if higher is None:
        return nothing
    if signal.higher is None and signal.mean.size == 1:
        return 3.0 if signal.same.item() >= LEAST_SQUARE else math.nan, 0.0, 0.0
    found = pooled(higher, signal.mean, diagonal(signal.same))
    variance, third, fourth = (part.item() for part in found)
    return kurtosis_of(variance, fourth), third, fourth


def kurtosis_of(variance: float, fourth: float) -> float:
    """Return the kurtosis of values with this variance and fourth cumulant, NaN where they are too
    small for its digits."""
    return 3.0 + fourth / variance**2 if variance >= LEAST_FOURTH else math.nan


def _of_pairs(same: FloatArray) -> tuple[float, float, int]:
    """Return the variance over positions, their mean cosine, and over how many pairs of them that
    is, from E[x_u x_v], (P, P). Positions that are 0 have no angle."""
    square = np.diagonal(same)
    apart = max(float(square.mean() - same.mean()), 0.0)
    there = square >= LEAST_SQUARE
    count = int(np.count_nonzero(there))
    pairs = count * (count - 1)
    if not pairs:
        return apart, math.nan, 0
    scale = np.where(there, 1.0 / np.sqrt(np.where(there, square, 1.0)), 0.0)
    return apart, float(scale @ same @ scale - count) / pairs, pairs


def log_norm(slope: Slope, signal: Signal) -> float:
    """Return ln of the squared norm of a gradient, −inf where it is 0."""
    square = slope.same.item() if slope.same.size == 1 else float(diagonal(slope.same).mean())
    return slope.log + (math.log(square * signal.shape.units) if square > 0 else square - math.inf)


def spreads_of(spread: Spread | NoTheory) -> tuple[float, ...]:
    """Return the columns of `Walk` from `variance` on."""
    if isinstance(spread, NoTheory):
        return (math.nan,) * SPREADS
    given, mean = spread.given, (math.nan,) * 5
    if spread.average is not None:
        x = spread.average
        mean = x.shift, x.residual, x.variance, x.pair, x.size
    last = (spread.variance, 0.0) if given is None else (given.variance, given.uniform)
    return *spread[:4], *mean, *last
