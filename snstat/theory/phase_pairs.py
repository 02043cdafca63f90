"""Correlations at which chaotic networks settle, for many points at once.

With θ = arccos c and m = 1 − c, ρ(x, θ) = ln(gap(q, m)/(q m)) falls from ln E[φ'²] at θ = 0. The
correlation map has its fixed point where G²·gap = q·m, so ρ = −ln G². By Price's theorem the slope
of the map there is 1 + tan(θ/2)·∂ρ/∂θ, without cancellation. ρ is smooth in x = ln q and θ, also
with kinks, so it is a Chebyshev series on patches of both, halved in θ until they are resolved.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from numpy.polynomial.chebyshev import chebvander

from snstat.activation import Activation
from snstat.gaussian.log_tables import chebyshev_nodes, chebyshev_series
from snstat.gaussian.pairs import pair_gap
from snstat.gaussian.quadrature import FloatArray, distinct
from snstat.theory.correlation import correlation_fixed_points
from snstat.theory.many_roots import IntArray, decreasing_roots

# The width of a patch in ln q, and its points in ln q and θ.
_WIDTH, _ACROSS, _ALONG = 1.0, 20, 24
# Bounds on the last coefficients of a resolved patch. What is lost in ln q is the kernels' own
# rounding, because functions of ln q are resolved.
_RESOLVED = 2e-13
# Halvings of θ before points are solved one by one, and how few points are not worth a patch.
_HALVINGS, _FEW = 14, 25
_BLOCK = 4096


def settled_correlations(
    activation: Activation, log_q: FloatArray, square_gain: FloatArray, bias_square: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Return the stable correlation below 1 and the logarithm of the map's slope there, (points,).

    Arguments are (points,); q is settled and G²·E[φ'²] exceeds 1 everywhere.
    """
    from threadpoolctl import threadpool_limits

    correlation, log_slope = np.empty(log_q.size), np.empty(log_q.size)
    panel = np.floor(log_q / _WIDTH).astype(np.intp)
    with threadpool_limits(limits=1, user_api="blas"):  # more are slower at products so small
        for number in distinct(panel):
            here = np.flatnonzero(panel == number)
            if here.size < _FEW:
                found = _one_by_one(activation, log_q[here], square_gain[here], bias_square[here])
            else:
                search = _Search(activation, int(number))
                found = search.solve(log_q[here], square_gain[here], bias_square[here])
            correlation[here], log_slope[here] = found
    return correlation, log_slope


def _one_by_one(
    activation: Activation, log_q: FloatArray, square_gain: FloatArray, bias_square: FloatArray
) -> tuple[FloatArray, FloatArray]:
    found = np.empty((2, log_q.size))
    points = zip(log_q.tolist(), square_gain.tolist(), bias_square.tolist(), strict=True)
    for place, (log, square, bias) in enumerate(points):
        parameters = math.exp(log), math.sqrt(square), math.sqrt(bias)
        try:
            first = correlation_fixed_points(activation, *parameters)[0]
        except ValueError:  # a user's functions, of which pairs of inputs are not known
            found[:, place] = math.nan
            continue
        found[:, place] = first.value, math.log(first.slope) if first.slope > 0 else -math.inf
    return found[0], found[1]


class _Search:
    """The search on one panel of ln q."""

    def __init__(self, activation: Activation, number: int) -> None:
        self.activation, self.number = activation, number

    def solve(
        self,
        log_q: FloatArray,
        square_gain: FloatArray,
        bias_square: FloatArray,
        ends: tuple[float, float] = (0.0, math.pi / 2.0),
        depth: int = 0,
    ) -> tuple[FloatArray, FloatArray]:
        """Return correlations and logarithms of slopes of points whose θ is between `ends`."""
        series = _patch(self.activation, self.number, *ends)
        if series is not None:
            parts = [
                _on_patch(series, self._across(log_q[part]), square_gain[part], ends)
                for part in _blocks(log_q.size)
            ]
            correlation, log_slope = (np.concatenate(part) for part in zip(*parts, strict=True))
            return correlation, log_slope
        if depth == _HALVINGS:
            return _one_by_one(self.activation, log_q, square_gain, bias_square)
        middle = 0.5 * (ends[0] + ends[1])
        border = chebyshev_series(_border(self.activation, self.number, middle))
        beyond = chebvander(self._across(log_q), _ACROSS - 1) @ border > -np.log(square_gain)
        correlation, log_slope = np.empty(log_q.size), np.empty(log_q.size)
        for of, own in ((~beyond, (ends[0], middle)), (beyond, (middle, ends[1]))):
            if of.any():
                correlation[of], log_slope[of] = self.solve(
                    log_q[of], square_gain[of], bias_square[of], own, depth + 1
                )
        return correlation, log_slope

    def _across(self, log_q: FloatArray) -> FloatArray:
        """Return places in [-1, 1] across the panel."""
        return np.clip(2.0 * (log_q / _WIDTH - self.number) - 1.0, -1.0, 1.0)


