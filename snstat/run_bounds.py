"""Whether what a saved run holds can be: every statistic by its definition, and one by another."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from snstat.form import FormError
from snstat.results import RANGES, ROUNDING, BoolArray, FloatArray, Simulation, Statistic, within

# (part, whole): of any numbers the first is no larger than the second, and so are the means of both
# over trials. Variance within samples or units is a part of that of all (law of total variance).
PARTS = (
    ("variance", "second_moment"),
    ("variance_over_batch", "variance"),
    ("variance_over_units", "variance"),
)
# The square of the smallest normal float32: smaller activations have lost digits.
LEAST = float(np.finfo(np.float32).tiny) ** 2


def require_possible(statistics: Mapping[str, Statistic], simulation: Simulation) -> None:
    """Raise FormError for the first number that no network has.

    Estimates, theory and what is expected at the width simulated lie in the range of the
    statistic; standard errors are those of means over trials of values in that range.
    """
    for name, column in statistics.items():
        low, high = within(name)
        for key in ("estimate", "theory", "expected"):
            values = getattr(column, key)
            _refuse(f"{name}.{key}", values, (values < low) | (values > high), _range(name))
        for key in ("stderr", "neglected"):
            values = getattr(column, key)
            _refuse(f"{name}.{key}", values, values < 0, "at least 0")
        if math.isfinite(high - low) and simulation.trials > 1:
            # Trials of which half lie at either end spread most.
            most = (high - low) / 2.0 / math.sqrt(simulation.trials - 1.0)
            bound = f"at most {most:.4g}, over {simulation.trials:,} trials"
            _refuse(f"{name}.stderr", column.stderr, column.stderr > most, bound)
    _require_consistent(statistics)


def _require_consistent(statistics: Mapping[str, Statistic]) -> None:
    """Raise FormError where one estimate contradicts another of the same layer."""
    second = statistics["second_moment"].estimate
    # Small numbers, and their squares, have lost digits to underflow, or are 0.
    slack = ROUNDING * second + LEAST
    for name, whole in PARTS:
        part, all_of_it = statistics[name].estimate, statistics[whole].estimate
        bound = f"at most the {whole.replace('_', ' ')} of the layer"
        _refuse(f"{name}.estimate", part, part > all_of_it + slack, bound)
    mean = statistics["mean"].estimate
    beyond = np.abs(mean) > np.sqrt(second + LEAST) * (1.0 + ROUNDING)
    _refuse("mean.estimate", mean, beyond, "at most the root of the second moment of the layer")


def _refuse(name: str, values: FloatArray, bad: BoolArray, bound: str) -> None:
    """Raise FormError for the first of `values` (layers,) that is `bad`."""
    where = np.flatnonzero(bad)
    if where.size:
        layer = int(where[0])
        raise FormError(f"{name} is {values[layer]:g} in layer {layer}, but must be {bound}")


def _range(name: str) -> str:
    low, high = RANGES.get(name, (-math.inf, math.inf))
    return f"at least {low:g}" if high == math.inf else f"from {low:g} to {high:g}"
