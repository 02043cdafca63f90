"""Cholesky factors of covariance matrices, and a test of their precision."""

from __future__ import annotations

import math

import numpy as np

from snstat.engine.kernels.blas import factorise
from snstat.engine.kernels.division import solve_right
from snstat.engine.kernels.jit import jit

# A pivot below this share of its diagonal counts as 0: the sample is a combination of others.
# Rounding is 1e-16 of the diagonal, so a larger pivot is known to five digits, and the backward
# pass may divide by it.
RANK_TOLERANCE = 1e-11
# The same for a matrix from float32 products, whose rounding is 1e-7.
NARROW_TOLERANCE = 1e-6
# A pivot is the squared distance of a sample from the span of those before it. With d the distance
# from the mean sample, the centred product has rounding of about 1e-7 |d|². A pivot above this
# share of |d|² is accurate to about one part in ten thousand.
CENTRED_PIVOT = 1e-3
# float32 products of d neither overflow nor underflow while the mean of d² lies between these.
CENTRED_LOW, CENTRED_HIGH = 1e-24, 1e24


@jit
def semidefinite(k, lower, tolerance):
    """Write to `lower` the Cholesky factor of the positive semidefinite `k` (n, n), both float64.

    `k` is not read above its diagonal. Columns whose pivot is less than `tolerance` of the diagonal
    are set to 0, so that identical samples stay identical and nothing is divided by rounding.
    """
    n = k.shape[0]
    # Row j of `upper` is column j of the factor.
    upper = np.empty((n, n))
    for j in range(n):
        for c in range(j, n):
            upper[j, c] = k[c, j]
    for j in range(n):
        row = upper[j]
        pivot = row[j]
        if pivot > tolerance * k[j, j]:
            scale = 1.0 / math.sqrt(pivot)
            for c in range(j, n):
                row[c] *= scale
        else:
            row[j:] = 0.0
        for i in range(j + 1, n):
            share, other = row[i], upper[i]
            for c in range(i, n):
                other[c] -= share * row[c]
    for j in range(n):
        for c in range(j):
            lower[j, c] = upper[c, j]
            lower[c, j] = 0.0
        lower[j, j] = upper[j, j]


@jit
def cholesky(k, lower, tolerance):
    """Write the factor of `semidefinite` to `lower`, by LAPACK if no pivot is near rounding."""
    n = k.shape[0]
    info = np.empty(1, np.int32)
    for i in range(n):
        for j in range(i + 1):
            lower[i, j] = k[i, j]
        for j in range(i + 1, n):
            lower[i, j] = 0.0
    factorise(lower, info)
    sound = info[0] == 0
    for i in range(n):
        sound &= lower[i, i] * lower[i, i] > tolerance * k[i, i]
    if not sound:
        semidefinite(k, lower, tolerance)


@jit
def trusted(lower, scale, spread, units):
    """Return whether a centred float32 product was precise enough for the factor `lower` (n, n).

    `spread` (n,) is the sum of d² of each sample over `units` units, `scale` the factor by which
    the Gram matrix was multiplied.
    """
    n = lower.shape[0]
    mean = 0.0
    for i in range(n):
        mean += spread[i] / n / units
    if not CENTRED_LOW < mean < CENTRED_HIGH:
        return False
    doubtful = 0
    for i in range(n):
        # Written so that NaN also counts as doubtful.
        doubtful += not lower[i, i] * lower[i, i] > CENTRED_PIVOT * scale * spread[i]
    return doubtful == 0


@jit
def benign(lower, scale, units):
    """Return the same as `trusted`, with distances from the mean sample computed from `lower`.

    `lower` is the factor of `scale` times a Gram matrix, possibly with biases added.
    """
    n = lower.shape[0]
    mean, spread = np.empty(n), np.empty(n)
    for j in range(n):
        mean[j] = 0.0
    for a in range(n):
        for j in range(a + 1):
            mean[j] += lower[a, j] / n
    for a in range(n):
        total = 0.0
        for j in range(n):
            total += (lower[a, j] - mean[j]) ** 2
        spread[a] = total / scale
    return trusted(lower, scale, spread, units)


@jit
def divide_right(matrix, lower, transposed):
    """Matrix = matrix · lower⁻¹ (lower⁻ᵀ if `transposed`); zero pivots give zero columns.

    `matrix` (m, n) and the lower triangular `lower` (n, n) are float64.
    """
    n = lower.shape[0]
    zeros = 0
    for i in range(n):
        zeros += lower[i, i] == 0.0
    if zeros == 0:
        solve_right(matrix, lower, transposed)
        return
    for step in range(n):
        j = step if transposed else n - 1 - step
        for r in range(matrix.shape[0]):
            total = matrix[r, j]
            if lower[j, j] == 0.0:
                matrix[r, j] = 0.0
                continue
            for i in range(j) if transposed else range(j + 1, n):
                total -= matrix[r, i] * (lower[j, i] if transposed else lower[i, j])
            matrix[r, j] = total / lower[j, j]
