"""Gaussian moments of an activation from tables in ln q, for stacks of thousands of layers whose
state keeps changing.

E[φ(√q ẑ)²] and similar are analytic in ln q in a strip of half-width π/2 around the real line, with
or without kinks. So polynomials of degree n on panels of half-width 1 are exact to
(π/2 + √(1 + π²/4))⁻ⁿ, 1e-16 for n = 32 (Trefethen, *Approximation Theory and Approximation
Practice*, chapter 8). A panel is computed when a q in it is first needed.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np

from snstat.activation import Activation
from snstat.gaussian.centred import CentredMoments, centred_moments, closed_form
from snstat.gaussian.log_tables import chebyshev_nodes, chebyshev_series
from snstat.gaussian.quadrature import FloatArray, distinct

_HALF_WIDTH, _POINTS = 1.0, 32
_ORDERS = np.arange(_POINTS, dtype=np.float64)
# Outside this range moments are evaluated directly.
_LOWEST, _HIGHEST = 1e-8, 1e8
# So few moments are evaluated directly at once.
_FEW = 16
# Bound on the last coefficients of a resolved panel, relative to the moments. The kurtosis and
# skewness of small signals around a mean lose digits in their own evaluation.
_RESOLVED = np.array([1e-13, 1e-13, 1e-11, 1e-13, 1e-11])


def tabulated_moments(activation: Activation, second_moment: float) -> CentredMoments:
    """Return `centred_moments`, from a table if there is one.

    The error of the mean from a table is within 1e-12 of √E[φ²], and the relative error of the
    others within 1e-12.
    """
    if closed_form(activation) or not _LOWEST < second_moment < _HIGHEST:
        return centred_moments(activation, second_moment)
    place = math.log(second_moment) / (2.0 * _HALF_WIDTH)
    number = math.floor(place)
    coefficients = _panel(activation, number)
    if coefficients is None:
        return centred_moments(activation, second_moment)
    angle = math.acos(2.0 * (place - number) - 1.0)
    return CentredMoments(*(np.cos(angle * _ORDERS) @ coefficients).tolist())


def tabulated_array(activation: Activation, second_moment: FloatArray) -> FloatArray | None:
    """Return mean, variance, skewness, kurtosis and E[φ'²] at all q = `second_moment` (points,).

    The result is an array (5, points), or None if one of the q has no table.
    """
    inside = (second_moment > _LOWEST) & (second_moment < _HIGHEST)
    if closed_form(activation) or not inside.all():
        return None
    places = np.log(second_moment) / (2.0 * _HALF_WIDTH)
    numbers = np.floor(places)
    found = np.empty((5, second_moment.size))
    for number in distinct(numbers).tolist():
        coefficients = _panel(activation, int(number))
        if coefficients is None:
            return None
        here = numbers == number
        angles = np.arccos(2.0 * (places[here] - number) - 1.0)
        values = np.einsum("pk,kv->vp", np.cos(np.outer(angles, _ORDERS)), coefficients)
        found[:, here] = values[[0, 1, 4, 2, 3]]
    return found


def moments_at(activation: Activation, q: FloatArray) -> FloatArray:
    """Return mean, variance, skewness, kurtosis and E[φ'²] at different q (points,), as an array
    (5, points): of many points as they scale with q, or from tables where there are some."""
    if q.size <= _FEW:
        return _one_by_one(activation, q)
    if activation.formed("half_linear") is not None:
        at_one = _one_by_one(activation, np.ones(1))
        found: FloatArray = at_one * np.array([np.sqrt(q), q, *np.ones((3, q.size))])
        found[2:4, q == 0] = math.nan
        return found
    inside = (q > _LOWEST) & (q < _HIGHEST)
    table = None if activation.custom else tabulated_array(activation, q[inside])
    if table is None:
        return _one_by_one(activation, q)
    found = np.empty((5, q.size))
    found[:, inside], found[:, ~inside] = table, _one_by_one(activation, q[~inside])
    return found


def _one_by_one(activation: Activation, q: FloatArray) -> FloatArray:
    states = [centred_moments(activation, size) for size in q.tolist()]
    columns = [(s.mean, s.variance, s.skewness, s.kurtosis, s.derivative_square) for s in states]
    found: FloatArray = np.array(columns).reshape(-1, 5).T
    return found


@lru_cache(maxsize=512)
def _panel(activation: Activation, number: int) -> FloatArray | None:
    """Return Chebyshev coefficients (orders, moments) on panel `number`, None if the panel is not
    resolved."""
    logs = 2.0 * _HALF_WIDTH * (number + (chebyshev_nodes(_POINTS) + 1.0) / 2.0)
    states = [centred_moments(activation, math.exp(log)) for log in logs.tolist()]
    values = np.array(
        [(s.mean, s.variance, s.kurtosis, s.derivative_square, s.skewness) for s in states]
    )
    coefficients = chebyshev_series(values.T).T
    # A mean may be 0 compared with the root mean square, and a skewness compared with 1.
    rms = math.sqrt(max(state.second_moment for state in states))
    sizes = np.maximum(np.abs(values).max(axis=0), [rms, 0.0, 0.0, 0.0, 1.0])
    resolved = np.abs(coefficients[-3:]).max(axis=0) <= _RESOLVED * sizes
    return coefficients if resolved.all() else None
