"""What is known of an activation of Gaussian units whose size is not known."""

from __future__ import annotations

import math

import numpy as np

from snstat.activation import Activation
from snstat.gaussian.quadrature import FloatArray
from snstat.layers.law import GAUSSIAN, OTHER
from snstat.layers.least import Least
from snstat.layers.no_theory import NoTheory
from snstat.layers.signal import Signal, Slope, Step, unknown_slopes
from snstat.layers.squares import diagonal


def activated_unknown(function: Activation, signal: Signal) -> Step | NoTheory:
    """Return the step of φ(z) where E[z²] is not known, unless nothing is known of it.

    An odd φ has mean 0. Of two half-lines, E[φ'²] is (a² + b²)/2 of Gaussian units of any size:
    gradients go on, but for their products of samples and of positions, which are not known unless
    they are 0.
    """
    halves = function.formed("half_linear") is not None
    if signal.law != GAUSSIAN or signal.mean.any() or not (function.odd or halves):
        return NoTheory("")  # that of the layer where theory ended
    none = np.full_like(signal.same, math.nan)
    mean = np.zeros_like(signal.mean) if function.odd else np.full_like(signal.mean, math.nan)
    left, right = function.slopes
    square = 0.5 * (left * left + right * right)
    least = Least()
    if halves:
        before = signal.bounds.square
        tilt = (right - left) / math.sqrt(2.0 * math.pi)
        least = Least.of(square * before, (square - tilt**2) * before, tilt * math.sqrt(before))
    after = Signal(signal.shape, mean, none, none, OTHER, signal.fresh, least)

    def pull(slope: Slope) -> tuple[Slope, ...]:
        if not halves:
            return unknown_slopes(slope, [signal])
        own = slope.of(signal).independent()
        same = square * (own.same if own.same.ndim == 1 else _alone(own.same))
        return (Slope(same, same - _if_none(own.same - own.gap), slope.log).scaled(1.0),)

    return Step((signal,), after, pull)


def _alone(products: FloatArray) -> FloatArray:
    """Return products of positions with themselves; those of two are not known unless they are
    0."""
    found = _if_none(products)
    np.fill_diagonal(found, diagonal(products))
    return found


def _if_none(products: FloatArray) -> FloatArray:
    return np.where(products == 0, 0.0, math.nan)
