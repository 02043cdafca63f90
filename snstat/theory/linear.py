"""Stability of a fixed point from its Jacobian."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from snstat.results import CorrelationFixedPoint, FixedPoint
from snstat.theory.quadrature import FloatArray

# Means and Jacobian entries this small, against the whole, are rounding and reported as 0.
_ROUNDING = 1e-15
# Slopes this close to 1 are 1 within the rounding of the expectations.
MARGINAL = 1e-12


def depth_scale(factor: float) -> float | None:
    """Return −1/ln|factor| in layers, 0 for a jump in one layer, None where nothing decays."""
    size = abs(factor)
    if size == 0:
        return 0.0
    if not size < 1.0 - MARGINAL:
        return None
    return -1.0 / math.log(size)


def fixed_point_record(
    mean: float,
    variance: float,
    matrix: FloatArray,
    eigenvalues: tuple[complex, complex],
    gradient_growth: float,
    correlations: tuple[CorrelationFixedPoint, ...] = (),
) -> FixedPoint:
    """Return the record of a fixed point; `matrix` (2, 2) is its Jacobian. An infinite entry (a
    kink met with variance 0) makes the norm infinite, the eigenvalues being given apart."""
    first, second = sorted(eigenvalues, key=abs, reverse=True)
    radius = abs(first)
    finite = bool(np.isfinite(matrix).all())
    rows = _cleaned(matrix).tolist()
    if abs(mean) <= _ROUNDING * math.sqrt(variance + mean * mean):
        mean = 0.0
    return FixedPoint(
        mean=mean,
        variance=variance,
        second_moment=variance + mean * mean,
        stable=radius < 1.0 - MARGINAL,
        jacobian=((rows[0][0], rows[0][1]), (rows[1][0], rows[1][1])),
        eigenvalues=((first.real, first.imag), (second.real, second.imag)),
        spectral_norm=float(np.linalg.norm(matrix, 2)) if finite else math.inf,
        spectral_radius=radius,
        depth_scale=depth_scale(radius),
        gradient_growth=gradient_growth,
        correlations=correlations,
    )


def _cleaned(matrix: FloatArray) -> FloatArray:
    finite = matrix[np.isfinite(matrix)]
    scale = float(np.max(np.abs(finite), initial=0.0))
    return np.where(np.abs(matrix) <= _ROUNDING * scale, 0.0, matrix)


def stable_first(points: Sequence[FixedPoint]) -> tuple[FixedPoint, ...]:
    """Return `points` in the order in which they are reported: stable ones, then by variance."""
    return tuple(sorted(points, key=lambda point: (not point.stable, point.variance, point.mean)))
