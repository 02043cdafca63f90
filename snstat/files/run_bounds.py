"""Checks that the numbers of a saved run are possible, alone and relative to each other."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from snstat.files.form import FormError
from snstat.results import (
    GRADIENT,
    RANGES,
    ROUNDING,
    BoolArray,
    FloatArray,
    Simulation,
    Statistic,
    within,
)
from snstat.results.base import IntArray

# (part, whole): the part is at most the whole, in every trial and so in the mean over trials.
# Variance over the batch, over units or over positions is at most the variance (law of total
# variance).
PARTS = (
    ("variance", "second_moment"),
    ("variance_over_batch", "variance"),
    ("variance_over_units", "variance"),
    ("variance_over_positions", "variance"),
)
# The square of the smallest normal float32: smaller activations have lost digits.
LEAST = float(np.finfo(np.float32).tiny) ** 2
# Theory is computed to better than this, relative to the second moment.
OF_THEORY = 1e-3


def require_possible(
    statistics: Mapping[str, Statistic], simulation: Simulation, had: IntArray
) -> None:
    """Raise FormError for the first impossible number; `had` (layers,) trials had each layer.

    Estimates, theory and expected values at the simulated width lie in the range of the statistic.
    A standard error is that of a mean over trials of values in that range. One sample has no
    cosine.
    """
    for name, column in statistics.items():
        low, high = within(name)
        for key in ("estimate", "theory", "expected"):
            values = getattr(column, key)
            _refuse(f"{name}.{key}", values, (values < low) | (values > high), _range(name))
        for key in ("stderr", "neglected"):
            values = getattr(column, key)
            _refuse(f"{name}.{key}", values, values < 0, "at least 0")
    if simulation.batch == 1:  # there are no pairs of samples
        for key in ("estimate", "theory", "expected"):
            values = getattr(statistics["cosine"], key)
            there = ~np.isnan(values)
            there[0] = False  # older files expect 0 of the input
            _refuse(f"cosine.{key}", values, there, "null for a batch of 1")
    for key, share in (("estimate", ROUNDING), ("theory", OF_THEORY)):
        _require_consistent(statistics, key, share)
    if simulation.trials > 1:
        for name, column in statistics.items():
            _require_error(name, column, statistics["second_moment"].estimate, had)


def require_definitions(statistics: Mapping[str, Statistic], batch: int) -> None:
    """Raise FormError for a number that contradicts its definition, for `batch` samples that pass
    all layers. What modules do with their samples is not known.

    The gradient is relative to that of the last layer. The mean cosine of all pairs of n vectors is
    at least −1/(n − 1), because the sum of n unit vectors has a square of at least 0.
    """
    if GRADIENT in statistics:
        gradient = statistics[GRADIENT].estimate
        bad = np.abs(gradient - 1.0) > ROUNDING
        bad[:-1] = False
        _refuse(f"{GRADIENT}.estimate", gradient, bad, "1 in the last layer")
    if "largest" in statistics:
        mean, largest = (statistics[name].estimate for name in ("mean", "largest"))
        bound = "at least the absolute value of the mean of the layer"
        bad = np.abs(mean) > largest * (1.0 + ROUNDING) + LEAST
        _refuse("largest.estimate", largest, bad, bound)
    if batch > 1 and "zero_samples" in statistics:
        cosine, low = statistics["cosine"].estimate, -1.0 / (batch - 1)
        # Samples that are 0 are left out, in some trials perhaps all but two.
        bad = (cosine < low - ROUNDING) & (statistics["zero_samples"].estimate == 0)
        _refuse("cosine.estimate", cosine, bad, f"at least {low:.4g} for {batch:,} samples")


def _require_error(name: str, column: Statistic, second: FloatArray, trials: IntArray) -> None:
    """Raise FormError for a standard error that as many `trials` (layers,) of the statistic cannot
    have.

    With n trials, it is largest between two bounds if half of the values lie at each: half of their
    distance over √(n − 1). Above one bound it is largest if all values but one lie there: it is
    then the mean's distance from the bound. The square of a mean is at most the second moment.
    """
    low, high = RANGES.get(name, (-math.inf, math.inf))
    slack = ROUNDING * np.abs(column.estimate) + LEAST
    freedom = np.maximum(trials, 2) - 1.0  # one trial has no error
    if column.logarithmic:
        span = math.log(np.finfo(np.float64).max) - math.log(
            np.finfo(np.float64).smallest_subnormal
        )
        most = span / 2.0 / np.sqrt(freedom)
    elif math.isfinite(high - low):
        most = (high - low) / 2.0 / np.sqrt(freedom) + ROUNDING
    elif math.isfinite(low):
        most = column.estimate - low + slack
    else:
        most = np.sqrt(second / freedom) * (1.0 + ROUNDING) + math.sqrt(LEAST)
    bad = np.flatnonzero(column.stderr > most)
    if bad.size:
        bound = f"at most {most[bad[0]]:.4g} for {trials[bad[0]]:,} trials"
        _refuse(f"{name}.stderr", column.stderr, column.stderr > most, bound)


def _require_consistent(statistics: Mapping[str, Statistic], key: str, share: float) -> None:
    """Raise FormError where a number of the column `key` contradicts another of the same layer by
    more than a `share` of the second moment."""
    second = getattr(statistics["second_moment"], key)
    # Small numbers and their squares lose digits to underflow, or become 0.
    slack = share * second + LEAST
    for name, whole in PARTS:
        if name not in statistics:
            continue
        part, all_of_it = getattr(statistics[name], key), getattr(statistics[whole], key)
        bound = f"at most the {whole.replace('_', ' ')} of the layer"
        _refuse(f"{name}.{key}", part, part > all_of_it + slack, bound)
    mean = getattr(statistics["mean"], key)
    beyond = np.abs(mean) > np.sqrt(second + LEAST) * (1.0 + share)
    bound = "at most the square root of the second moment of the layer"
    _refuse(f"mean.{key}", mean, beyond, bound)


def _refuse(name: str, values: FloatArray, bad: BoolArray, bound: str) -> None:
    """Raise FormError for the first of `values` (layers,) that is `bad`."""
    where = np.flatnonzero(bad)
    if where.size:
        layer = int(where[0])
        raise FormError(f"{name} is {values[layer]:g} in layer {layer}, but must be {bound}")


def _range(name: str) -> str:
    low, high = RANGES.get(name, (-math.inf, math.inf))
    return f"at least {low:g}" if high == math.inf else f"from {low:g} to {high:g}"
