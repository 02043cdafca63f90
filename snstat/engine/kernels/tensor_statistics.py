"""The statistics of a tensor: from its sums, and the units whose derivative is 0."""

from __future__ import annotations

import math

import numpy as np

from snstat.engine.kernels.jit import inner, jit
from snstat.engine.kernels.tensors import (
    ALIGNED,
    ANCHOR,
    BLOCK,
    COLUMNS,
    PAIRS,
    POWER_1,
    POWER_2,
    POWER_3,
    POWER_4,
    ROWS,
    SQUARES,
    SUMS,
    Layout,
    over_samples,
    units_first,
    units_last,
)

f64 = np.float64
# Ratios of squares beyond these are not precise.
LEAST, LARGEST = float(np.finfo(f64).tiny), float(np.finfo(f64).max)
# A standard deviation below this share of the mean is the rounding of a constant.
ROUNDING = 8.0 * float(np.finfo(f64).eps)
# The values of which the mean is the anchor of powers.
SPREAD = 64


@jit
def measure(flat, layout, knows, still, out):
    """Write the statistics of a tensor to `out` (13,), NaN where undefined; return whether all its
    values are finite.

    `layout` (5,) are the sizes and steps of a Layout. `knows` (3,) says whether units are columns,
    whether there are samples, and whether there are units. `still` (4,) are the values at and
    beyond which a derivative is 0, and those at and beyond which it is nearly 0; NaN if untold.
    """
    own = Layout(layout[0], layout[1], layout[2], layout[3], layout[4])
    last, samples, units = knows[0], knows[1], knows[2]
    norms, sums = np.zeros(own.samples), np.zeros(SUMS)
    most = np.zeros(BLOCK, flat.dtype)
    sums[ANCHOR] = anchor_of_all(flat, own)
    if last:
        units_last(flat, own, most, norms, sums)
    else:
        units_first(flat, own, most, norms, sums)
    out[:] = math.nan
    bad = 0
    for i in range(SUMS):
        bad += not abs(sums[i]) < math.inf
    if bad > 0 and not all_finite(flat, own):
        return False
    size = f64(own.samples) * own.rows * own.columns
    pooled(size, sums, out)
    out[10] = most.max()
    if units:
        out[4] = max(sums[ROWS if last else COLUMNS], 0.0) / size
        count, each = (own.columns, own.rows) if last else (own.rows, own.columns)
        if not math.isnan(still[0]) or own.samples * each > 1:
            out[7] = f64(still_units(flat, own, last, still[0], still[1])) / count
        if not math.isnan(still[2]):
            out[9] = f64(beyond(flat, own, still[2], still[3])) / size
    if (own.rows if last else own.columns) > 1 and (samples or units):
        out[11] = max(sums[COLUMNS if last else ROWS], 0.0) / size
        if sums[PAIRS] > 0.0 and units:
            out[12] = sums[ALIGNED] / sums[PAIRS]
    if samples:
        between(flat, own, norms, size, out)
    for i in range(out.size):
        if not abs(out[i]) < math.inf:  # powers that overflow
            out[i] = math.nan
    return True


@inner
def anchor_of_all(flat, layout):
    """Return the mean of a few values, spread over samples and columns."""
    total = 0.0
    for i in range(SPREAD):
        a = layout.samples * i // SPREAD
        r, j = (
            layout.rows * (i * 7 % SPREAD) // SPREAD,
            layout.columns * (i * 29 % SPREAD) // SPREAD,
        )
        total += f64(flat[a * layout.sample_step + r * layout.row_step + j])
    return total / SPREAD


@inner
def all_finite(flat, layout):
    """Return whether all values are finite, whose squares are not."""
    for a in range(layout.samples):
        for r in range(layout.rows):
            row = flat[a * layout.sample_step + r * layout.row_step :][: layout.columns]
            for j in range(row.size):
                if not abs(row[j]) < math.inf:
                    return False
    return True


