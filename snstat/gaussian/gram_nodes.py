"""Nodes for expectations over two samples that treat both samples alike.

The variables are the sum and the difference of two correlated Gaussians. Smooth activations use the
trapezoidal rule, those with one kink at 0 polar coordinates, and all others the panels of
`pair_nodes`. An accuracy of 1e-5 is enough for corrections of first order in 1/width.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from snstat.activation import Activation
from snstat.gaussian.pair_moments import pair_nodes
from snstat.gaussian.pairs_numeric import strip_step
from snstat.gaussian.quadrature import FloatArray, composite

_LOG_ACCURACY = 18.0
_RANGE = 7.6
# Larger grids are replaced by panels, which have fewer nodes.
_MOST_NODES = 12_000
# Polar nodes resolve piecewise activations, which bend at scale 1, up to this standard deviation.
_LARGEST_STD = 3.0
_RADII, _RADIUS_POINTS, _ANGLE_POINTS = np.array([0.0, 3.0, 8.0]), 12, 16


class GramNodes(NamedTuple):
    """Standardised sum `p` and difference `e`, both pre-activations and weights, each (nodes,).

    Use them only for functions that do not change when the samples are swapped.
    """

    p: FloatArray
    e: FloatArray
    first: FloatArray
    second: FloatArray
    weight: FloatArray


def gram_nodes(
    activation: Activation, second_moment: float, misalignment: float
) -> GramNodes | None:
    """Return nodes for q = `second_moment` > 0 and 1 − c = `misalignment` in (0, 2), None for
    a sine of too many periods."""
    shared = math.sqrt(second_moment * (2.0 - misalignment) / 2.0)
    apart = math.sqrt(second_moment * misalignment / 2.0)
    found = None
    if not activation.kinks:
        found = _tensor(activation, shared, apart)
    elif activation.kinks == (0.0,) and second_moment <= _LARGEST_STD**2:
        found = _polar(shared, apart)
    if found is not None:
        p, e, weight = found
        return GramNodes(p, e, shared * p + apart * e, shared * p - apart * e, weight)
    if activation.formed("sine") is not None:
        return None
    nodes = pair_nodes(activation, second_moment, misalignment)
    first = np.broadcast_to(nodes.first[:, None], nodes.second.shape).ravel()
    second = nodes.second.ravel()
    weight = (nodes.outer[:, None] * nodes.inner).ravel()
    p, e = (first + second) / (2.0 * shared), (first - second) / (2.0 * apart)
    return GramNodes(p, e, first, second, weight)


def _tensor(
    activation: Activation, shared: float, apart: float
) -> tuple[FloatArray, FloatArray, FloatArray] | None:
    step_p, step_e = (strip_step(activation, s, _LOG_ACCURACY) for s in (shared, apart))
    count_p, count_e = (math.ceil(_RANGE / step) for step in (step_p, step_e))
    if 2 * count_p * count_e > _MOST_NODES:
        return None
    p = step_p * (np.arange(-count_p, count_p) + 0.5)
    e = step_e * (np.arange(count_e) + 0.5)
    weight = np.exp(-0.5 * p * p)[:, None] * np.exp(-0.5 * e * e)
    weight /= weight.sum()
    return np.repeat(p, count_e), np.tile(e, 2 * count_p), weight.ravel()


def _polar(shared: float, apart: float) -> tuple[FloatArray, FloatArray, FloatArray]:
    ray = math.atan2(shared, apart)
    angle, arc = composite(np.array([0.0, ray, math.pi - ray, math.pi]), _ANGLE_POINTS)
    radius, length = composite(_RADII, _RADIUS_POINTS)
    weight = arc[:, None] * (length * radius * np.exp(-0.5 * radius * radius))
    weight /= weight.sum()
    p, e = np.cos(angle)[:, None] * radius, np.sin(angle)[:, None] * radius
    return p.ravel(), e.ravel(), weight.ravel()
