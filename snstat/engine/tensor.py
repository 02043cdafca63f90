"""The statistics of one array, whatever its axes mean and however it lies in memory."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from snstat.engine.tensor_layout import Array, arranged
from snstat.results.statistic import MEASURED, OF_POSITIONS

# The statistics of an array, in the order of `measure`.
MEASURED_OF_TENSORS = (*MEASURED, *OF_POSITIONS)


@dataclass(frozen=True)
class Still:
    """Where the derivative of an activation is 0, told by its values: ≤ `low` or ≥ `high`. It is
    nearly 0 where they are ≤ `nearly_low` or ≥ `nearly_high`. NaN where that is not told."""

    low: float = math.nan
    high: float = math.nan
    nearly_low: float = math.nan
    nearly_high: float = math.nan

    @cached_property
    def bounds(self) -> Array:
        """All of them as kernels take them."""
        return np.array((self.low, self.high, self.nearly_low, self.nearly_high), np.float64)


NOT_TOLD = Still()


def measure(array: Array, roles: str | None, still: Still = NOT_TOLD) -> tuple[bool, Array]:
    """Return whether all values of `array` are finite, and its statistics (MEASURED_OF_TENSORS).

    `array` is float32 or float64 and not empty. `roles` has a letter for each axis: S for samples,
    P for positions, U for units; None if that is not known, and then only statistics of all values
    together are measured. A statistic that is not defined is NaN; so are all if a value is not
    finite.
    """
    from snstat.engine.kernels import tensor_statistics as kernels

    flat, plan = arranged(array, roles)
    out = np.empty(len(MEASURED_OF_TENSORS))
    with np.errstate(all="ignore"):  # kernels that are not compiled would warn of infinity
        finite = kernels.measure(flat, plan.layout, plan.knows, still.bounds, out)
    return bool(finite), out


def square_norm(array: Array) -> float:
    """Return the sum of squares of an array of float32 or float64."""
    from snstat.engine.kernels import tensor_statistics as kernels

    return float(kernels.squares(arranged(array, None)[0]))