@inner
def pooled(size, sums, out):
    """Write the statistics of all values together."""
    first, second = sums[POWER_1] / size, sums[POWER_2] / size
    third, fourth = sums[POWER_3] / size, sums[POWER_4] / size
    mean = sums[ANCHOR] + first
    variance = max(second - first * first, 0.0)
    if variance <= (ROUNDING * mean) ** 2:
        variance = 0.0
    out[0], out[1], out[2] = mean, variance, sums[SQUARES] / size
    central = fourth - 4.0 * first * third + 6.0 * first**2 * second - 3.0 * first**4
    if variance > 0.0 and LEAST <= central <= LARGEST:
        out[6] = central / variance / variance


@inner
def between(flat, layout, norms, size, out):
    """Write what varies between samples. Those of zeros have no angle and are left out."""
    batch, counted, sound = layout.samples, 0, True
    scales = np.zeros(batch)
    for a in range(batch):
        if norms[a] > 0.0 or not silent(flat, layout, a):
            counted += 1
            sound &= LEAST <= norms[a] <= LARGEST
            scales[a] = 1.0 / math.sqrt(norms[a]) if norms[a] > 0.0 else 0.0
    out[8] = f64(batch - counted) / batch
    if batch < 2:
        return
    rows, columns = layout.rows, layout.columns
    if layout.row_step == columns:  # rows side by side are one
        rows, columns = 1, rows * columns
    joined = Layout(batch, rows, columns, layout.sample_step, layout.row_step)
    about, resultant = over_samples(flat, joined, scales)
    out[3] = max(about, 0.0) / size
    if sound and counted > 1:
        # |sum of n unit vectors|² = n + n (n − 1) · mean cosine
        out[5] = (resultant - counted) / (counted * (counted - 1.0))


@inner
def silent(flat, layout, a):
    """Return whether all values of a sample are 0."""
    for r in range(layout.rows):
        row = flat[a * layout.sample_step + r * layout.row_step :][: layout.columns]
        for j in range(row.size):
            if row[j] != 0:
                return False
    return True


@inner
def still_units(flat, layout, last, low, high):
    """Return the number of units that stay still for every sample and position: whose values are
    all ≤ `low` or ≥ `high`, or all alike where these are NaN. Units are columns if `last`.

    Most units are left out at once, so that this costs little.
    """
    count = layout.columns if last else layout.rows
    constant = math.isnan(low)
    left = np.arange(count)
    for a in range(layout.samples):
        if last:
            for r in range(layout.rows):
                start = a * layout.sample_step + r * layout.row_step
                kept = 0
                for i in range(count):
                    unit = left[i]
                    value = f64(flat[start + unit])
                    still = value == f64(flat[unit]) if constant else value <= low or value >= high
                    if still:
                        left[kept] = unit
                        kept += 1
                count = kept
                if count == 0:
                    return 0
        else:
            kept = 0
            for i in range(count):
                unit = left[i]
                own = unit * layout.row_step
                row = flat[a * layout.sample_step + own :][: layout.columns]
                still = True
                for j in range(row.size):
                    value = f64(row[j])
                    still = value == f64(flat[own]) if constant else value <= low or value >= high
                    if not still:
                        break
                if still:
                    left[kept] = unit
                    kept += 1
            count = kept
            if count == 0:
                return 0
    return count


@inner
def beyond(flat, layout, low, high):
    """Return how many values are ≤ `low` or ≥ `high`."""
    count = 0
    for a in range(layout.samples):
        for r in range(layout.rows):
            row = flat[a * layout.sample_step + r * layout.row_step :][: layout.columns]
            for j in range(row.size):
                count += (row[j] <= low) | (row[j] >= high)
    return count


@jit
def squares(flat):
    """Return the sum of squares of `flat`."""
    total = 0.0
    for i in range(flat.size):
        value = f64(flat[i])
        total += value * value
    return total
