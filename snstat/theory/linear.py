"""Stability of a fixed point from its Jacobian."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from snstat.gaussian.quadrature import FloatArray
from snstat.results import CorrelationFixedPoint, FixedPoint

# Means and Jacobian entries this small, against the whole, are rounding and reported as 0; and
# numbers of 12 digits this near to what was computed are what it stands for.
_ROUNDING = 2e-15
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


def is_neutral(factor: float) -> bool:
    """Return whether `factor` per layer is 1 within rounding: the first order decides nothing."""
    return abs(factor - 1.0) <= MARGINAL


def neat(value: float) -> float:
    """Return the number of 12 digits that `value` is within rounding, or else `value` itself."""
    if not math.isfinite(value):
        return value
    short = float(f"{value:.12g}")
    return short if abs(short - value) <= _ROUNDING * abs(value) else value


def without_noise(mean: float, scale: float) -> float:
    """Return `mean`, as 0 where it is rounding against the root mean square `scale`."""
    return 0.0 if abs(mean) <= _ROUNDING * scale else neat(mean)


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
    """Return the record of a fixed point; `matrix` (2, 2) is its Jacobian. An infinite entry (a
    kink met with variance 0) makes the norm infinite, the eigenvalues being given apart.

    `slowly_attracting` tells what higher orders do, for where the first is neutral.
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
    return np.where(np.abs(matrix) <= _ROUNDING * scale, 0.0, matrix)


def stable_first(points: Sequence[FixedPoint]) -> tuple[FixedPoint, ...]:
    """Return `points` in the order in which they are reported: stable ones, then by variance."""
    return tuple(sorted(points, key=lambda point: (not point.stable, point.variance, point.mean)))
