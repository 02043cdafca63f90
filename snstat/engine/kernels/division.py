"""Division by a triangular matrix in blocks, which is twice as fast as OpenBLAS on the whole."""

from __future__ import annotations

import numpy as np
from numba.extending import overload

from snstat.engine.kernels.blas import NO, TRANSPOSE, copy, dgemm, i32
from snstat.engine.kernels.jit import jit

# The numbers of columns and rows that are divided at once.
BLOCK, ROWS = 32, 16


def solve_right(matrix, lower, transposed):
    """Matrix = matrix · lower⁻¹ (lower⁻ᵀ if `transposed`) in place, both float64.

    `matrix` (m, n), `lower` (n, n) with a nonzero diagonal; the part above it is not read.
    """
    triangle = np.tril(lower)
    matrix[:] = np.linalg.solve(triangle if transposed else triangle.T, matrix.T).T


@jit
def invert(lower, inverse):
    """Write the inverse of `lower` (n, n) to inverse[:n, :n]; above the diagonal it is not read."""
    n = lower.shape[0]
    for i in range(n):
        row = inverse[i]
        for j in range(n):
            row[j] = 0.0
        row[i] = 1.0
        for k in range(i):
            share, other = lower[i, k], inverse[k]
            for j in range(n):
                row[j] -= share * other[j]
        share = 1.0 / lower[i, i]
        for j in range(n):
            row[j] *= share


@overload(solve_right)
def _solve_right(matrix, lower, transposed):
    def call(matrix, lower, transposed):
        m, n = matrix.shape
        part, inverse = np.empty((ROWS, BLOCK)), np.empty((BLOCK, BLOCK))
        count = (n + BLOCK - 1) // BLOCK
        for number in range(count):
            begin = BLOCK * (number if transposed else count - 1 - number)
            end = min(begin + BLOCK, n)
            width = end - begin
            invert(lower[begin:end, begin:end], inverse)
            operation = TRANSPOSE if transposed else NO
            for row in range(0, m, ROWS):
                rows = min(ROWS, m - row)
                block = matrix[row : row + rows, begin:end]
                if transposed and begin > 0:
                    dgemm((
                        TRANSPOSE, NO, i32(width), i32(rows), i32(begin), -1.0, lower[begin:],
                        i32(n), matrix[row:], i32(n), 1.0, block, i32(n),
                    ))  # fmt: skip
                elif not transposed and end < n:
                    dgemm((
                        NO, NO, i32(width), i32(rows), i32(n - end), -1.0, lower[end:, begin:],
                        i32(n), matrix[row:, end:], i32(n), 1.0, block, i32(n),
                    ))  # fmt: skip
                dgemm((
                    operation, NO, i32(width), i32(rows), i32(width), 1.0, inverse, i32(BLOCK),
                    block, i32(n), 0.0, part, i32(BLOCK),
                ))  # fmt: skip
                copy(part[:rows, :width], block)

    return call
