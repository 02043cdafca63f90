"""The share of saturated units: |φ'| is less than a hundredth of its maximum."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from snstat.activation import Activation, resolve
from snstat.activation.saturated import SATURATED, level_parts, saturates
from snstat.gaussian.quadrature import FloatArray
from snstat.network.stack import Stack
from snstat.theory.by_layer import activations_of

__all__ = ["SATURATED", "saturated_by_layer", "saturated_fraction", "saturates"]


def saturated_fraction(activation: Activation, second_moment: FloatArray) -> FloatArray:
    """Return P(|φ'(z)| < `SATURATED` max |φ'|) for z ~ N(0, q), q = `second_moment` of any shape.

    NaN where `second_moment` is NaN, and for activations that are not bounded.
    """
    from scipy.special import ndtr

    if not saturates(activation):
        return np.full(np.shape(second_moment), math.nan)
    std = np.sqrt(second_moment)
    share, edges = np.zeros(np.shape(std)), tuple(_edges(activation))
    with np.errstate(divide="ignore", invalid="ignore"):
        # Measure each part from the side on which it lies, so that small shares keep their digits.
        for low, high in edges:
            near = low / std if low >= 0 else -high / std
            far = high / std if low >= 0 else -low / std
            share += ndtr(-near) - ndtr(-far)
    at_rest = any(high == 0 for _, high in edges) and any(low == 0 for low, _ in edges)
    return np.where(std > 0, share, np.where(std == 0, float(at_rest), math.nan))


def saturated_by_layer(stack: Stack, second_moment: FloatArray, shares: FloatArray) -> FloatArray:
    """Return the share of saturated units of every layer, (depth + 1,), NaN where not known.

    It is the average with weights `shares` (classes,) over samples with q = `second_moment`
    (depth + 1, classes).
    """
    found = np.full(stack.depth + 1, math.nan)
    for name, layers in activations_of(stack):
        found[layers] = saturated_fraction(resolve(name), second_moment[layers]) @ shares
    return found


def _edges(activation: Activation) -> Iterator[tuple[float, float]]:
    """Yield the intervals on which |φ'| is less than a hundredth of its maximum, split at 0."""
    for low, high in level_parts(activation):
        yield from ((low, 0.0), (0.0, high)) if low < 0 < high else ((low, high),)
