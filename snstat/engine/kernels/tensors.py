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

from snstat.engine.kernels.jit import inner
from snstat.engine.kernels.statistics import projection

f64 = np.float64
# Sums over everything: powers about the anchor, squares about the means of columns and of rows, the
# largest absolute value, and of pairs of positions: their cosines, and their number.
ANCHOR, POWER_1, POWER_2, POWER_3, POWER_4, SQUARES = 0, 1, 2, 3, 4, 5
COLUMNS, ROWS, ALIGNED, PAIRS, SUMS = 6, 7, 8, 9, 10
# Columns that are summed at once: their sums stay in the level-1 cache.
BLOCK = 1024
# The same where columns are positions: their values stay in the level-2 cache, and longer rows are
# read from memory faster.
WIDE = 2 * BLOCK
# The most rows that make the anchors of columns, and how many rows there are for each.
ANCHORS, SPARED = 4, 8


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
    """Return the mean of eight values of `row`, evenly spaced; of fewer, some count twice.

    There is no loop, because the powers of a row wait for its anchor.
    """
    step, last = max(row.size // 8, 1), row.size - 1
    return 0.125 * (
        ((f64(row[0]) + f64(row[min(step, last)]))
         + (f64(row[min(2 * step, last)]) + f64(row[min(3 * step, last)])))
        + ((f64(row[min(4 * step, last)]) + f64(row[min(5 * step, last)]))
           + (f64(row[min(6 * step, last)]) + f64(row[min(7 * step, last)])))
    )  # fmt: skip


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
    """Raise `most` (BLOCK,) to the absolute values of `row`, block by block."""
    for low in range(0, row.size, most.size):
        part = row[low:][: most.size]
        # Use one maximum per column, because a maximum over the row is not vectorised.
        for j in range(part.size):
            most[j] = max(most[j], abs(part[j]))


@inner
def anchor_columns(own, layout, anchors):
    """Write means of a few rows of a sample `own`, evenly spaced, to `anchors` (columns,)."""
    count = max(1, min(ANCHORS, layout.rows // SPARED))
    step = layout.rows // count * layout.row_step
    anchors[:] = 0.0
    share = 1.0 / count
    for i in range(count):
        row = own[i * step :][: anchors.size]
        for j in range(anchors.size):
            anchors[j] += share * f64(row[j])


@inner
def add_columns_turned(row, anchors, totals, turned, scale):
    """Add `row` about the anchors of its columns to `totals` (columns,), and `scale` times `row` to
    `turned` (columns,); return the squares about the anchors."""
    squares = 0.0
    for j in range(row.size):
        value = f64(row[j])
        v = value - anchors[j]
        totals[j] += v
        squares += v * v
        turned[j] += scale * value
    return squares


@inner
def add_four_turned(first, step, anchors, totals, turned, scales):
    """Do as `add_columns_turned` with four rows, which begin `step` values after one another in
    `first`: each sum is then read and written once for four values."""
    size = anchors.size
    row_0, row_1 = first[:size], first[step:][:size]
    row_2, row_3 = first[2 * step :][:size], first[3 * step :][:size]
    scale_0, scale_1, scale_2, scale_3 = scales[0], scales[1], scales[2], scales[3]
    squares = 0.0
    for j in range(size):
        x_0, x_1, x_2, x_3 = f64(row_0[j]), f64(row_1[j]), f64(row_2[j]), f64(row_3[j])
        anchor = anchors[j]
        v_0, v_1, v_2, v_3 = x_0 - anchor, x_1 - anchor, x_2 - anchor, x_3 - anchor
        totals[j] += (v_0 + v_1) + (v_2 + v_3)
        squares += (v_0 * v_0 + v_1 * v_1) + (v_2 * v_2 + v_3 * v_3)
        turned[j] += (scale_0 * x_0 + scale_1 * x_1) + (scale_2 * x_2 + scale_3 * x_3)
    return squares


@inner
def add_columns_squared(row, anchors, totals, norms):
    """Add `row` about the anchors of its columns to `totals` (columns,), and its squares to `norms`
    (columns,); return the squares about the anchors."""
    squares = 0.0
    for j in range(row.size):
        value = f64(row[j])
        v = value - anchors[j]
        totals[j] += v
        squares += v * v
        norms[j] += value * value
    return squares


@inner
def add_four_squared(first, step, anchors, totals, norms):
    """Do as `add_columns_squared` with four rows, as `add_four_turned` does."""
    size = anchors.size
    row_0, row_1 = first[:size], first[step:][:size]
    row_2, row_3 = first[2 * step :][:size], first[3 * step :][:size]
    squares = 0.0
    for j in range(size):
        x_0, x_1, x_2, x_3 = f64(row_0[j]), f64(row_1[j]), f64(row_2[j]), f64(row_3[j])
        anchor = anchors[j]
        v_0, v_1, v_2, v_3 = x_0 - anchor, x_1 - anchor, x_2 - anchor, x_3 - anchor
        totals[j] += (v_0 + v_1) + (v_2 + v_3)
        squares += (v_0 * v_0 + v_1 * v_1) + (v_2 * v_2 + v_3 * v_3)
        norms[j] += (x_0 * x_0 + x_1 * x_1) + (x_2 * x_2 + x_3 * x_3)
    return squares


@inner
def project_four(first, step, scales, turned):
    """Add the products of four rows with `scales` (columns,) to `turned` (4,), as
    `add_four_turned` takes rows."""
    size = scales.size
    row_0, row_1 = first[:size], first[step:][:size]
    row_2, row_3 = first[2 * step :][:size], first[3 * step :][:size]
    sum_0 = sum_1 = sum_2 = sum_3 = 0.0
    for j in range(size):
        scale = scales[j]
        sum_0 += f64(row_0[j]) * scale
        sum_1 += f64(row_1[j]) * scale
        sum_2 += f64(row_2[j]) * scale
        sum_3 += f64(row_3[j]) * scale
    turned[0] += sum_0
    turned[1] += sum_1
    turned[2] += sum_2
    turned[3] += sum_3


@inner
def square_of(values):
    """Return the sum of squares of float64 `values`."""
    total = 0.0
    for j in range(values.size):
        total += values[j] * values[j]
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


@inner
def units_last(flat, layout, most, norms, sums):
    """Add up samples whose columns are units.

    `flat` holds the values, `most` (BLOCK,) of its type receives their largest absolute values,
    `norms` (samples,) the sums of squares of samples, and `sums` (SUMS,) everything else.
    """
    columns, rows, step = layout.columns, layout.rows, layout.row_step
    column_sums = np.empty((3, columns if rows > 1 else 0))
    anchors, totals, turned = column_sums[0], column_sums[1], column_sums[2]
    scales = np.zeros(4)
    for a in range(layout.samples):
        own = flat[a * layout.sample_step :]
        if rows > 1:
            anchor_columns(own, layout, anchors)
            totals[:], turned[:] = 0.0, 0.0
        norm = about = 0.0
        counted = widened = 0
        for r in range(rows):
            row = own[r * step :][:columns]
            _, first, second, squares = add_powers(row, sums)
            if step == columns:
                while widened + BLOCK <= (r + 1) * columns:
                    widen(own[widened:][:BLOCK], most)
                    widened += BLOCK
            else:
                widen(row, most)
            sums[ROWS] += second - first * first / columns
            norm += squares
            if rows == 1:
                continue
            counted += squares > 0.0
            scales[r % 4] = inverse(squares)
            if r % 4 == 3:
                about += add_four_turned(
                    own[(r - 3) * step :], step, anchors, totals, turned, scales
                )
        if step == columns:
            widen(own[widened : rows * columns], most)
        norms[a] = norm
        sums[SQUARES] += norm
        if rows > 1:
            for r in range(rows // 4 * 4, rows):
                row = own[r * step :][:columns]
                about += add_columns_turned(row, anchors, totals, turned, scales[r % 4])
            sums[COLUMNS] += about - square_of(totals) / rows
            add_pairs(square_of(turned), counted, sums)


@inner
def units_first(flat, layout, most, norms, sums):
    """Add up samples whose rows are units, block by block of their columns; arguments as in
    `units_last`."""
    rows, columns, step = layout.rows, layout.columns, layout.row_step
    own_sums = np.empty((3, rows))  # the anchor of a row, and its sums about that
    turned = np.empty(rows)
    column_sums = np.empty((3, min(columns, WIDE)))
    for a in range(layout.samples):
        norm = 0.0
        counted = 0
        turned[:] = 0.0
        for low in range(0, columns, WIDE):
            size = min(WIDE, columns - low)
            own = flat[a * layout.sample_step + low :]
            anchors, totals = column_sums[0, :size], column_sums[1, :size]
            scales = column_sums[2, :size]
            anchor_columns(own, layout, anchors)
            totals[:], scales[:] = 0.0, 0.0
            about = 0.0
            for r in range(rows):
                # Four rows that are read together arrive from memory sooner than one by one.
                if r % 4 == 0 and r + 4 <= rows:
                    about += add_four_squared(own[r * step :], step, anchors, totals, scales)
                row = own[r * step :][:size]
                anchor, first, second, _ = add_powers(row, sums)
                widen(row, most)
                if low == 0:
                    own_sums[0, r], own_sums[1, r], own_sums[2, r] = anchor, first, second
                else:
                    move = anchor - own_sums[0, r]
                    own_sums[1, r] += first + size * move
                    own_sums[2, r] += second + move * (2.0 * first + size * move)
            whole = rows // 4 * 4
            for r in range(whole, rows):
                about += add_columns_squared(own[r * step :][:size], anchors, totals, scales)
            sums[COLUMNS] += about - square_of(totals) / rows
            for j in range(size):
                norm += scales[j]
                counted += scales[j] > 0.0
                scales[j] = inverse(scales[j])
            for r in range(0, whole, 4):
                project_four(own[r * step :], step, scales, turned[r:])
            for r in range(whole, rows):
                turned[r] += projection(own[r * step :][:size], scales)
        for r in range(rows):
            sums[ROWS] += own_sums[2, r] - own_sums[1, r] * own_sums[1, r] / columns
        norms[a] = norm
        sums[SQUARES] += norm
        add_pairs(square_of(turned), counted, sums)


@inner
def over_samples(flat, layout, scales):
    """Return the sum of squares about the means over samples, and the square of the sum of samples
    times `scales` (samples,)."""
    batch, step = layout.samples, layout.sample_step
    sums = np.empty((3, min(layout.columns, BLOCK)))
    about = resultant = 0.0
    for r in range(layout.rows):
        for low in range(0, layout.columns, BLOCK):
            size = min(BLOCK, layout.columns - low)
            own = flat[r * layout.row_step + low :]
            anchors, totals, turned = sums[0, :size], sums[1, :size], sums[2, :size]
            totals[:], turned[:] = 0.0, 0.0
            row = own[:size]
            for j in range(size):
                anchors[j] = f64(row[j])
            whole = batch // 4 * 4
            for a in range(0, whole, 4):
                about += add_four_turned(own[a * step :], step, anchors, totals, turned, scales[a:])
            for a in range(whole, batch):
                row = own[a * step :][:size]
                about += add_columns_turned(row, anchors, totals, turned, scales[a])
            about -= square_of(totals) / batch
            resultant += square_of(turned)
    return about, resultant
