"""Pair expectations of activations that bend near 0 only, at any q, in polar coordinates.

As `pairs_polar`, for any function that is smooth but for a kink at 0: panels are graded towards the
rays on which an input is 0, at the scale on which the function bends.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from snstat.activation import Activation
from snstat.gaussian.pairs_polar import angle_of, mirrored, towards_zero
from snstat.gaussian.quadrature import FloatArray, composite, legendre

_ANGLE_POINTS, _RADIUS_POINTS = 16, 12
# r·exp(−r²/2) is below 1e-19 of its peak beyond the last edge.
_RADIUS_EDGES = (0.0, 2.0, 4.0, 6.5, 9.7)
# A panel next to 0 is this much shorter than the scale on which the function bends.
_FINER = 8.0
# Differences up to this many bends are integrated from φ', to avoid cancellation.
_NEAR, _NEAR_POINTS = 0.1, 6


def bends_at_zero(activation: Activation) -> bool:
    """Return whether these expectations are exact for `activation`."""
    smooth = activation.kinks in ((), (0.0,)) and activation.formed("sine") is None
    return smooth and not activation.custom


@dataclass(frozen=True, slots=True, eq=False)
class _Arcs:
    """Half a turn: |z₁| and |z₂| − |z₁| where both have one sign, z₁ > 0 and −z₂ where the signs
    differ, each (angles, radii), with the weights of radii and of the angles of both parts."""

    first: FloatArray
    apart: FloatArray
    up: FloatArray
    down: FloatArray
    radial: FloatArray
    same: FloatArray
    mixed: FloatArray

    def total(self, same: FloatArray, mixed: FloatArray) -> float:
        """Return the integral of values `same` and `mixed` on the two parts."""
        return float(self.same @ same @ self.radial + self.mixed @ mixed @ self.radial)


def graded_gap(activation: Activation, second_moment: float, misalignment: float) -> float:
    """Return ½E[(φ(z₁) − φ(z₂))²] at q = `second_moment` and 1 − c = `misalignment`."""
    arcs = _arcs(activation, second_moment, misalignment)
    apart = _difference(activation, arcs, 1.0)
    same = 2.0 * apart * apart
    if not activation.odd:
        other = _difference(activation, arcs, -1.0)
        same = apart * apart + other * other
    jump = activation.function(arcs.up) - activation.function(-arcs.down)
    return arcs.total(same, jump * jump) / (2.0 * math.pi)


def graded_slope(activation: Activation, second_moment: float, misalignment: float) -> float:
    """Return E[φ'(z₁)φ'(z₂)] at q = `second_moment` and 1 − c = `misalignment`."""
    arcs, derivative = _arcs(activation, second_moment, misalignment), activation.derivative
    second = arcs.first + arcs.apart
    same = derivative(arcs.first) * derivative(second)
    same = 2.0 * same if activation.odd else same + derivative(-arcs.first) * derivative(-second)
    return arcs.total(same, derivative(arcs.up) * derivative(-arcs.down)) / math.pi


def _difference(activation: Activation, arcs: _Arcs, sign: float) -> FloatArray:
    """Return φ(z₂) − φ(z₁) but for its sign, where both inputs have the sign `sign`."""
    first, apart = sign * arcs.first, sign * arcs.apart
    if float(arcs.apart.max()) > _NEAR * activation.bend:
        return activation.function(first + apart) - activation.function(first)
    t, weight = legendre(_NEAR_POINTS)
    total = np.zeros_like(first)
    for place, share in zip(t.tolist(), weight.tolist(), strict=True):
        total += share * activation.derivative(first + place * apart)
    return total * apart


def _arcs(activation: Activation, second_moment: float, misalignment: float) -> _Arcs:
    std, angle = math.sqrt(second_moment), angle_of(misalignment)
    scale = _FINER * (1.0 + std / activation.bend)
    edges = [*towards_zero(_RADIUS_EDGES[1], 0.5 * scale), *_RADIUS_EDGES[2:]]
    radius, weight = composite(np.array(edges), _RADIUS_POINTS)
    reach = std * radius[None, :]
    step, same = composite(np.array(towards_zero((math.pi - angle) / 2.0, scale)), _ANGLE_POINTS)
    apart = 2.0 * math.sin(angle / 2.0) * np.cos(step + angle / 2.0)
    own, mixed = mirrored(angle, scale)
    return _Arcs(
        first=np.sin(step)[:, None] * reach,
        apart=apart[:, None] * reach,
        up=np.sin(angle - own)[:, None] * reach,
        down=np.sin(own)[:, None] * reach,
        radial=weight * radius * np.exp(-0.5 * radius * radius),
        same=same,
        mixed=mixed,
    )
