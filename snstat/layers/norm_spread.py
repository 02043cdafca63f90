"""Fluctuations after a norm over units, from those before.

With V the variance over units of one sample, or its mean square, u = x/√(V + ε) has the mean square
V/(V + ε), which follows V by w = ε/(V + ε). See docs/finite-width.md.
"""

from __future__ import annotations

import math

from snstat.layers.law import GAUSSIAN
from snstat.layers.no_theory import NO_AVERAGE, NO_VARIANCE, ON_GRID, NoTheory
from snstat.layers.normalise import ROUNDING
from snstat.layers.signal import Signal, Step
from snstat.layers.spread import LARGEST_VARIANCE, Average, Given, Spread, powers_of

TOO_MUCH = "networks differ too much before it for first order"


def after_norm(step: Step, before: Spread, epsilon: float, *, centred: bool) -> Spread | NoTheory:
    """Return the fluctuations after a norm over all units, which subtracts their mean if `centred`;
    or why they are not known: that of the mean is needed and not, or networks differ much."""
    signal, x = step.inputs[0], before.average
    if signal.mean.size > 1:
        return NoTheory(ON_GRID)
    square = float(signal.same[0, 0])
    if not square > 0:
        return NoTheory(NO_VARIANCE)
    # Of a few units all may be 0, and a norm leaves that as it is.
    if before.variance > LARGEST_VARIANCE:
        return NoTheory(TOO_MUCH)
    mean = float(signal.mean[0]) / math.sqrt(square)
    third, fourth = math.nan if x is None else x.third, before.fourth
    moments = (1.0, mean, 1.0, third, fourth)
    whole, size = before, 1.0
    if centred:
        if x is None:
            return NoTheory(NO_AVERAGE)
        size = 1.0 - mean**2
        if size <= ROUNDING:  # units that are all alike, whose norm is 0
            return NoTheory(NO_VARIANCE)
        whole = _of_variance(before, x, mean)
        if whole.variance > LARGEST_VARIANCE:
            return NoTheory(TOO_MUCH)
        powers = powers_of(moments, 1.0 / math.sqrt(size), -mean / math.sqrt(size))
        third, fourth = powers[3:]
    weak = epsilon / (size * square + epsilon)
    strong = 1.0 - weak
    # Of V/(V + ε): its first derivative, and the second. ε = 0 holds it at 1.
    average = None
    if centred:
        average = Average(0.0, 0.0, 0.0, 0.0, 0.0, third, 0.0)
    elif x is not None:
        average = _divided(x, before, mean, weak)
    found = Spread(
        weak**2 * whole.variance if weak else 0.0,
        weak**2 * whole.pair if weak else 0.0,
        weak * (whole.bias - strong * whole.variance) if weak else 0.0,
        weak * (whole.residual + _rough(strong, whole.variance)) if weak else 0.0,
        fourth,
        average=average,
        responses=(weak if not (centred and mean) else 0.0 if not weak else math.nan,),
    )
    if before.given is None or signal.law != GAUSSIAN:
        return found
    return found._replace(
        given=_held(signal, before, before.given, whole.bias, weak, centred=centred)
    )


def _of_variance(before: Spread, x: Average, mean: float) -> Spread:
    """Return the fluctuations of the variance over units, S − M²."""
    size = 1.0 - mean**2
    variance, pair = before.variance, before.pair
    if mean:
        variance += 4.0 * mean * (mean * x.variance - x.covariance)
        pair = math.nan
    return before._replace(
        variance=variance / size**2,
        pair=pair / size**2,
        bias=(before.bias - 2.0 * mean * x.shift - x.variance) / size,
        residual=(before.residual + 2.0 * abs(mean) * x.residual + x.shift**2) / size,
    )


def _divided(x: Average, before: Spread, mean: float, weak: float) -> Average:
    """Return the fluctuations of M/√(S + ε), for a mean of `mean` over √E[x²]."""
    half = 0.5 * (1.0 - weak) * mean
    shift, variance, covariance, pair = x.shift, x.variance, x.covariance, x.pair
    shift -= 0.5 * (1.0 - weak) * covariance
    covariance *= weak
    residual = x.residual
    if mean:
        shift += half * (0.75 * (1.0 - weak) * before.variance - before.bias)
        variance += half * (half * before.variance - 2.0 * x.covariance)
        covariance -= weak * half * before.variance
        residual += abs(half) * before.residual + abs(mean) * before.variance**2
        pair = math.nan
    return Average(shift, residual, variance, pair, covariance, x.third, x.size)


def _held(
    signal: Signal, before: Spread, given: Given, bias: float, weak: float, *, centred: bool
) -> Given:
    """Return the fluctuations of the Gaussian of which a norm holds the mean square."""
    units, strong = signal.shape.channels, 1.0 - weak
    # What the mean square fluctuates by, given q.
    own, own_pair = before.variance - given.variance, before.pair - given.pair
    cosine = 1.0 - float(signal.gap[0, 0] / signal.same[0, 0])
    pinned = pinned_pair = 1.0 - 0.5 * units * weak**2 * own
    if weak and cosine:
        pinned_pair = 1.0 - 0.5 * units * (weak / cosine) ** 2 * own_pair
    return Given(
        1.0,
        pinned,
        given.uniform,
        weak**2 * given.variance,
        weak**2 * given.pair,
        weak * (bias - strong * before.variance),
        given.shape - (1.0 - weak**2) * own,
        weak * (before.residual + _rough(strong, before.variance)),
        pinned_pair,
        1.0 if centred else given.centred,
    )


def _rough(strong: float, variance: float) -> float:
    """Return `by_q.Derivatives.roughness` of V/(V + ε) over w, from its derivatives −2w(1 − w),
    6w(1 − w)² and −24w(1 − w)³, times the square of the variance of V.

    The orders after it are added as the geometric series that they are for ε → 0: of n squares of
    Gaussian numbers, whose variance is 2/n, E[1/V] is 1/(1 − 3/n) where their mean is subtracted.
    """
    roughness = strong * (0.5 + 1.5 * strong + 1.5 * strong**2)
    return roughness * variance**2 / (1.0 - 1.5 * strong * variance)
