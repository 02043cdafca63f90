"""The values of each trial of a saved run, parsed from JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from snstat.files.form import FormError, entries_of, entry_of, list_of, number_of
from snstat.results import FloatArray, Statistic, within

# Relative tolerance. Means of the same numbers, summed in any order, agree far better.
AGREE = 1e-9


def with_trials(
    form: Any, statistics: Mapping[str, Statistic], trials: int
) -> dict[str, Statistic]:
    """Return `statistics` with the values of each of `trials` trials.

    `form` maps the name of every statistic to a list of `trials` lists, a number or null for each
    layer. Raises FormError for another shape, an impossible value, and an estimate that is
    not the mean of its trials.
    """
    entries = entries_of("trials", form)
    return {
        name: replace(column, trials=_array(name, entries, column, trials))
        for name, column in statistics.items()
    }


def _array(name: str, entries: dict[str, Any], column: Statistic, trials: int) -> FloatArray:
    """Return the values (trials, layers) of one statistic."""
    label = f"trials.{name}"
    entry_of("trials", entries, name)
    rows, layers = list_of(name, entries), len(column.estimate)
    if len(rows) != trials or not all(isinstance(row, list) and len(row) == layers for row in rows):
        raise FormError(f"{label} must be {trials:,} lists, each of {layers:,} numbers or nulls")
    values = np.array([[number_of(label, value) for value in row] for row in rows], np.float64)
    low, high = within(name)
    bad = np.argwhere((values < low) | (values > high))
    if bad.size:
        trial, layer = bad[0]
        seen, bound = values[trial, layer], f"from {low:g} to {high:g}"
        raise FormError(f"{label} is {seen:g} in trial {trial}, layer {layer}, but must be {bound}")
    _require_mean(label, values, column)
    return values


def _require_mean(label: str, values: FloatArray, column: Statistic) -> None:
    """Raise FormError where the estimate is not the mean of its trials. NaN is not compared."""
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        of = np.log(values) if column.logarithmic else values
        told = np.log(column.estimate) if column.logarithmic else column.estimate
        slack = AGREE * np.maximum(np.abs(of).max(axis=0), 1.0 if column.logarithmic else 0.0)
        bad = np.flatnonzero(np.abs(of.mean(axis=0) - told) > slack)
    if bad.size:
        raise FormError(f"the mean of {label} is not the estimate in layer {bad[0]}")
