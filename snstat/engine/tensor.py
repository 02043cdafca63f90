"""The statistics of one array, whatever its axes mean and however it lies in memory."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from snstat.engine.tensor_layout import POSITION, SAMPLE, UNIT, Arranged, Array, arranged
from snstat.results.statistic import MEASURED

# The statistics of an array, in the order of `measure`.
MEASURED_OF_TENSORS = (*MEASURED, "variance_over_positions", "position_cosine")
_AT = {name: place for place, name in enumerate(MEASURED_OF_TENSORS)}

# Ratios of squares beyond these are not precise.
_LEAST, _LARGEST = float(np.finfo(np.float64).tiny), float(np.finfo(np.float64).max)
# A standard deviation below this share of the mean is rounding of a constant.
_ROUNDING = 8 * float(np.finfo(np.float64).eps)


@dataclass(frozen=True)
class Still:
    """Where the derivative of an activation is 0, told by its values: ≤ `low` or ≥ `high`. It is
    nearly 0 where they are ≤ `nearly_low` or ≥ `nearly_high`. NaN where that is not told."""

    low: float = math.nan
    high: float = math.nan
    nearly_low: float = math.nan
    nearly_high: float = math.nan


NOT_TOLD = Still()


def measure(array: Array, roles: str | None, still: Still = NOT_TOLD) -> tuple[bool, Array]:
    """Return whether all values of `array` are finite, and its statistics (MEASURED_OF_TENSORS).

    `array` is float32 or float64 and not empty. `roles` has a letter for each axis: S for samples,
    P for positions, U for units; None if that is not known, and then only statistics of all values
    together are measured. A statistic that is not defined is NaN; so are all if a value is not
    finite.
    """
    from snstat.engine.kernels import tensors

    out = np.full(len(MEASURED_OF_TENSORS), math.nan)
    matrices = arranged(array, roles)
    flat, layout = matrices.flat, _layout(matrices)
    norms, sums = np.zeros(layout.samples), np.zeros(tensors.SUMS)
    most = np.zeros(min(layout.columns, tensors.BLOCK), flat.dtype)
    some = flat if matrices.dense else flat[: layout.columns]
    sums[tensors.ANCHOR] = some[:: max(some.size // 64, 1)].mean(dtype=np.float64)
    add = tensors.units_last if matrices.last else tensors.units_first
    add(flat, layout, most, norms, sums)
    if not np.isfinite(sums).all() and not np.isfinite(array).all():
        return False, out
    _pooled(array.size, sums, out)
    out[_AT["largest"]] = most.max()
    if roles is None:
        return True, out
    _within(matrices, roles, sums, out)
    if SAMPLE in roles:
        _between(matrices, norms, out)
    if UNIT in roles:
        _units(matrices, array, still, out)
    return True, out


def square_norm(array: Array) -> float:
    """Return the sum of squares of an array of float32 or float64."""
    from snstat.engine.kernels import tensors

    return float(tensors.squares(arranged(array, None).flat))


def _layout(matrices: Arranged) -> Any:
    """Return the layout as kernels take it."""
    from snstat.engine.kernels.tensors import Layout

    steps = matrices.sample_step, matrices.row_step
    return Layout(matrices.samples, matrices.rows, matrices.columns, *steps)


def _pooled(size: int, sums: Array, out: Array) -> None:
    """Write the statistics of all values together."""
    from snstat.engine.kernels import tensors

    anchor, squares = sums[tensors.ANCHOR], sums[tensors.SQUARES]
    first, second, third, fourth = sums[tensors.POWER_1 : tensors.POWER_4 + 1] / size
    mean = anchor + first
    variance = max(second - first * first, 0.0)
    if variance <= (_ROUNDING * mean) ** 2:
        variance = 0.0
    out[_AT["mean"]], out[_AT["variance"]] = mean, variance
    out[_AT["second_moment"]] = squares / size
    central = fourth - 4.0 * first * third + 6.0 * first**2 * second - 3.0 * first**4
    if variance > 0.0 and _LEAST <= central <= _LARGEST:
        out[_AT["kurtosis"]] = central / variance / variance


def _within(matrices: Arranged, roles: str, sums: Array, out: Array) -> None:
    """Write what varies within samples: over units and over positions."""
    from snstat.engine.kernels import tensors

    size = matrices.samples * matrices.rows * matrices.columns
    columns, rows = (max(sums[at], 0.0) / size for at in (tensors.COLUMNS, tensors.ROWS))
    over_units, over_positions = (rows, columns) if matrices.last else (columns, rows)
    if UNIT in roles:
        out[_AT["variance_over_units"]] = over_units
    if POSITION in roles and matrices.positions > 1:
        out[_AT["variance_over_positions"]] = over_positions
        if sums[tensors.PAIRS] > 0 and UNIT in roles:
            out[_AT["position_cosine"]] = sums[tensors.ALIGNED] / sums[tensors.PAIRS]


def _between(matrices: Arranged, norms: Array, out: Array) -> None:
    """Write what varies between samples. A sample of zeros has no angle."""
    from snstat.engine.kernels import tensors

    batch, joined = matrices.samples, matrices
    zero = np.array([norm == 0.0 and not matrices.sample(a).any() for a, norm in enumerate(norms)])
    out[_AT["zero_samples"]] = zero.mean()
    if batch < 2:
        return
    own = norms[~zero]
    sound = own.size > 1 and bool(((own >= _LEAST) & (own <= _LARGEST)).all())
    scales = np.zeros(batch)
    if sound:
        scales[~zero] = 1.0 / np.sqrt(own)
    if matrices.row_step == matrices.columns:  # rows side by side are one
        layout = _layout(matrices)._replace(rows=1, columns=matrices.rows * matrices.columns)
    else:
        layout = _layout(joined)
    about, resultant = tensors.over_samples(matrices.flat, layout, scales)
    size = batch * matrices.rows * matrices.columns
    out[_AT["variance_over_batch"]] = max(about, 0.0) / size
    if sound:
        # |sum of n unit vectors|² = n + n (n − 1) · mean cosine
        out[_AT["cosine"]] = (resultant - own.size) / (own.size * (own.size - 1.0))


def _units(matrices: Arranged, array: Array, still: Still, out: Array) -> None:
    """Write the share of units that stay still, and of values where the derivative nearly is 0."""
    from snstat.engine.kernels import tensors

    if not math.isnan(still.low) or array.size > matrices.units:
        layout = _layout(matrices)
        count = tensors.still_units(matrices.flat, layout, matrices.last, still.low, still.high)
        out[_AT["dead_fraction"]] = count / matrices.units
    if not math.isnan(still.nearly_low):
        flat = matrices.flat if matrices.dense else np.ascontiguousarray(array).reshape(-1)
        count = tensors.beyond(flat, still.nearly_low, still.nearly_high)
        out[_AT["saturated_fraction"]] = count / array.size
