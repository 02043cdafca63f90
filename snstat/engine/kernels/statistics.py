"""The statistics of a layer, in two passes over blocks of its units.

Activations are float32 or float64, with units by rows, `(units, batch)`; sums are float64. The
first pass computes means, the second moments about the means, so that nothing cancels. Different
threads may sum different blocks; their sums are added in a fixed order.
"""

from __future__ import annotations

import math

import numpy as np

from snstat.engine.kernels.jit import in_order, jit

# Sums of the second pass: squares and fourth powers about the mean, squares about the means of the
# unit and of the sample, and squares of the units' components in the sum of normalised samples.
SECOND, FOURTH, OVER_BATCH, OVER_UNITS, RESULTANT, POWERS = 0, 1, 2, 3, 4, 5
# Results of the first pass for each sample: sum, sum of squares and largest absolute value.
SAMPLE_SUMS = 3

f64 = np.float64
# Squares below this are rounded to multiples of 5e-324 or to 0, so their ratios are meaningless.
LEAST_SQUARE, LARGEST_SQUARE = float(np.finfo(f64).tiny), float(np.finfo(f64).max)


@jit
def first_pass(x, unit_mean, sample_sums):
    """Write the means of the rows of `x` (units, batch) to `unit_mean` (units,), and sums over
    them to `sample_sums` (SAMPLE_SUMS, batch); return whether all values and the sum of their
    squares are finite.
    """
    units, batch = x.shape
    sums, squares, most = sample_sums[0], sample_sums[1], sample_sums[2]
    largest = f64(np.finfo(x.dtype).max)
    sample_sums[:] = 0.0
    finite = 0
    for i in range(units):
        row = x[i]
        total = 0.0
        for j in range(batch):
            value = f64(row[j])
            finite += int(abs(value) <= largest)
            total += value
            sums[j] += value
            squares[j] += value * value
            # Use one maximum per sample, because a maximum over the row is not vectorised.
            most[j] = max(most[j], abs(value))
        unit_mean[i] = total / batch
    total = 0.0
    for j in range(batch):
        total += squares[j]
    return finite == x.size and math.isfinite(total)


@in_order
def centre(sample_sums, units, centres):
    """Combine the sums of the first pass.

    Return the mean, the sum of squares, whether the norms of all nonzero samples are numbers (no
    squares underflow or overflow), the number of samples of zeros, and the largest absolute value.
    `sample_sums` (blocks, SAMPLE_SUMS, batch); `centres` (2, batch) receives the mean of each
    sample and its inverse norm, 0 where that is infinite.
    """
    batch = centres.shape[1]
    total = squares = 0.0
    alive, zeros, largest = True, 0, 0.0
    for j in range(batch):
        first = second = most = 0.0
        for block in range(sample_sums.shape[0]):
            first += sample_sums[block, 0, j]
            second += sample_sums[block, 1, j]
            most = max(most, sample_sums[block, 2, j])
        centres[0, j] = first / units
        centres[1, j] = 1.0 / math.sqrt(second) if second > 0.0 else 0.0
        if most > 0.0:
            alive &= units * LEAST_SQUARE <= second <= LARGEST_SQUARE
        else:
            zeros += 1
        largest = max(largest, most)
        total += first
        squares += second
    return total / (f64(units) * f64(batch)), squares, alive, zeros, largest


@jit
def projection(row, scale):
    """Return the sum of the products of two arrays (batch,)."""
    total = 0.0
    for j in range(row.size):
        total += f64(row[j]) * scale[j]
    return total


@in_order
def square(value):
    """Return value²."""
    return value * value


