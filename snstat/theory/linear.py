"""Stability of a fixed point from its Jacobian."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from snstat.gaussian.quadrature import FloatArray
from snstat.gaussian.rounding import ROUNDING, neat, without_noise
from snstat.results import CorrelationFixedPoint, FixedPoint

# A slope this close to 1 is 1 within the rounding of the expectations.
MARGINAL = 1e-12


def depth_scale(factor: float) -> float | None:
    """Return −1/ln|factor| in layers, 0 for a jump in one layer, None where nothing decays."""
    size = abs(factor)
    if size == 0:
        return 0.0
    if not size < 1.0 - MARGINAL:
        return None
    return -1.0 / math.log(size)


def is_neutral(factor: float) -> bool:
    """Return whether `factor` per layer is 1 within rounding, so that higher orders decide."""
    return abs(factor - 1.0) <= MARGINAL


def fixed_point_record(
    mean: float,
    variance: float,
    matrix: FloatArray,
    eigenvalues: tuple[complex, complex],
    gradient_growth: float,
    correlations: tuple[CorrelationFixedPoint, ...] = (),
    *,
    slowly_attracting: bool = False,
    correlation_continuum: bool = False,
) -> FixedPoint:
    """Return the record of a fixed point with Jacobian `matrix` (2, 2).

    An infinite entry (a kink met with variance 0) makes the norm infinite; `eigenvalues` are given
    separately. `slowly_attracting` states the effect of higher orders, for a neutral first order.
    """
    first, second = (
        complex(neat(value.real), neat(value.imag))
        for value in sorted(eigenvalues, key=abs, reverse=True)
    )
    radius = neat(abs(first))
    finite = bool(np.isfinite(matrix).all())
    rows = [[neat(value) for value in row] for row in _cleaned(matrix).tolist()]
    mean, variance = without_noise(mean, math.sqrt(variance + mean * mean)), neat(variance)
    return FixedPoint(
        mean=mean,
        variance=variance,
        second_moment=variance + mean * mean,
        stable=radius < 1.0 - MARGINAL or (slowly_attracting and is_neutral(radius)),
        jacobian=((rows[0][0], rows[0][1]), (rows[1][0], rows[1][1])),
        eigenvalues=((first.real, first.imag), (second.real, second.imag)),
        spectral_norm=float(np.linalg.norm(matrix, 2)) if finite else math.inf,
        spectral_radius=radius,
        depth_scale=depth_scale(radius),
        gradient_growth=neat(gradient_growth),
        correlations=correlations,
        correlation_continuum=correlation_continuum,
    )


def _cleaned(matrix: FloatArray) -> FloatArray:
    finite = matrix[np.isfinite(matrix)]
    scale = float(np.max(np.abs(finite), initial=0.0))
    return np.where(np.abs(matrix) <= ROUNDING * scale, 0.0, matrix)


def stable_first(points: Sequence[FixedPoint]) -> tuple[FixedPoint, ...]:
    """Return `points` in the order of the report: stable ones first, then by variance."""
    return tuple(sorted(points, key=lambda point: (not point.stable, point.variance, point.mean)))
