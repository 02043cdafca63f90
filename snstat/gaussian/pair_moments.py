"""Expectations E[f(z₁)g(z₂)] over a pair of correlated Gaussians, by quadrature.

An accuracy of 1e-5 is enough for corrections of first order in 1/width, so there are few panels.
The outer integral runs over z₁, the inner one over the part of z₂ that is independent of z₁. Both
are split at the kinks of the activation. Where q has settled and only the correlation still
changes, the expectations are interpolated.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from snstat.activation import Activation
from snstat.gaussian.quadrature import FloatArray, composite, distinct
from snstat.gaussian.sine import sine_pair_squares

_POINTS = 6
# The probability beyond this many standard deviations is 3e-13.
_RANGE = 7.5
_GRID = np.linspace(-_RANGE, _RANGE, 8)
# Where the smooth activations bend, in x. These points matter only for large standard deviations.
_BENDS = np.array([-9.0, -4.5, -2.0, -1.0, 0.0, 1.0, 2.0, 4.5, 9.0])
_SMALL_STD = 0.5
# A correlation this close to ±1 counts as ±1.
_ALIGNED = 1e-12


# Spacing in ln(1 − c) of the grid for cubics, with an error of 6e-6 of the fourth derivative.
_SPACING = 0.125
# Below this range samples are alike; above it the square root at c = −1 makes cubics inaccurate.
_INTERPOLATED = (1e-10, 1.3)
# The number of correlations evaluated directly before a grid is worth building.
_FEW = 4


@dataclass(frozen=True, slots=True)
class PairMoments:
    """Moments of the activations and slopes of two samples, with ψ = φ/√E[φ²] and D = E[φ'²]:
    `square` E[ψ₁²ψ₂²], `fourth` E[φ'₁²φ'₂²]/D², `joint` E[φ'₁²ψ₂²]/D. NaN where not requested."""

    square: float
    fourth: float = math.nan
    joint: float = math.nan


@dataclass(frozen=True, slots=True)
class PairNodes:
    """Nodes for expectations over z₁, z₂ ~ N(0, q) at one correlation.

    z₁ has the nodes `first` (outer,) and weights `outer` (outer,). z₂ given z₁ has the nodes
    `second` (outer, inner) and weights `inner` (outer, inner). Weights sum to 1 along their last
    axis.
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
    special = np.array(activation.kinks) / std
    if std > _SMALL_STD * activation.bend and (not activation.kinks or activation.tail):
        special = distinct(np.concatenate([special, activation.bend * _BENDS / std]))
    # The kink of z₂ appears to z₁ as a bend, blurred by the independent part of z₂.
    blurs = [special]
    if _ALIGNED < free < 1.0:
        reach = free * 2.0 ** np.arange(0.0, math.ceil(math.log2(_RANGE / free)), 2.0)
        for centre in special:
            blurs += [centre + reach, centre - reach]
    edges = distinct(np.clip(np.concatenate([_GRID, *blurs]), -_RANGE, _RANGE))
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


class PairTable:
    """The moments of pairs at one q, for any correlation; `rms` is √E[φ²], `slope_rms` √E[φ'²] or
    0 where slopes are not requested."""

    def __init__(
        self, activation: Activation, second_moment: float, rms: float, slope_rms: float
    ) -> None:
        self._activation, self._q = activation, second_moment
        self._rms, self._slope_rms = rms, slope_rms
        self._direct: dict[float, FloatArray] = {}
        self._grid: dict[int, FloatArray] = {}

    def at(self, misalignment: float) -> PairMoments:
        """Return the moments at 1 − c = `misalignment`."""
        return PairMoments(*self.numbers(misalignment).tolist())

    def numbers(self, misalignment: float) -> FloatArray:
        """Return the result of `_evaluate`, interpolated after the first few correlations."""
        if misalignment not in self._direct:
            low, high = _INTERPOLATED
            if len(self._direct) >= _FEW and low <= misalignment <= high:
                return self._interpolated(misalignment)
            self._direct[misalignment] = self._evaluate(misalignment)
        return self._direct[misalignment]

    def _interpolated(self, misalignment: float) -> FloatArray:
        place = math.log(misalignment) / _SPACING
        first = math.floor(place)
        t = place - first
        weights = (
            -t * (t - 1.0) * (t - 2.0) / 6.0,
            (t + 1.0) * (t - 1.0) * (t - 2.0) / 2.0,
            -(t + 1.0) * t * (t - 2.0) / 2.0,
            (t + 1.0) * t * (t - 1.0) / 6.0,
        )
        for number in range(first - 1, first + 3):
            if number not in self._grid:
                self._grid[number] = self._evaluate(math.exp(number * _SPACING))
        nodes = np.array([self._grid[number] for number in range(first - 1, first + 3)])
        total: FloatArray = np.array(weights) @ nodes
        return total

    def _evaluate(self, misalignment: float) -> FloatArray:
        sine = self._activation.formed("sine")
        if sine is not None:
            return self._of_sine(sine[0], misalignment)
        nodes = pair_nodes(self._activation, self._q, misalignment)
        first = (self._activation.function(nodes.first) / self._rms) ** 2
        second = (self._activation.function(nodes.second) / self._rms) ** 2
        result = np.full(3, math.nan)
        result[0] = nodes.average(first, second)
        if self._slope_rms > 0:
            outer = (self._activation.derivative(nodes.first) / self._slope_rms) ** 2
            inner = (self._activation.derivative(nodes.second) / self._slope_rms) ** 2
            result[1] = nodes.average(outer, inner)
            result[2] = nodes.average(first, inner)
        return result

    def _of_sine(self, frequency: float, misalignment: float) -> FloatArray:
        sines, cosines, mixed = sine_pair_squares(frequency, self._q, misalignment)
        result = np.full(3, math.nan)
        result[0] = sines / self._rms**4
        if self._slope_rms > 0:
            ratio = (frequency / self._slope_rms) ** 2
            result[1:] = cosines * ratio**2, mixed * ratio / self._rms**2
        return result