@in_order
def second_pass(x, unit_mean, mean, centres, powers):
    """Write the sums about the means of the rows of `x` (units, batch) to `powers` (POWERS,).

    Four rows at a time: each sum of a sample is then read and written once for four values.
    """
    units, batch = x.shape
    sample_mean, scale = centres[0], centres[1]
    # A sum for every sample: side by side they are fast in whatever order units are added up.
    sums = np.zeros((RESULTANT, batch))
    second, fourth, over_batch, over_units = sums[0], sums[1], sums[2], sums[3]
    resultant = 0.0
    whole = units // 4 * 4
    for i in range(0, whole, 4):
        row_0, row_1, row_2, row_3 = x[i], x[i + 1], x[i + 2], x[i + 3]
        mean_0, mean_1 = unit_mean[i], unit_mean[i + 1]
        mean_2, mean_3 = unit_mean[i + 2], unit_mean[i + 3]
        for j in range(batch):
            v_0, v_1, v_2, v_3 = f64(row_0[j]), f64(row_1[j]), f64(row_2[j]), f64(row_3[j])
            s_0, s_1 = square(v_0 - mean), square(v_1 - mean)
            s_2, s_3 = square(v_2 - mean), square(v_3 - mean)
            second[j] += (s_0 + s_1) + (s_2 + s_3)
            fourth[j] += (square(s_0) + square(s_1)) + (square(s_2) + square(s_3))
            s_0, s_1 = square(v_0 - mean_0), square(v_1 - mean_1)
            s_2, s_3 = square(v_2 - mean_2), square(v_3 - mean_3)
            over_batch[j] += (s_0 + s_1) + (s_2 + s_3)
            own = sample_mean[j]
            s_0, s_1 = square(v_0 - own), square(v_1 - own)
            s_2, s_3 = square(v_2 - own), square(v_3 - own)
            over_units[j] += (s_0 + s_1) + (s_2 + s_3)
    for i in range(whole, units):
        row, own_mean = x[i], unit_mean[i]
        for j in range(batch):
            value = f64(row[j])
            about = square(value - mean)
            second[j] += about
            fourth[j] += square(about)
            over_batch[j] += square(value - own_mean)
            over_units[j] += square(value - sample_mean[j])
    for i in range(units):
        direction = projection(x[i], scale)
        resultant += direction * direction
    for power in range(RESULTANT):
        total = 0.0
        for j in range(batch):
            total += sums[power, j]
        powers[power] = total
    powers[RESULTANT] = resultant


@in_order
def conclude(units, batch, found, powers, dead_fraction, saturated_fraction, out):
    """Write the statistics of a layer to `out` (11,) from its sums: `found` from `centre`, and
    `powers` (blocks, POWERS).

    Samples of zeros have no angle and are left out of the cosine. An undefined statistic (the
    cosine if fewer than two samples are left, the kurtosis of a constant) is NaN, and so is one
    whose powers overflow or underflow (see `scaled_cosine`).
    """
    mean, squares, alive, zeros, largest = found
    size = f64(units) * f64(batch)
    second = powers[:, SECOND].sum()
    out[:] = math.nan
    out[0] = mean
    out[1] = second / size
    out[2] = squares / size
    out[3] = powers[:, OVER_BATCH].sum() / size
    out[4] = powers[:, OVER_UNITS].sum() / size
    counted = f64(batch - zeros)
    if alive and counted > 1.0:
        # |sum of n unit vectors|² = n + n (n − 1) · mean cosine
        out[5] = (powers[:, RESULTANT].sum() - counted) / (counted * (counted - 1.0))
    fourth = powers[:, FOURTH].sum()
    if second > 0.0 and size * LEAST_SQUARE <= fourth <= LARGEST_SQUARE:
        out[6] = fourth / second * (size / second)
    out[7] = dead_fraction
    out[8] = f64(zeros) / f64(batch)
    out[9] = saturated_fraction
    out[10] = largest


@jit
def scaled_cosine(x):
    """Return the mean cosine between samples of `x` (units, batch) whose squares are no floats:
    each sample is scaled by its largest value. NaN if fewer than two of them are not 0."""
    units, batch = x.shape
    most, norms, counted = np.zeros(batch), np.zeros(batch), 0
    for i in range(units):
        for j in range(batch):
            most[j] = max(most[j], abs(f64(x[i, j])))
    for i in range(units):
        for j in range(batch):
            if most[j] > 0.0:
                norms[j] += (f64(x[i, j]) / most[j]) ** 2
    for j in range(batch):
        counted += most[j] > 0.0
    if counted < 2:
        return math.nan
    resultant = 0.0
    for i in range(units):
        direction = 0.0
        for j in range(batch):
            if most[j] > 0.0:
                direction += f64(x[i, j]) / most[j] / math.sqrt(norms[j])
        resultant += direction * direction
    return (resultant - counted) / (f64(counted) * (counted - 1))


@jit
def measure(x, dead_fraction, saturated_fraction, out):
    """Write the statistics of `x` (units, batch) to `out` (11,); return False if x is not
    finite."""
    units, batch = x.shape
    unit_mean, sample_sums = np.empty(units), np.empty((1, SAMPLE_SUMS, batch))
    centres, powers = np.empty((2, batch)), np.empty((1, POWERS))
    out[:] = math.nan
    if not first_pass(x, unit_mean, sample_sums[0]):
        return False
    found = centre(sample_sums, units, centres)
    second_pass(x, unit_mean, found[0], centres, powers[0])
    conclude(units, batch, found, powers, dead_fraction, saturated_fraction, out)
    if not found[2]:
        out[5] = scaled_cosine(x)
    return True
