"""An activation after batch norm, whose outputs are uniform on a sphere instead of Gaussian."""

from __future__ import annotations

import math

import numpy as np

from snstat.activation import Activation
from snstat.gaussian.rounding import without_noise
from snstat.gaussian.sphere import pulled, radial, sphere_moments
from snstat.layers.law import OTHER
from snstat.layers.no_theory import NoTheory
from snstat.layers.signal import Signal, Slope, Step


def through(function: Activation, signal: Signal) -> Step | NoTheory:
    """Return the step of φ from a signal with the law `sphere`, or why it is not known.

    The signal may have been multiplied by a number since. φ' is not independent of the signal, so
    what batch norm pulls back does not follow from E[δδ'] alone: `Slope.excess` has the rest.
    """
    if function.custom:  # here, so that no cache keeps functions of users alive
        return NoTheory("a function of your own after batch norm")
    batch, ratio = int(signal.law.parameters[0]), signal.law.parameters[1]
    factor = math.sqrt(float(signal.same[0, 0]) / radial(batch, ratio).square)
    found = sphere_moments(function, batch, ratio, factor)
    if found is None:
        return NoTheory("its averages after batch norm do not converge")
    back = pulled(batch, ratio)

    def pull(slope: Slope) -> tuple[Slope, ...]:
        own = float(slope.same[0, 0])
        other = own - float(slope.gap[0, 0])
        same, product = own * found.slope_square, other * found.slope_product
        excess = 0.0
        if own:
            # What batch norm of 3 samples or fewer pulls back is not known.
            excess = math.nan
            if math.isfinite(back * own):
                excess = own * found.own - other * found.other - back * (same - product)
        squares = np.array([[same]]), np.array([[same - product]])
        return (Slope(*squares, slope.log, excess).scaled(1.0),)

    mean = without_noise(found.mean, math.sqrt(found.square))
    moments = mean, found.square, found.gap
    return Step((signal,), Signal.of_one(signal.shape, moments, OTHER, signal.fresh), pull)
