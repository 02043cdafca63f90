"""Checks that the numbers of a saved run are possible, alone and relative to each other."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from snstat.files.form import FormError
from snstat.results import RANGES, ROUNDING, BoolArray, FloatArray, Simulation, Statistic, within

# (part, whole): the part is at most the whole, in every trial and so in the mean over trials.
# Variance over the batch or over units is at most the variance (law of total variance).
PARTS = (
    ("variance", "second_moment"),
    ("variance_over_batch", "variance"),
    ("variance_over_units", "variance"),
)
# The square of the smallest normal float32: smaller activations have lost digits.
LEAST = float(np.finfo(np.float32).tiny) ** 2


def require_possible(statistics: Mapping[str, Statistic], simulation: Simulation) -> None:
    """Raise FormError for the first impossible number.

    Estimates, theory and expected values at the simulated width lie in the range of the statistic.
    A standard error is that of a mean over trials of values in that range.
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
            # The standard error is largest if half of the trials lie at each end of the range.
            most = (high - low) / 2.0 / math.sqrt(simulation.trials - 1.0)
            bound = f"at most {most:.4g} for {simulation.trials:,} trials"
            _refuse(f"{name}.stderr", column.stderr, column.stderr > most, bound)
    _require_consistent(statistics)


def _require_consistent(statistics: Mapping[str, Statistic]) -> None:
    """Raise FormError where one estimate contradicts another of the same layer."""
    second = statistics["second_moment"].estimate
    # Small numbers and their squares lose digits to underflow, or become 0.
    slack = ROUNDING * second + LEAST
    for name, whole in PARTS:
        part, all_of_it = statistics[name].estimate, statistics[whole].estimate
        bound = f"at most the {whole.replace('_', ' ')} of the layer"
        _refuse(f"{name}.estimate", part, part > all_of_it + slack, bound)
    mean = statistics["mean"].estimate
    beyond = np.abs(mean) > np.sqrt(second + LEAST) * (1.0 + ROUNDING)
    bound = "at most the square root of the second moment of the layer"
    _refuse("mean.estimate", mean, beyond, bound)


def _refuse(name: str, values: FloatArray, bad: BoolArray, bound: str) -> None:
    """Raise FormError for the first of `values` (layers,) that is `bad`."""
    where = np.flatnonzero(bad)
    if where.size:
        layer = int(where[0])
        raise FormError(f"{name} is {values[layer]:g} in layer {layer}, but must be {bound}")


def _range(name: str) -> str:
    low, high = RANGES.get(name, (-math.inf, math.inf))
    return f"at least {low:g}" if high == math.inf else f"from {low:g} to {high:g}"
