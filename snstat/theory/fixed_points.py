"""Fixed points of either map, and everything `snstat fixedpoint` reports about them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import MappingProxyType

import numpy as np

from snstat.activation import ALPHA, LAMBDA, Activation, Pair, resolve, selu_with
from snstat.errors import InvalidValueError, UnknownNameError
from snstat.gaussian.quadrature import FloatArray
from snstat.layers.initialisers import INITIALISERS
from snstat.limits import MAX_SCALE
from snstat.results import FixedPoint, FixedPointReport
from snstat.theory.ensemble import find_ensemble
from snstat.theory.maps import ensemble_moments, unit_moments
from snstat.theory.search import Search
from snstat.theory.solve import solve_selu
from snstat.theory.theorems import theorem_domain
from snstat.theory.unit import find_unit
from snstat.values import integer, number

MAPS = ("ensemble", "unit")
# The largest depth of a trajectory, which holds two numbers a layer.
MAX_STEPS = 10**6


def fixed_points(
    activation: str | Pair,
    *,
    map: str | None = None,  # noqa: A002  # the word of the contract
    weight_gain: float | None = None,
    bias_std: float | None = None,
    weight_sum: float | None = None,
    weight_square_sum: float | None = None,
) -> list[FixedPoint]:
    """Return the fixed points of the unit or the ensemble map, stable ones first, then by variance.

    `map` is "ensemble" (the default) or "unit". The ensemble map takes `weight_gain` (default: the
    gain of the activation's initialiser) and `bias_std` (default 0). The unit map takes
    `weight_sum` (default 0) and `weight_square_sum` (default 1); giving either chooses the unit
    map. Where every second moment is a fixed point of the ensemble map (ReLU at gain √2), the one
    with pre-activation second moment 1 represents them. Lines of fixed points of the unit map are
    left out. `analyse` reports both cases.

    Raises UnknownNameError, and InvalidValueError for bad values or parameters of the other map.
    """
    return list(
        analyse(
            activation,
            map=map,
            weight_gain=weight_gain,
            bias_std=bias_std,
            weight_sum=weight_sum,
            weight_square_sum=weight_square_sum,
        ).fixed_points
    )


def analyse(
    activation: str | Pair,
    *,
    map: str | None = None,  # noqa: A002
    weight_gain: float | None = None,
    bias_std: float | None = None,
    weight_sum: float | None = None,
    weight_square_sum: float | None = None,
    target_mean: float | None = None,
    target_variance: float | None = None,
    start: tuple[float, float] | None = None,
    depth: int = 64,
) -> FixedPointReport:
    """Return everything about the fixed points of one map. See `fixed_points` for the parameters.

    `target_mean` and `target_variance` ask for the SELU parameters that give the unit map this
    fixed point. If only one is given, the other is 0 for the mean and 1 for the variance. The
    report is then that of the SELU with these parameters. `start` (mean, variance) asks for the
    trajectory of `depth` layers from there. Raises the errors of `fixed_points`, `solve_selu` and
    `trajectory`, and InvalidValueError for a target of another activation or of the ensemble map.
    """
    entry = resolve(activation)
    targeted = target_mean is not None or target_variance is not None
    if targeted:
        map = _map_of_target(entry.name, map)  # noqa: A001
    chosen, parameters = resolve_map(
        entry, map, weight_gain, bias_std, weight_sum, weight_square_sum
    )
    solved = None
    if targeted:
        alpha, scale = solve_selu(
            0.0 if target_mean is None else target_mean,
            1.0 if target_variance is None else target_variance,
            **parameters,
        )
        solved = MappingProxyType({"alpha": alpha, "lambda": scale})
        if not (_same(alpha, ALPHA) and _same(scale, LAMBDA)):
            entry = selu_with(alpha, scale)
    path = None
    if start is not None:
        steps = _follow(entry, chosen, parameters, *start, depth)
        path = tuple((float(mean), float(variance)) for mean, variance in steps)
    domain = None
    search: Search
    if chosen == "unit":
        search = find_unit(entry, **parameters)
        if entry is resolve("selu"):
            found = search.fixed_points
            places = [start] if start is not None else [(p.mean, p.variance) for p in found]
            domains = [theorem_domain(mean, variance, **parameters) for mean, variance in places]
            domain = next((name for name in domains if name is not None), None)
    else:
        search = find_ensemble(entry, parameters["weight_gain"], parameters["bias_std"])
    return FixedPointReport(
        activation=entry.name,
        map=chosen,
        parameters=MappingProxyType(parameters),
        fixed_points=search.fixed_points,
        continuum=search.continuum,
        at_infinity=search.at_infinity,
        theorem_domain=domain,
        solved=solved,
        trajectory=path,
    )


def _map_of_target(activation: str, chosen: str | None) -> str:
    """Return "unit", the map of every target; raise for another map or activation."""
    if activation != "selu":
        raise InvalidValueError(
            "activation", activation, "selu", "a target fixed point can be solved for SELU only"
        )
    if chosen == "ensemble":
        raise InvalidValueError(
            "map",
            chosen,
            "unit, or left out, with a target",
            "a target is a fixed point of the unit map",
        )
    return "unit" if chosen is None else chosen


def _same(solved: float, known: float) -> bool:
    """Return whether a solved parameter equals SELU's own, within the accuracy of the solution."""
    return math.isclose(solved, known, rel_tol=1e-13)


def trajectory(
    activation: str | Pair,
    mean: float,
    variance: float,
    depth: int,
    *,
    map: str | None = None,  # noqa: A002
    weight_gain: float | None = None,
    bias_std: float | None = None,
    weight_sum: float | None = None,
    weight_square_sum: float | None = None,
) -> FloatArray:
    """Return (mean, variance) from the start through `depth` layers, shape (depth + 1, 2).

    Rows are NaN once the signal is too large for a double. Raises the errors of `fixed_points`.
    """
    entry = resolve(activation)
    chosen, parameters = resolve_map(
        entry, map, weight_gain, bias_std, weight_sum, weight_square_sum
    )
    return _follow(entry, chosen, parameters, mean, variance, depth)


def _follow(
    entry: Activation,
    chosen: str,
    parameters: Mapping[str, float],
    mean: float,
    variance: float,
    depth: int,
) -> FloatArray:
    step = unit_moments if chosen == "unit" else ensemble_moments
    depth = integer("depth of a trajectory", depth, 0, MAX_STEPS)
    path = np.full((depth + 1, 2), np.nan)
    path[0] = number("mean", mean), number("variance", variance, 0.0)
    for layer in range(depth):
        try:
            path[layer + 1] = step(entry, *path[layer].tolist(), **parameters)
        except InvalidValueError:
            if layer == 0:
                raise
            break
        if (path[layer + 1] == path[layer]).all():
            path[layer + 1 :] = path[layer]
            break
    return path


def resolve_map(
    activation: Activation,
    chosen: str | None,
    weight_gain: float | None,
    bias_std: float | None,
    weight_sum: float | None,
    weight_square_sum: float | None,
) -> tuple[str, dict[str, float]]:
    """Return the chosen map and its parameters with defaults; raise where they contradict."""
    of_unit = {"weight_sum": weight_sum, "weight_square_sum": weight_square_sum}
    of_ensemble = {"weight_gain": weight_gain, "bias_std": bias_std}
    if chosen is None:
        chosen = "unit" if _given(of_unit) else "ensemble"
    if chosen not in MAPS:
        raise UnknownNameError("map", chosen, MAPS)
    foreign = _given(of_ensemble if chosen == "unit" else of_unit)
    if foreign:
        other = "ensemble" if chosen == "unit" else "unit"
        value = (of_unit | of_ensemble)[foreign[0]]
        raise InvalidValueError(
            foreign[0], value, f"absent with the {chosen} map", f"it belongs to the {other} map"
        )
    if chosen == "unit":
        return chosen, {
            "weight_sum": 0.0
            if weight_sum is None
            else number("weight_sum", weight_sum, -MAX_SCALE, MAX_SCALE),
            "weight_square_sum": 1.0
            if weight_square_sum is None
            else number("weight_square_sum", weight_square_sum, 0.0, MAX_SCALE),
        }
    if weight_gain is None:
        # The default initialisers' gain does not depend on the fan.
        weight_gain = activation.default_gain
        if weight_gain is None:
            weight_gain = INITIALISERS[activation.default_init].square_gain(1, 1) ** 0.5
    return chosen, {
        "weight_gain": number("weight_gain", weight_gain, 0.0, MAX_SCALE),
        "bias_std": 0.0 if bias_std is None else number("bias_std", bias_std, 0.0, MAX_SCALE),
    }


def _given(values: Mapping[str, float | None]) -> list[str]:
    return [name for name, value in values.items() if value is not None]
