"""Fluctuations of the units of an activation, from those of the Gaussian that it is fed.

Derived in docs/finite-width.md.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from snstat.activation import Activation
from snstat.gaussian.pair_moments import PairTable
from snstat.gaussian.sample_moments import ForwardMoments, one_sample
from snstat.layers.gaussian_inputs import misalignment
from snstat.layers.law import GAUSSIAN, ZERO, Masked, is_masked
from snstat.layers.no_theory import NOT_GAUSSIAN, ON_GRID, NoTheory
from snstat.layers.spread import ENDLESS, Average, Given, Spread

if TYPE_CHECKING:
    from snstat.layers.signal import Signal, Step


# Why first order is not known.
SEVERAL_GAUSSIANS = "its input is a function of several Gaussians"
NO_MOMENTS = "fourth moments of its activation are not known"


def spread_of(function: Activation, step: Step, before: Spread) -> Spread | NoTheory:
    """Return the fluctuations after φ, or why nothing is known."""
    signal = step.inputs[0]
    if function.linear:
        return before.times(1.0)
    if signal.mean.size > 1:
        return NoTheory(ON_GRID)
    if before.given is None:
        return NoTheory(SEVERAL_GAUSSIANS)
    if is_masked(signal.law):
        return _after_mask(function, before.given, Masked.of(signal.law), step.signal)
    if signal.law not in (GAUSSIAN, ZERO):
        return NoTheory(NOT_GAUSSIAN)
    q = float(signal.same[0, 0])
    apart = misalignment(q, float(signal.gap[0, 0]))
    return spread_at(function, before.given, q, apart, step.signal)


def spread_at(
    function: Activation, given: Given, q: float, apart: float, after: Signal
) -> Spread | NoTheory:
    """Return the fluctuations of `after`, the φ at q and 1 − c = `apart`, or why nothing is
    known."""
    found = one_sample(function, q, backward=False)
    if found is None:
        return NoTheory(NO_MOMENTS)
    moments, squares = found[0], math.nan
    if moments.rms == 0:
        squares = 1.0
    elif given.variance <= ENDLESS:
        squares = _of_pairs(function, q, apart)
    return _with_average(moments, given, squares, apart, after)


def _of_pairs(function: Activation, q: float, apart: float) -> float:
    """Return E[ψ₁²ψ₂²] of two samples with 1 − c = `apart`."""
    if function.linear:
        return 1.0 + 2.0 * (1.0 - apart) ** 2
    # φ(√q ẑ) = √q φ(ẑ)
    near = 1.0 if function.formed("half_linear") is not None else q
    # No cache keeps functions of users alive.
    find = _squares.__wrapped__ if function.custom else _squares
    return find(function, near, apart)


# Layers that settle share states, and so do the networks that are tried as remedies.
@lru_cache(maxsize=4096)
def _squares(function: Activation, q: float, apart: float) -> float:
    found = one_sample(function, q, backward=False)
    return PairTable(function, q, found[0].rms, 0.0).at(apart).square if found else math.nan


def _after_mask(
    function: Activation, given: Given, law: Masked, after: Signal
) -> Spread | NoTheory:
    """Return the same of φ after dropout: an average over units that are kept, of which the
    moments are known, and those that are dropped, which do not fluctuate."""
    from snstat.layers.after_dropout import of_kept  # a stack drops nothing

    kept = of_kept(function, law.shift)
    found = None if kept is None else one_sample(kept, law.square, backward=False)
    total = float(after.same[0, 0])
    if kept is None or found is None or found[0].rms == 0 or not total > 0:
        return NoTheory(NO_MOMENTS)
    own, keep, drop = found[0], law.keep, 1.0 - law.keep
    rms, lost = math.sqrt(total), float(function.function(np.array(law.level)))
    part, fixed, level = own.rms / rms, drop * (lost / rms) ** 2, lost / rms
    moments = ForwardMoments(
        own.square.times(keep * part**2),
        own.mean.times(keep),
        rms,
        keep * part**4 * own.fourth + fixed * level**2,
        keep * part**3 * own.third + fixed * level,
        keep * part * own.tilt,
        keep * part**2 * own.square_tilt,
    )
    apart, squares = misalignment(law.square, law.gap), math.nan
    if given.variance <= ENDLESS:
        both = keep * part**2
        squares = _of_pairs(kept, law.square, apart)
        squares = both**2 * squares + 2.0 * both * fixed + fixed**2
    return _with_average(moments, given, squares, apart, after)


def _with_average(
    moments: ForwardMoments, given: Given, squares: float, apart: float, after: Signal
) -> Spread:
    """Return `spread_after` with the fluctuations of the mean over units."""
    found = spread_after(moments, given, squares, apart, after.shape.channels)
    if moments.rms == 0:
        still = Average(0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
        return found._replace(average=still)
    units, square, slope = after.shape.channels, moments.square, moments.mean.slope / moments.rms
    curvature, roughness = (
        part / moments.rms for part in (moments.mean.curvature, moments.mean.roughness)
    )
    mean = float(after.mean[0]) / moments.rms
    gap = float(after.gap[0, 0]) / moments.rms**2
    # The part that orthogonal weights and norms hold fixed, as in `spread_after`.
    held = 2.0 * given.pinned * given.share**2
    aligned = given.share - apart
    held_pair = 2.0 * given.pinned_pair * aligned**2
    own = 1.0 - mean**2 - held * slope**2 - given.centred * moments.tilt**2
    two = 1.0 - gap - mean**2 - held_pair * slope**2
    two -= given.centred * (1.0 - apart) * moments.tilt**2
    mixed = moments.third - mean - held * slope * square.slope
    mixed -= given.centred * moments.tilt * moments.square_tilt
    average = Average(
        slope * given.bias + 0.5 * curvature * given.spread,
        abs(slope) * given.residual + roughness * given.size**2,
        own / units + slope**2 * given.variance,
        two / units + slope**2 * given.pair,
        mixed / units + slope * square.slope * given.variance,
        moments.third,
        given.size,
    )
    return found._replace(average=average)


def spread_after(
    moments: ForwardMoments, given: Given, squares: float, apart: float, units: int
) -> Spread:
    """Return the fluctuations of E[φ²] of `units` units from those of their pre-activations.

    `squares` is E[ψ₁²ψ₂²] of two samples, whose pre-activations have 1 − c = `apart`.
    """
    square = moments.square
    # The part that orthogonal weights and norms hold fixed, of one sample and of two, over q.
    held = 2.0 * given.pinned * square.slope**2
    held_pair = 2.0 * given.pinned_pair * square.slope**2
    aligned = given.share - apart
    # That which a mean of 0 over units holds fixed.
    tilt = given.centred * moments.square_tilt**2
    fresh = (moments.fourth - 1.0 - held * given.share**2 - tilt) / units
    fresh_pair = (squares - 1.0 - held_pair * aligned**2 - tilt * (1.0 - apart)) / units
    return Spread(
        fresh + square.slope**2 * given.variance,
        fresh_pair + square.slope**2 * given.pair,
        square.slope * given.bias + 0.5 * square.curvature * given.spread,
        abs(square.slope) * given.residual + square.roughness * given.size**2,
        moments.fourth,
        given,
        responses=(square.slope,),
        detailed=True,
    )
