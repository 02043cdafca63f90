"""Data for the plots of the maps: moments on a grid and the correlation map as a curve."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from snstat.activation import Pair, resolve
from snstat.errors import InvalidValueError
from snstat.gaussian.quadrature import FloatArray
from snstat.limits import MAX_SCALE
from snstat.results import CorrelationCurve, CorrelationFixedPoint, FixedPoint, MapField, Phase
from snstat.theory.correlation import correlation_fixed_points
from snstat.theory.ensemble import ensemble_image
from snstat.theory.fixed_points import fixed_points, resolve_map, trajectory
from snstat.theory.maps import correlation_map, ensemble_map, unit_map
from snstat.theory.phase import phase
from snstat.theory.theorems import theorem_domain
from snstat.values import number

Interval = tuple[float, float]

# Theorem 1 of the SNN paper: mean and variance of its domain.
_DOMAIN = (-0.1, 0.1, 0.8, 1.5)
_STEPS = 40
# Margin beyond a fixed point that widened a window, as a share of the window's width.
_MARGIN = 0.08
# Gains and bias deviations of a picture of phases.
PLANE = (361, 241)
# Gains of a curve of depth scales.
CURVE = 1601


def map_field(
    activation: str = "selu",
    *,
    map: str | None = None,  # noqa: A002
    weight_gain: float | None = None,
    bias_std: float | None = None,
    weight_sum: float | None = None,
    weight_square_sum: float | None = None,
    mean_range: Interval | None = None,
    variance_range: Interval | None = None,
    columns: int = 25,
    rows: int = 25,
) -> MapField:
    """Return a map on a `rows` × `columns` grid that includes its fixed points.

    `map` is "unit", which takes `weight_sum` (0) and `weight_square_sum` (1), or "ensemble", which
    takes `weight_gain` (that of the activation's default initialiser) and `bias_std` (0). Without
    `map` and without parameters of the ensemble map it is the unit map.
    The ranges default to the surroundings of the stable fixed point of positive variance, or to
    means in [-1, 1] and variances in [0, 2] if there is none. They are widened to include all other
    fixed points except (0, 0), where no signal is left. Trajectories start at the corners and the
    midpoints of the edges. `domain` is that of theorem 1, for the unit map of SELU with weights
    within it.
    Raises the errors of `fixed_points`, and InvalidValueError for an empty range.
    """
    entry = resolve(activation)
    if map is None:
        map = "unit" if weight_gain is None and bias_std is None else "ensemble"  # noqa: A001
    chosen, parameters = resolve_map(
        entry, map, weight_gain, bias_std, weight_sum, weight_square_sum
    )
    points = fixed_points(activation, map=chosen, **parameters)
    default_mean, default_variance = _window(points)
    mean_range, variance_range = mean_range or default_mean, variance_range or default_variance
    for name, interval in (("mean_range", mean_range), ("variance_range", variance_range)):
        if not interval[0] < interval[1]:
            raise InvalidValueError(name, interval, "(low, high) with low < high")
    means, variances = np.linspace(*mean_range, columns), np.linspace(*variance_range, rows)
    step = unit_map if chosen == "unit" else ensemble_map
    new_mean, new_variance = step(activation, means[None, :], variances[:, None], **parameters)
    inside = (
        chosen == "unit" and entry.name == "selu" and theorem_domain(0.0, 1.0, **parameters) == "1"
    )
    return MapField(
        entry.name,
        chosen,
        parameters,
        means,
        variances,
        new_mean,
        new_variance,
        tuple(points),
        tuple(
            trajectory(activation, mean, variance, _STEPS, map=chosen, **parameters)
            for mean, variance in _starts(means, variances)
        ),
        _DOMAIN if inside else None,
    )


def _window(points: list[FixedPoint]) -> tuple[Interval, Interval]:
    """Return the ranges of mean and variance that show the fixed points `points`."""
    mean_range, variance_range = _surroundings(points)
    signals = [point for point in points if point.second_moment > 0]
    low, high = _widened(variance_range, [point.variance for point in signals])
    return _widened(mean_range, [point.mean for point in signals]), (max(low, 0.0), high)


def _widened(interval: Interval, values: list[float]) -> Interval:
    """Return `interval`, extended on each side to slightly beyond the outermost of `values`."""
    low, high = min(*interval, *values), max(*interval, *values)
    margin = _MARGIN * (high - low)
    return (
        interval[0] if low == interval[0] else low - margin,
        interval[1] if high == interval[1] else high + margin,
    )


def _surroundings(points: list[FixedPoint]) -> tuple[Interval, Interval]:
    for point in points:
        if point.stable and point.variance > 0:
            reach = 0.25 * math.sqrt(point.variance)
            return (
                (point.mean - reach, point.mean + reach),
                (0.5 * point.variance, 1.75 * point.variance),
            )
    return (-1.0, 1.0), (0.0, 2.0)


def _starts(means: FloatArray, variances: FloatArray) -> list[tuple[float, float]]:
    """Return the corners of the grid and the midpoints of its edges."""
    left, middle, right = means[0], (means[0] + means[-1]) / 2.0, means[-1]
    low, centre, high = variances[0], (variances[0] + variances[-1]) / 2.0, variances[-1]
    places = [(left, low), (middle, low), (right, low), (left, centre), (right, centre)]
    places += [(left, high), (middle, high), (right, high)]
    return [(float(mean), float(variance)) for mean, variance in places]


def phase_plane(
    activation: str | Pair,
    weight_gain: Interval,
    bias_std: Interval,
    *,
    variance: bool = False,
    columns: int = PLANE[0],
    rows: int = PLANE[1],
) -> Phase:
    """Return the phases of an activation on a grid of `columns` gains and `rows` bias deviations,
    evenly spaced, or with evenly spaced squares if `variance`. Raises the errors of `phase`, and
    InvalidValueError for an empty or a reversed range."""
    return phase(
        activation,
        weight_gain=_evenly("weight_gain", weight_gain, columns, squares=variance),
        bias_std=_evenly("bias_std", bias_std, rows, squares=variance),
    )


def depth_scale_curve(
    activation: str | Pair, weight_gain: Interval, bias_std: float, *, points: int = CURVE
) -> Phase:
    """Return the phases of an activation at `points` evenly spaced gains and one bias deviation.
    Raises the errors of `phase_plane`."""
    gains = _evenly("weight_gain", weight_gain, points)
    return phase(activation, weight_gain=gains, bias_std=bias_std)


def _evenly(name: str, interval: Interval, count: int, *, squares: bool = False) -> FloatArray:
    """Return `count` values from low to high, evenly spaced, or with evenly spaced squares."""
    low, high = (number(name, end, 0.0, MAX_SCALE) for end in interval)
    if not low < high:
        raise InvalidValueError(name, f"{low:g}:{high:g}", "LOW:HIGH with LOW below HIGH")
    if squares:
        return np.sqrt(np.linspace(low * low, high * high, count))
    return np.linspace(low, high, count)


def correlation_curve(
    activation: str,
    *,
    weight_gain: float = 1.0,
    bias_std: float = 0.0,
    second_moment: float | None = None,
    points: int = 201,
) -> CorrelationCurve:
    """Return the correlation map on [-1, 1] at one second moment q of the pre-activations.

    q defaults to that of a fixed point, a stable one if there is one, and to 1 if 0 is the only
    one. The fixed points are those of this correlation map, even if q is not a fixed point of
    q → q'. There are none if no signal is left. Raises the errors of `correlation_map`.
    """
    entry = resolve(activation)
    parameters = {"weight_gain": weight_gain, "bias_std": bias_std}
    if second_moment is None:
        found = fixed_points(activation, map="ensemble", **parameters)
        places = [weight_gain**2 * point.second_moment + bias_std**2 for point in found]
        second_moment = next((place for place in places if place > 0), 1.0)
    correlations = np.linspace(-1.0, 1.0, points)
    images = correlation_map(activation, correlations, second_moment, **parameters)
    image = ensemble_image(entry, second_moment, weight_gain**2, bias_std)
    points_here: tuple[CorrelationFixedPoint, ...] = ()
    if second_moment > 0 and image > 0:
        settled = math.isclose(image, second_moment, rel_tol=1e-9)
        points_here = correlation_fixed_points(
            entry, second_moment, weight_gain, bias_std, None if settled else image
        )
        if entry.odd and bias_std == 0:
            # An odd map has odd fixed points. Other maps have none below 0, because the terms of
            # their series in c are not negative.
            below = [replace(point, value=-point.value) for point in points_here if point.value > 0]
            points_here = (*reversed(below), *points_here)
    return CorrelationCurve(
        entry.name,
        weight_gain,
        bias_std,
        second_moment,
        correlations,
        images,
        points_here,
    )
