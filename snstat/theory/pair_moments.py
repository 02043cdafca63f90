"""Expectations E[f(z₁)g(z₂)] over a pair of correlated Gaussians, by quadrature.

Meant for corrections of first order in 1/width: 1e-6 of such an expectation is ample, so panels
are few. The outer integral runs over z₁, the inner over the part of z₂ that z₁ leaves free; each
is split at the kinks of the activation.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from snstat.activation import Activation
from snstat.theory.quadrature import FloatArray, composite

_POINTS = 6
# Beyond this many standard deviations lies 3e-13 of the weight.
_RANGE = 7.5
_GRID = np.linspace(-_RANGE, _RANGE, 8)
# Where the smooth activations bend, in x: only of importance to large standard deviations.
_BENDS = (-9.0, -4.5, -2.0, -1.0, 0.0, 1.0, 2.0, 4.5, 9.0)
_SMALL_STD = 0.5
# A correlation this near to ±1 is ±1.
_ALIGNED = 1e-12


@dataclass(frozen=True, slots=True)
class PairNodes:
    """Nodes for expectations over z₁, z₂ ~ N(0, q) of one correlation.

    `first` (outer,) and `outer` weights (outer,) of z₁; `second` (outer, inner) and `inner`
    weights (outer, inner) of z₂ given z₁. Weights sum to 1 along their last axis.
    """

    first: FloatArray
    outer: FloatArray
    second: FloatArray
    inner: FloatArray

    def average(self, of_first: FloatArray, of_second: FloatArray) -> float:
        """Return E[f(z₁)g(z₂)] from f at `first` (outer,) and g at `second` (outer, inner)."""
        conditional = np.einsum("oi,oi->o", self.inner, of_second)
        return float(self.outer @ (of_first * conditional))


def pair_nodes(activation: Activation, second_moment: float, misalignment: float) -> PairNodes:
    """Return nodes for q = `second_moment` > 0 and 1 − c = `misalignment` in [0, 2]."""
    std, correlation = math.sqrt(second_moment), 1.0 - misalignment
    free = math.sqrt(max(misalignment * (2.0 - misalignment), 0.0))
    bends = activation.kinks if activation.kinks or std <= _SMALL_STD else _BENDS
    special = np.array(bends) / std
    # What z₂ does at a kink, z₁ sees blurred over the free part.
    blurs = [special]
    if _ALIGNED < free < 1.0:
        reach = free * 2.0 ** np.arange(0.0, math.ceil(math.log2(_RANGE / free)), 2.0)
        for centre in special:
            blurs += [centre + reach, centre - reach]
    edges = np.unique(np.clip(np.concatenate([_GRID, *blurs]), -_RANGE, _RANGE))
    first, outer = composite(edges, _POINTS)
    outer = outer * np.exp(-0.5 * first * first)
    if free <= _ALIGNED:
        second, inner = math.copysign(1.0, correlation) * first[:, None], np.ones((first.size, 1))
    else:
        at = (special - correlation * first[:, None]) / free
        grid = np.broadcast_to(_GRID, (first.size, _GRID.size))
        edges = np.sort(np.concatenate([grid, np.clip(at, -_RANGE, _RANGE)], axis=1), axis=1)
        own, inner = composite(edges, _POINTS)
        inner = inner * np.exp(-0.5 * own * own)
        inner /= inner.sum(axis=1, keepdims=True)
        second = correlation * first[:, None] + free * own
    return PairNodes(std * first, outer / outer.sum(), std * second, inner)