def _blocks(size: int) -> list[slice]:
    return [slice(start, start + _BLOCK) for start in range(0, size, _BLOCK)]


def _on_patch(
    series: FloatArray, across: FloatArray, square_gain: FloatArray, ends: tuple[float, float]
) -> tuple[FloatArray, FloatArray]:
    """Return correlations and logarithms of slopes from the series (along, across) of a patch."""
    own = series @ chebvander(across, _ACROSS - 1).T
    own[0] += np.log(square_gain)
    low, high = np.full(across.size, -1.0), np.full(across.size, 1.0)
    # ln χ falls to 0 nearly as a parabola from θ = 0, and nearly as a line elsewhere.
    signs = (-1.0) ** np.arange(len(own))
    top, bottom = signs @ own, own.sum(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.clip(top / (top - bottom), 0.0, 1.0)
    share = np.sqrt(share) if ends[0] == 0 else share
    start = np.clip(2.0 * np.nan_to_num(share, nan=0.5) - 1.0, -1.0, 1.0)

    def values(t: FloatArray, of: IntArray | None) -> tuple[FloatArray, FloatArray]:
        return _clenshaw(own if of is None else own[:, of], t)

    t = decreasing_roots(values, low, high, start)
    half = 0.5 * (ends[1] - ends[0])
    angle = ends[0] + half * (t + 1.0)
    _, slope = _clenshaw(own, t)
    with np.errstate(divide="ignore"):  # where the map is flat or falls
        log_slope = np.log1p(np.maximum(np.tan(0.5 * angle) * slope / half, -1.0))
    return np.cos(angle), log_slope


def _clenshaw(series: FloatArray, t: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return Chebyshev series (orders, points) and their derivatives at `t` (points,)."""
    twice = 2.0 * t
    one, two = series[-1].copy(), np.zeros_like(t)
    slope_one, slope_two = np.zeros_like(t), np.zeros_like(t)
    for row in series[-2:0:-1]:
        slope_one, slope_two = 2.0 * one + twice * slope_one - slope_two, slope_one
        one, two = row + twice * one - two, one
    return series[0] + t * one - two, one + t * slope_one - slope_two


@lru_cache(maxsize=1024)
def _patch(activation: Activation, number: int, low: float, high: float) -> FloatArray | None:
    """Return the series (along θ, across ln q) of ρ on a patch, None if it is not resolved."""
    angles = low + 0.5 * (high - low) * (chebyshev_nodes(_ALONG) + 1.0)
    values = np.array([_border(activation, number, angle) for angle in angles.tolist()])
    if not np.isfinite(values).all():
        return None
    series = chebyshev_series(chebyshev_series(values).T).T
    return series if np.abs(series[-3:]).max() <= _RESOLVED else None


def _border(activation: Activation, number: int, angle: float) -> FloatArray:
    """Return ρ at the nodes in ln q of a panel, at one angle."""
    misalignment = 2.0 * math.sin(0.5 * angle) ** 2
    logs = _WIDTH * (number + 0.5 * (chebyshev_nodes(_ACROSS) + 1.0))
    gaps = [pair_gap(activation, q, misalignment) / q for q in np.exp(logs).tolist()]
    with np.errstate(divide="ignore", invalid="ignore"):
        found: npt.NDArray[np.float64] = np.log(np.array(gaps) / misalignment)
    return found
