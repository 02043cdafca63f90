"""The statistics of an array of samples, positions and units, in the order in which it lies in
memory.

A sample is a matrix: its rows are positions and its columns units (`units_last`), or the other way
round, as images lie in memory (`units_first`). Values are float32 or float64, sums float64. Every
sum is one about an anchor near its mean: it costs one pass, and what cancels is bounded by the
number of values, because an anchor is itself a mean of values.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from snstat.engine.kernels.jit import inner, jit

f64 = np.float64
# Sums over everything: powers about the anchor, squares about the means of columns and of rows, the
# largest absolute value, and of pairs of positions: their cosines, and their number.
ANCHOR, POWER_1, POWER_2, POWER_3, POWER_4, SQUARES = 0, 1, 2, 3, 4, 5
COLUMNS, ROWS, ALIGNED, PAIRS, SUMS = 6, 7, 8, 9, 10
# Columns that are summed at once: their sums stay in the level-1 cache.
BLOCK = 1024
# The most values that make an anchor.
ANCHORS = 8


class Layout(NamedTuple):
    """Samples of `rows` × `columns`: columns lie side by side, and a row and a sample begin
    `row_step` and `sample_step` values after the one before."""

    samples: int
    rows: int
    columns: int
    sample_step: int
    row_step: int


@inner
def anchor_of(row):
    """Return the mean of a few values of `row`, evenly spaced."""
    step = max(row.size // ANCHORS, 1)
    count = min(row.size, ANCHORS)
    total = 0.0
    for i in range(count):
        total += f64(row[i * step])
    return total / count


@inner
def add_powers(row, sums):
    """Add the powers of `row` about the anchor to `sums`, and return the row's own anchor, its sum
    and its sum of squares about that, and its sum of squares."""
    n = row.size
    anchor = anchor_of(row)
    first = second = third = fourth = 0.0
    for j in range(n):
        v = f64(row[j]) - anchor
        square = v * v
        first += v
        second += square
        third += square * v
        fourth += square * square
    move = anchor - sums[ANCHOR]
    sums[POWER_1] += first + n * move
    sums[POWER_2] += second + move * (2.0 * first + n * move)
    sums[POWER_3] += third + move * (3.0 * second + move * (3.0 * first + n * move))
    sums[POWER_4] += fourth + move * (
        4.0 * third + move * (6.0 * second + move * (4.0 * first + n * move))
    )
    squares = second + anchor * (2.0 * first + n * anchor)
    return anchor, first, second, squares


@inner
def widen(row, most):
    """Raise `most` (at most BLOCK,) to the absolute values of `row`, block by block."""
    for low in range(0, row.size, most.size):
        part = row[low:][: most.size]
        # Use one maximum per column, because a maximum over the row is not vectorised.
        for j in range(part.size):
            most[j] = max(most[j], abs(part[j]))


@inner
def anchor_columns(flat, layout, start, anchors):
    """Write means of a few rows of the columns from `start` on to `anchors` (columns,)."""
    count = max(1, min(ANCHORS // 2, layout.rows // ANCHORS))
    step = layout.rows // count
    anchors[:] = 0.0
    share = 1.0 / count
    for i in range(count):
        row = flat[start + i * step * layout.row_step :][: anchors.size]
        for j in range(anchors.size):
            anchors[j] += share * f64(row[j])


@inner
def add_columns(row, anchors, totals):
    """Add `row` about the anchors of its columns to `totals` (columns,); return the squares."""
    squares = 0.0
    for j in range(row.size):
        v = f64(row[j]) - anchors[j]
        totals[j] += v
        squares += v * v
    return squares


@inner
def add_columns_turned(row, anchors, totals, turned, scale):
    """Do as `add_columns`, and add `scale` times `row` to `turned` (columns,)."""
    squares = 0.0
    for j in range(row.size):
        value = f64(row[j])
        v = value - anchors[j]
        totals[j] += v
        squares += v * v
        turned[j] += scale * value
    return squares


@inner
def add_columns_squared(row, anchors, totals, norms):
    """Do as `add_columns`, and add the squares of `row` to `norms` (columns,)."""
    squares = 0.0
    for j in range(row.size):
        value = f64(row[j])
        v = value - anchors[j]
        totals[j] += v
        squares += v * v
        norms[j] += value * value
    return squares


@inner
def square_of(values):
    """Return the sum of squares of float64 `values`."""
    total = 0.0
    for j in range(values.size):
        total += values[j] * values[j]
    return total


@inner
def projected(row, scales):
    """Return the sum of the products of two arrays."""
    total = 0.0
    for j in range(row.size):
        total += f64(row[j]) * scales[j]
    return total


@inner
def inverse(square):
    """Return 1/√square, 0 of 0."""
    return 1.0 / math.sqrt(square) if square > 0.0 else 0.0


@inner
def add_pairs(resultant, counted, sums):
    """Add the cosines between `counted` unit vectors, of whose sum `resultant` is the square."""
    if counted > 1:
        sums[ALIGNED] += resultant - counted
        sums[PAIRS] += f64(counted) * (counted - 1)


@jit
def units_last(flat, layout, most, norms, sums):
    """Add up samples whose columns are units.

    `flat` holds the values, `most` (any size, at best BLOCK) of its type receives their largest
    absolute values, `norms` (samples,) the sums of squares of samples, and `sums` (SUMS,)
    everything else.
    """
    columns, rows = layout.columns, layout.rows
    column_sums = np.empty((3, columns if rows > 1 else 0))
    anchors, totals, turned = column_sums[0], column_sums[1], column_sums[2]
    for a in range(layout.samples):
        first_of = a * layout.sample_step
        if rows > 1:
            anchor_columns(flat, layout, first_of, anchors)
            totals[:], turned[:] = 0.0, 0.0
        norm = about = 0.0
        counted = 0
        for r in range(rows):
            row = flat[first_of + r * layout.row_step :][:columns]
            _, first, second, squares = add_powers(row, sums)
            widen(row, most)
            sums[ROWS] += second - first * first / columns
            norm += squares
            if rows > 1:
                about += add_columns_turned(row, anchors, totals, turned, inverse(squares))
                counted += squares > 0.0
        norms[a] = norm
        sums[SQUARES] += norm
        if rows > 1:
            sums[COLUMNS] += about - square_of(totals) / rows
            add_pairs(square_of(turned), counted, sums)


@jit
def units_first(flat, layout, most, norms, sums):
    """Add up samples whose rows are units, block by block of their columns; arguments as in
    `units_last`."""
    rows, columns = layout.rows, layout.columns
    own = np.empty((3, rows))  # the anchor of a row, and its sums about that
    turned = np.empty(rows)
    wide = min(columns, BLOCK)
    column_sums = np.empty((3, wide))
    for a in range(layout.samples):
        norm = 0.0
        counted = 0
        turned[:] = 0.0
        for low in range(0, columns, BLOCK):
            size = min(BLOCK, columns - low)
            start = a * layout.sample_step + low
            anchors, totals = column_sums[0, :size], column_sums[1, :size]
            squares_of = column_sums[2, :size]
            anchor_columns(flat, layout, start, anchors)
            totals[:], squares_of[:] = 0.0, 0.0
            about = 0.0
            for r in range(rows):
                row = flat[start + r * layout.row_step :][:size]
                anchor, first, second, _ = add_powers(row, sums)
                widen(row, most)
                if low == 0:
                    own[0, r], own[1, r], own[2, r] = anchor, first, second
                else:
                    move = anchor - own[0, r]
                    own[1, r] += first + size * move
                    own[2, r] += second + move * (2.0 * first + size * move)
                about += add_columns_squared(row, anchors, totals, squares_of)
            sums[COLUMNS] += about - square_of(totals) / rows
            for j in range(size):
                norm += squares_of[j]
                counted += squares_of[j] > 0.0
                squares_of[j] = inverse(squares_of[j])
            for r in range(rows):
                turned[r] += projected(flat[start + r * layout.row_step :][:size], squares_of)
        for r in range(rows):
            sums[ROWS] += own[2, r] - own[1, r] * own[1, r] / columns
        norms[a] = norm
        sums[SQUARES] += norm
        add_pairs(square_of(turned), counted, sums)


@jit
def over_samples(flat, layout, scales):
    """Return the sum of squares about the means over samples, and the square of the sum of samples
    times `scales` (samples,)."""
    batch = layout.samples
    wide = min(layout.columns, BLOCK)
    sums = np.empty((3, wide))
    about = resultant = 0.0
    for r in range(layout.rows):
        for low in range(0, layout.columns, BLOCK):
            size = min(BLOCK, layout.columns - low)
            start = r * layout.row_step + low
            anchors, totals, turned = sums[0, :size], sums[1, :size], sums[2, :size]
            totals[:], turned[:] = 0.0, 0.0
            row = flat[start:][:size]
            for j in range(size):
                anchors[j] = f64(row[j])
            for a in range(batch):
                row = flat[start + a * layout.sample_step :][:size]
                about += add_columns_turned(row, anchors, totals, turned, scales[a])
            about -= square_of(totals) / batch
            resultant += square_of(turned)
    return about, resultant


@jit
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


@jit
def beyond(flat, low, high):
    """Return how many values of `flat` are ≤ `low` or ≥ `high`."""
    count = 0
    for i in range(flat.size):
        count += (flat[i] <= low) | (flat[i] >= high)
    return count


@jit
def squares(flat):
    """Return the sum of squares of `flat`."""
    total = 0.0
    for i in range(flat.size):
        value = f64(flat[i])
        total += value * value
    return total
