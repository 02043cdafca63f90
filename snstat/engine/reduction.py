"""The statistics of all trials reduced to estimates and standard errors, rounding left out."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from snstat.results import MEASURED, BoolArray, FloatArray

# Numbers below this are scaled before they are squared.
_TINY = 1e-140
# A standard error below this share of what it is measured by is the rounding of float64 sums.
ROUNDING = 1e-14
MEAN, SECOND, COSINE = (MEASURED.index(name) for name in ("mean", "second_moment", "cosine"))
OVER_BATCH = MEASURED.index("variance_over_batch")
# What is a difference of squares, whose rounding is that of the squares.
OF_SQUARES = [MEASURED.index(name) for name in ("variance", "variance_over_units")]


def reduced(
    values: FloatArray, finite: BoolArray, first: int, dtype: np.dtype[Any]
) -> tuple[FloatArray, FloatArray, BoolArray]:
    """Return estimate, stderr (layers, statistics) and finite (layers,) of per-trial `values`
    (trials, layers, statistics) of a network of `dtype` from layer `first` on.

    A statistic that is undefined in any trial is missing, because the mean over the others would be
    biased. Where trials differ by rounding alone, their standard error is 0.
    """
    trials = len(values)
    with np.errstate(invalid="ignore", over="ignore"):
        estimate = values.mean(axis=0)
        stderr = np.full_like(estimate, math.nan)
        if trials > 1:
            stderr = values.std(axis=0, ddof=1) / math.sqrt(trials)
            tiny = (np.abs(estimate) < _TINY) & (estimate != 0)
            if tiny.any():  # squares of deviations may underflow
                size = np.abs(values[:, tiny]).max(axis=0)
                stderr[tiny] = size * (values[:, tiny] / size).std(axis=0, ddof=1)
                stderr[tiny] /= math.sqrt(trials)
            stderr[stderr <= _rounding(estimate, first, dtype)] = 0.0
    return estimate, stderr, np.asarray(finite.all(axis=0))


def _rounding(estimate: FloatArray, first: int, dtype: np.dtype[Any]) -> FloatArray:
    """Return by how much trials differ that share a value, such as the inputs of a file or the
    cosine of samples that are alike, (layers, statistics)."""
    found = ROUNDING * np.abs(estimate)
    square = np.abs(estimate[:, SECOND])
    found[:, MEAN] = ROUNDING * np.sqrt(square)
    for column in OF_SQUARES:
        found[:, column] = ROUNDING * square
    # Samples that are alike are rounded apart, anew in every layer: the squares of the differences
    # add up.
    apart = float(np.finfo(dtype).eps) ** 2 * (1.0 + first + np.arange(len(estimate)))
    found[:, COSINE] = ROUNDING + apart
    found[:, OVER_BATCH] = np.maximum(found[:, OVER_BATCH], apart * square)
    return found
