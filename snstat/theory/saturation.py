"""The share of units that are saturated: their slope is below a hundredth of the steepest."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np

from snstat.activation import Activation, resolve
from snstat.stack import Stack
from snstat.theory.by_layer import activations_of
from snstat.theory.quadrature import FloatArray

# A unit whose derivative is below this share of the largest is saturated.
SATURATED = 0.01
# Bounded activations have no slope of importance beyond ±50: that of softsign, which falls off
# most slowly, is below a hundredth beyond 9.
_RANGE, _POINTS = 50.0, 20_001


def saturates(activation: Activation) -> bool:
    """Return whether the activation is bounded: level at both ends."""
    return activation.left is not None and activation.right is not None


def saturated_fraction(activation: Activation, second_moment: FloatArray) -> FloatArray:
    """Return P(|φ'(z)| < `SATURATED` max |φ'|) for z ~ N(0, q), q = `second_moment` of any shape;
    NaN where that is NaN, and of activations that are not bounded."""
    from scipy.special import ndtr

    if not saturates(activation):
        return np.full(np.shape(second_moment), math.nan)
    std = np.sqrt(second_moment)
    share, edges = np.zeros(np.shape(std)), _edges(activation)
    with np.errstate(divide="ignore", invalid="ignore"):
        # Each part from the side on which it lies: small shares keep their digits.
        for low, high in edges:
            near = low / std if low >= 0 else -high / std
            far = high / std if low >= 0 else -low / std
            share += ndtr(-near) - ndtr(-far)
    at_rest = any(high == 0 for _, high in edges) and any(low == 0 for low, _ in edges)
    return np.where(std > 0, share, np.where(std == 0, float(at_rest), math.nan))


def saturated_by_layer(stack: Stack, second_moment: FloatArray, shares: FloatArray) -> FloatArray:
    """Return the share of saturated units of every layer, (depth + 1,), NaN where not known: the
    average by `shares` (classes,) over samples with q = `second_moment` (depth + 1, classes)."""
    found = np.full(stack.depth + 1, math.nan)
    for name, layers in activations_of(stack):
        found[layers] = saturated_fraction(resolve(name), second_moment[layers]) @ shares
    return found


@lru_cache(maxsize=64)
def _edges(activation: Activation) -> tuple[tuple[float, float], ...]:
    """Return the intervals on which φ' is below its hundredth, none of them across 0."""
    x = np.linspace(-_RANGE, _RANGE, _POINTS)
    slope = np.abs(activation.derivative(x))
    bound = SATURATED * float(slope.max())
    level = slope < bound
    edges = [-math.inf] if level[0] else []
    for left in np.flatnonzero(level[1:] != level[:-1]).tolist():
        low, high = float(x[left]), float(x[left + 1])
        for _ in range(60):
            middle = 0.5 * (low + high)
            same = (abs(float(activation.derivative(np.array(middle)))) < bound) == level[left]
            low, high = (middle, high) if same else (low, middle)
        edges.append(0.5 * (low + high))
    if level[-1]:
        edges.append(math.inf)
    found: list[tuple[float, float]] = []
    for low, high in zip(edges[::2], edges[1::2], strict=True):
        found += [(low, 0.0), (0.0, high)] if low < 0 < high else [(low, high)]
    return tuple(found)
