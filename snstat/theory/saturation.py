"""The share of saturated units: |φ'| is less than a hundredth of its maximum."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator

import numpy as np

from snstat.activation import Activation, resolve
from snstat.activation.saturated import SATURATED, level_parts, resting_part, saturates
from snstat.gaussian.quadrature import FloatArray
from snstat.network.stack import Stack
from snstat.theory.by_layer import activations_of
from snstat.values.special import special

__all__ = [
    "SATURATED",
    "resting_by_layer",
    "resting_fraction",
    "saturated_by_layer",
    "saturated_fraction",
    "saturates",
]


def saturated_fraction(activation: Activation, second_moment: FloatArray) -> FloatArray:
    """Return P(|φ'(z)| < `SATURATED` max |φ'|) for z ~ N(0, q), q = `second_moment` of any shape.

    NaN where `second_moment` is NaN, and for activations that are not bounded.
    """
    if not saturates(activation):
        return np.full(np.shape(second_moment), math.nan)
    return _probability(level_parts(activation), np.sqrt(second_moment))


def resting_fraction(activation: Activation, second_moment: FloatArray) -> FloatArray:
    """Return the part of `saturated_fraction` that is off: the level part of φ reaches to 0 there.

    One half for ReLU6, of any q but 0, where all units are off; 0 for activations that are steep at
    0.
    """
    std = np.sqrt(second_moment)
    return _probability((resting_part(activation),), std)


def saturated_by_layer(stack: Stack, second_moment: FloatArray, shares: FloatArray) -> FloatArray:
    """Return the share of saturated units of every layer, (depth + 1,), NaN where not known.

    It is the average with weights `shares` (classes,) over samples with q = `second_moment`
    (depth + 1, classes).
    """
    return _averaged(stack, saturated_fraction, second_moment, shares)


def resting_by_layer(stack: Stack, second_moment: FloatArray, shares: FloatArray) -> FloatArray:
    """Return the share of units that are off of every layer; arrays as in `saturated_by_layer`."""
    return _averaged(stack, resting_fraction, second_moment, shares)


def _averaged(
    stack: Stack,
    share: Callable[[Activation, FloatArray], FloatArray],
    second_moment: FloatArray,
    shares: FloatArray,
) -> FloatArray:
    found = np.full(stack.depth + 1, math.nan)
    for name, layers in activations_of(stack):
        found[layers] = share(resolve(name), second_moment[layers]) @ shares
    return found


def _probability(parts: Collection[tuple[float, float]], std: FloatArray) -> FloatArray:
    """Return the probability that a centred normal number is in one of the intervals."""
    ndtr = special("ndtr")
    share = np.zeros(np.shape(std))
    with np.errstate(divide="ignore", invalid="ignore"):
        # Measure each part from the side on which it lies, so that small shares keep their digits.
        for low, high in _split(parts):
            near = low / std if low >= 0 else -high / std
            far = high / std if low >= 0 else -low / std
            share += ndtr(-near) - ndtr(-far)
    at_rest = any(low < 0 < high for low, high in parts)
    return np.where(std > 0, share, np.where(std == 0, float(at_rest), math.nan))


def _split(parts: Collection[tuple[float, float]]) -> Iterator[tuple[float, float]]:
    """Yield the intervals, those around 0 in two halves."""
    for low, high in parts:
        yield from ((low, 0.0), (0.0, high)) if low < 0 < high else ((low, high),)
