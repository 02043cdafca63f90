"""The dead fraction of a single sample to first order in 1/width.

It is the probability that z ~ N(0, q) is in a flat interval, and q fluctuates between networks.
"""

from __future__ import annotations

import math

import numpy as np

from snstat.activation import resolve
from snstat.gaussian.dead import dead_fraction
from snstat.gaussian.quadrature import FloatArray
from snstat.network.stack import Stack
from snstat.theory.by_layer import activations_of
from snstat.theory.corrected import LARGEST_SHIFT, Corrected
from snstat.theory.fluctuations import Fluctuations
from snstat.theory.layer_moments import Moments

# A change of q by this share gives derivatives to about its square.
_STEP = 0.01
# A relative change of q by more standard deviations is in no network.
_LARGEST = 6.0


def dead_of_one(stack: Stack, moments: Moments, fluctuations: Fluctuations) -> Corrected:
    """Return the expected dead fraction of one sample of networks that are not silent."""
    known = np.isfinite(fluctuations.variance)
    dead, slope, curvature, most = np.full((4, stack.depth + 1), math.nan)
    size = fluctuations.variance + np.abs(fluctuations.shape)
    for name, layers in activations_of(stack):
        part = layers.start + np.flatnonzero(known[layers])
        low, middle, high = (
            _flat(name, moments.q[part] * factor) for factor in (1.0 - _STEP, 1.0, 1.0 + _STEP)
        )
        dead[part] = middle
        slope[part] = (high - low) / (2.0 * _STEP)
        curvature[part] = (high - 2.0 * middle + low) / _STEP**2
        most[part] = _flat(name, moments.q[part] * (1.0 + _LARGEST * np.sqrt(size[part])))
    spread = fluctuations.variance + fluctuations.shape
    shift = slope * fluctuations.bias + 0.5 * curvature * spread
    neglected = np.abs(slope) * fluctuations.residual
    neglected += (np.abs(slope) + np.abs(curvature)) * size**2 + _STEP**2 * np.abs(shift)
    # Of intervals far out in the tail, the few networks with a large q decide.
    trusted = np.abs(shift) <= LARGEST_SHIFT * dead
    neglected = np.where(trusted, neglected, np.maximum(most, dead))
    return Corrected(dead + shift, neglected, trusted)


def _flat(name: str, q: FloatArray) -> FloatArray:
    return dead_fraction(resolve(name), q, np.zeros_like(q), 1)
