"""The mean of a statistic over cells that differ in their seed, with its standard error."""

from __future__ import annotations

import math

import numpy as np

from snstat.results import FloatArray


def mean_over_seeds(
    estimates: FloatArray, stderrs: FloatArray, *, logarithmic: bool = False
) -> tuple[float, float]:
    """Return the mean of `estimates` (cells,) of independent cells and its standard error.

    The error follows from those of the cells, √(Σ s²)/n: two or three seeds say little of their own
    spread. The spread is used where a cell has no error, as one of a single trial. NaN stands for
    an error that is not known. If `logarithmic`, the mean is geometric and `stderrs` are those of
    logarithms. Without estimates both are NaN.
    """
    number = len(estimates)
    if not number:
        return math.nan, math.nan
    with np.errstate(all="ignore"):
        values = np.log(estimates) if logarithmic else estimates
        mean = float(values.mean())
        if np.isfinite(stderrs).all():
            error = math.hypot(*stderrs.tolist()) / number
        elif number > 1:
            error = float(values.std(ddof=1)) / math.sqrt(number)
        else:
            error = math.nan
        if logarithmic:
            mean = float(np.exp(mean))
            error *= mean
    return mean, error
