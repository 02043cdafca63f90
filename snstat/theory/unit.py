"""Fixed points of the unit map, searched on the whole (mean, variance) half-plane."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from snstat.activation import Activation
from snstat.gaussian.expectations import (
    derivative_second_moment,
    jacobian,
    moments,
    one_sided_slopes,
)
from snstat.gaussian.quadrature import FloatArray
from snstat.results import FixedPoint
from snstat.theory.linear import fixed_point_record, is_neutral, stable_first
from snstat.theory.search import Search, root

# The grid has sinh-spaced means up to ±1e4, and log variances from 1e-10 to 1e8.
_MEAN_REACH, _MEAN_POINTS = math.asinh(1e4), 75
_LOG_VARIANCES = np.linspace(math.log(1e-10), math.log(1e8), 70)
# Means on either side of 0.
_LINE_POINTS = 10_000
_ROUNDING = 2e-14
# A fixed point is isolated if |det(J − 1)| exceeds this. Otherwise it may be part of a line.
_ISOLATED = 1e-9
_SAME = 1e-7
# Distance to look along a suspected line of fixed points, relative to the variance.
_EXCURSION = 0.1
_NEWTON_STEPS, _CONVERGED = 40, 1e-11
# For neutral points: distances at which to start, number of layers, and what counts as motion.
_REACHES, _SETTLING, _MOVES = (0.01, 0.1, 0.5), 6, 1e-9
# Distances below this, relative to the first, count as arrived.
_NOISE = 1e-12


@dataclass(frozen=True, slots=True)
class _Unit:
    activation: Activation
    weight_sum: float
    weight_square_sum: float

    def image(self, mean: npt.ArrayLike, variance: npt.ArrayLike) -> tuple[FloatArray, FloatArray]:
        mean, variance = np.asarray(mean), np.asarray(variance)
        return moments(self.activation, mean * self.weight_sum, variance * self.weight_square_sum)

    def jacobian(self, mean: npt.ArrayLike, variance: npt.ArrayLike) -> FloatArray:
        """Return ∂(mean', variance')/∂(mean, variance), (..., 2, 2)."""
        mean, variance = np.asarray(mean), np.asarray(variance)
        inner = jacobian(self.activation, mean * self.weight_sum, variance * self.weight_square_sum)
        scale = np.array([self.weight_sum, self.weight_square_sum])
        # Where a factor is 0 its column is 0 too, even if the slope is infinite.
        return np.where(scale == 0, 0.0, inner * np.where(scale == 0, 1.0, scale))

    def mean_rate(self, mean: float) -> float:
        """Return the growth per layer of the distance to a fixed mean at variance 0.

        The two sides of a kink have different slopes; the side that grows faster counts.
        """
        left, right = (float(s) for s in one_sided_slopes(self.activation, mean * self.weight_sum))
        if self.weight_sum < 0:
            left, right = right, left
        below, above = self.weight_sum * left, self.weight_sum * right
        if below < 0 and above < 0:  # the sign of the distance alternates from layer to layer
            return math.sqrt(below * above)
        return max(below, above)

    def gradient_growth(self, mean: float, variance: float) -> float:
        """Return τ E[φ'(z)²]; at variance 0 it is the limit from above, as for the Jacobian."""
        pre_mean, pre_variance = mean * self.weight_sum, variance * self.weight_square_sum
        if pre_variance == 0:
            left, right = one_sided_slopes(self.activation, pre_mean)
            return self.weight_square_sum * float(left * left + right * right) / 2.0
        square = derivative_second_moment(self.activation, pre_mean, pre_variance)
        return self.weight_square_sum * float(square)


def find_unit(activation: Activation, weight_sum: float, weight_square_sum: float) -> Search:
    """Return the isolated fixed points with |mean| up to 1e4, stable ones first.

    Variance 0 is searched separately on its own line. Elsewhere every cell of a grid in which both
    residuals change sign, or nearly do, starts a Newton iteration.
    """
    unit = _Unit(activation, weight_sum, weight_square_sum)
    still, line = _without_variance(unit)
    found = [(mean, 0.0) for mean in still]
    continuum = line
    with np.errstate(all="ignore"):  # steps out of range are dropped
        candidates = _newton(unit, *_starts(unit))
    for point in candidates:
        if not any(_close(point, other) for other in found):
            found.append(point)
    isolated = []
    for mean, variance in found:
        matrix = unit.jacobian(mean, variance)
        if not np.isfinite(matrix).all():
            isolated.append((mean, variance))
            continue
        if _on_line(unit, mean, variance, matrix):
            continuum = True
        else:
            isolated.append((mean, variance))
    points = [_record(unit, *_rounded(unit, *point)) for point in isolated]
    return Search(stable_first(points), continuum, _at_infinity(unit, continuum=continuum))


def _without_variance(unit: _Unit) -> tuple[list[float], bool]:
    """Return the means with φ(ω mean) = mean, and whether some of them form a line."""

    def excess(mean: float) -> float:
        return float(unit.activation.function(np.array([mean * unit.weight_sum]))[0]) - mean

    # The one in the middle is exactly 0.
    places = np.arange(-_LINE_POINTS, _LINE_POINTS + 1)
    means = np.sinh(places * (_MEAN_REACH / _LINE_POINTS))
    values = unit.activation.function(means * unit.weight_sum) - means
    moving = np.abs(values) > _ROUNDING * np.abs(means)
    kept = np.flatnonzero(moving)
    # Far from 0 many activations equal their asymptote to rounding, which does not make a line.
    near = (np.abs(means) > 0.5) & (np.abs(means) < 2.0)
    line = bool((~moving & near).any())
    roots = []
    for left, right in pairwise(kept.tolist()):
        if right - left > 3:  # a run of fixed points rather than a root
            continue
        if (values[left] > 0) != (values[right] > 0):
            found = root(excess, means[left], means[right])
            roots.append(0.0 if excess(0.0) == 0 and abs(found) < 1e-9 else found)
    beside = moving[[_LINE_POINTS - 1, _LINE_POINTS + 1]]
    if excess(0.0) == 0 and 0.0 not in roots and beside.all():
        roots.append(0.0)  # a root where both sides move in the same direction
    return roots, line


def _starts(unit: _Unit) -> tuple[FloatArray, FloatArray]:
    """Return starting points, mean and log variance, each (starts,): the centres of cells that may
    hold a root."""
    means = np.sinh(np.linspace(-_MEAN_REACH, _MEAN_REACH, _MEAN_POINTS))
    if unit.weight_square_sum == 0:
        return np.empty(0), np.empty(0)
    grid_mean, grid_log = np.meshgrid(means, _LOG_VARIANCES, indexing="ij")
    image_mean, image_variance = unit.image(grid_mean, np.exp(grid_log))
    by_mean = image_mean - grid_mean
    with np.errstate(divide="ignore"):
        by_log = np.log(image_variance) - grid_log
    rows, columns = np.nonzero(_changes(by_mean) & _changes(by_log))
    return (
        (means[rows] + means[rows + 1]) / 2.0,
        (_LOG_VARIANCES[columns] + _LOG_VARIANCES[columns + 1]) / 2.0,
    )


def _changes(values: FloatArray) -> npt.NDArray[np.bool_]:
    """Return which cells of a grid contain both signs, themselves or in a neighbouring cell."""
    corners = np.stack([values[:-1, :-1], values[1:, :-1], values[:-1, 1:], values[1:, 1:]])
    mixed = (corners.min(axis=0) <= 0) & (corners.max(axis=0) >= 0)
    # Add one cell on every side, because level lines curve within a cell.
    wide = np.pad(mixed, 1)
    result: npt.NDArray[np.bool_] = np.logical_or.reduce(
        [
            wide[1 + i : wide.shape[0] - 1 + i, 1 + j : wide.shape[1] - 1 + j]
            for i in (-1, 0, 1)
            for j in (-1, 0, 1)
        ]
    )
    return result


def _newton(unit: _Unit, mean: FloatArray, log_variance: FloatArray) -> list[tuple[float, float]]:
    """Return where damped Newton steps in (mean, log variance) converge from all the starts."""
    done: list[tuple[float, float]] = []
    for _ in range(_NEWTON_STEPS if mean.size else 0):
        variance = np.exp(log_variance)
        image_mean, image_variance = unit.image(mean, variance)
        usable = image_variance > 0
        image_variance = np.where(usable, image_variance, 1.0)
        residual = np.stack([image_mean - mean, np.log(image_variance) - log_variance], axis=-1)
        matrix = unit.jacobian(mean, variance)
        matrix[:, :, 1] *= variance[:, None]
        matrix[:, 1, :] /= image_variance[:, None]
        matrix = np.eye(2) - matrix
        determinant = np.linalg.det(matrix)
        usable &= np.abs(determinant) > _ISOLATED
        matrix[~usable] = np.eye(2)
        step = np.linalg.solve(matrix, residual[:, :, None])[:, :, 0]
        limit = np.stack([1.0 + np.abs(mean), np.full(mean.size, 2.0)], axis=-1)
        step *= np.min(np.minimum(1.0, limit / np.maximum(np.abs(step), 1e-300)), axis=1)[:, None]
        scale = np.sqrt(mean * mean + variance)
        error = np.maximum(np.abs(step[:, 0]) / scale, np.abs(step[:, 1]))
        mean, log_variance = mean + step[:, 0], log_variance + step[:, 1]
        converged = usable & (error < _CONVERGED)
        done += zip(mean[converged].tolist(), np.exp(log_variance[converged]).tolist(), strict=True)
        inside = (np.abs(mean) < 1e5) & (np.abs(log_variance) < 30.0)
        going = usable & inside & ~converged
        mean, log_variance = mean[going], log_variance[going]
    return done


def _close(first: tuple[float, float], second: tuple[float, float]) -> bool:
    scale = math.sqrt(first[0] ** 2 + first[1]) + 1e-12
    apart: float = max(abs(first[0] - second[0]), abs(math.sqrt(first[1]) - math.sqrt(second[1])))
    return apart < _SAME * scale


def _on_line(unit: _Unit, mean: float, variance: float, matrix: FloatArray) -> bool:
    """Return whether the fixed points continue in the neutral direction of the Jacobian."""
    if abs(np.linalg.det(matrix - np.eye(2))) > _ISOLATED:
        return False
    direction = np.linalg.svd(matrix - np.eye(2))[2][1]
    direction *= _EXCURSION * math.copysign(1.0, direction[1])
    other_mean = mean + direction[0] * (1.0 + abs(mean))
    other_variance = max(variance + direction[1] * (variance or 1.0), 0.0)
    image_mean, image_variance = unit.image(other_mean, other_variance)
    error: float = max(
        abs(float(image_mean) - other_mean), abs(float(image_variance) - other_variance)
    )
    return error < _ISOLATED


def _rounded(unit: _Unit, mean: float, variance: float) -> tuple[float, float]:
    """Return the point rounded to 12 digits if it is as good a fixed point, else the point."""
    scale = math.hypot(mean, math.sqrt(variance))
    short_mean, short_variance = float(f"{mean:.12g}"), float(f"{variance:.12g}")
    if abs(mean) <= _ROUNDING * scale:
        short_mean = 0.0
    for point in ((short_mean, short_variance), (short_mean, variance)):
        image_mean, image_variance = unit.image(*point)
        error = abs(float(image_mean) - point[0]) / (scale or 1.0)
        spread_error = abs(float(image_variance) - point[1]) / (variance or 1.0)
        if max(error, spread_error) <= _ROUNDING:
            return point
    return mean, variance


def _record(unit: _Unit, mean: float, variance: float) -> FixedPoint:
    matrix = unit.jacobian(mean, variance)
    if np.isfinite(matrix).all():
        first, second = (complex(value) for value in np.linalg.eigvals(matrix))
    else:  # variance 0 at a kink: the mean does not affect the variance, so J is triangular
        first, second = complex(matrix[0, 0]), complex(matrix[1, 1])
        if abs(first) <= 1.0 < (rate := unit.mean_rate(mean)):  # unstable on one of the sides
            first = complex(rate)
    growth = unit.gradient_growth(mean, variance)
    neutral = is_neutral(max(abs(first), abs(second)))
    approached = neutral and _approached(unit, mean, variance)
    return fixed_point_record(
        mean, variance, matrix, (first, second), growth, slowly_attracting=approached
    )


def _approached(unit: _Unit, mean: float, variance: float) -> bool:
    """Return whether nearby points come closer to this one.

    The nearest points decide for which the motion exceeds rounding. Points that keep their distance
    do not count as coming closer.
    """
    std = math.sqrt(variance)
    size = math.hypot(mean, std) or 1.0
    signs = np.array([(m, s) for m in (-1, 0, 1) for s in (-1, 0, 1) if (m, s) != (0, 0)])
    if variance == 0:
        signs = signs[signs[:, 1] >= 0]
    for reach in _REACHES:
        at_mean, at_std = mean + reach * size * signs[:, 0], std + reach * size * signs[:, 1]
        distances = []
        for _ in range(_SETTLING + 1):
            for _ in range(_SETTLING):
                at_mean, at_variance = unit.image(at_mean, at_std**2)
                at_std = np.sqrt(at_variance)
            distances.append(np.hypot(at_mean - mean, at_std - std))
        # After settling, what is left moves along the neutral direction.
        first, last = distances[0], distances[-1]
        if (np.abs(last - first) > _MOVES * first).any():
            return bool((last <= first * (1.0 - _MOVES) + _NOISE * reach * size).all())
    return False


def _at_infinity(unit: _Unit, *, continuum: bool) -> str:
    """Return what 30 layers do to very large signals: "grows" if any is larger, "keeps" if there is
    a continuum and any is as large, else "returns"."""
    size, kept = 1e8, False
    for start in ((size, 0.0), (-size, 0.0), (0.0, size**2), (size, size**2)):
        mean, variance = start
        for _ in range(30):
            mean, variance = (float(value) for value in unit.image(mean, variance))
            norm = math.hypot(mean, math.sqrt(variance))
            if not 1e-100 < norm < 1e60:
                break
        if norm > math.hypot(start[0], math.sqrt(start[1])) * (1.0 + 1e-9):
            return "grows"
        kept |= norm > size * (1.0 - 1e-9)
    return "keeps" if kept and continuum else "returns"
