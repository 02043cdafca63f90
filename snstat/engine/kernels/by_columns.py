"""Products of matrices that hold samples by columns, by the routines of BLAS; see blas.py.

As there, a product is computed in strips where OpenBLAS has kernels for small matrices: a triangle
and a symmetric result then take half the time, other products two thirds.
"""

from __future__ import annotations

from numba.extending import overload

from snstat.engine.kernels.blas import (
    NO,
    SMALL_WORK,
    TRANSPOSE,
    UPPER,
    WIDE_VECTORS,
    dgemm,
    dsyrk,
    i32,
    of_type,
    sgemm,
    ssyrk,
)
from snstat.engine.kernels.jit import jit

# The rows of a symmetric result, those of a triangle, and the rows of other results at once.
SQUARE_STRIP, LOWER_STRIP, STRIP = 16, 8, 16
# The rows of a triangle at once where no kernel for small matrices applies.
LARGE_STRIP = 64


@jit
def small(step, n, length):
    """Return whether OpenBLAS has a fast kernel for strips of `step` rows of a product with n
    columns, of sums of this length."""
    return WIDE_VECTORS and step * n * length <= SMALL_WORK


def add_square_of_columns(x, keep, out):
    """Lower triangle of out = keep · out + xᵀ x: `x` (rows, n), `out` (n, n) of one dtype.

    The part above the diagonal is left undefined.
    """
    out[:] = x.T @ x + (keep * out if keep else 0)


@overload(add_square_of_columns)
def _add_square_of_columns(x, keep, out):
    gemm, real = of_type(x, sgemm, dgemm)
    syrk, _ = of_type(x, ssyrk, dsyrk)

    def call(x, keep, out):
        rows, n = x.shape
        if not small(SQUARE_STRIP, n, rows):
            syrk((
                UPPER, NO, i32(n), i32(rows), real(1), x, i32(n), real(keep), out, i32(n),
            ))  # fmt: skip
            return
        flat = x.reshape(x.size)
        for first in range(0, n, SQUARE_STRIP):
            last = min(first + SQUARE_STRIP, n)
            gemm((
                NO, TRANSPOSE, i32(last), i32(last - first), i32(rows), real(1), x, i32(n),
                flat[first:], i32(n), real(keep), out[first:], i32(n),
            ))  # fmt: skip

    return call


def lower_times_transposed(lower, b, keep, out):
    """Out = keep · out + (lower b)ᵀ, of as many columns of `b` as `out` (columns, n) has rows.

    `lower` (n, n) is zero above its diagonal; `b` (n, …). All have one dtype.
    """
    out[:] = (lower @ b[:, : len(out)]).T + (keep * out if keep else 0)


@overload(lower_times_transposed)
def _lower_times_transposed(lower, b, keep, out):
    gemm, real = of_type(b, sgemm, dgemm)

    def call(lower, b, keep, out):
        columns, n = out.shape
        flat = out.reshape(out.size)
        step = LOWER_STRIP if small(LOWER_STRIP, columns, n) else LARGE_STRIP
        for first in range(0, n, step):
            last = min(first + step, n)
            gemm((
                TRANSPOSE, TRANSPOSE, i32(last - first), i32(columns), i32(last), real(1),
                lower[first:], i32(n), b, i32(b.shape[1]), real(keep), flat[first:], i32(n),
            ))  # fmt: skip

    return call


def multiply_transposed(a, b, out):
    """Out = (a b)ᵀ: `out` (m, n). `a` (n, …) has at least as many columns as `b` (…, m) has rows;
    those beyond are left out. All have one dtype."""
    out[:] = (a[:, : len(b)] @ b).T


@overload(multiply_transposed)
def _multiply_transposed(a, b, out):
    gemm, real = of_type(a, sgemm, dgemm)

    def call(a, b, out):
        m, n = out.shape
        length, flat = b.shape[0], b.reshape(b.size)
        step = STRIP if small(STRIP, n, length) else m
        for first in range(0, m, step):
            rows = min(step, m - first)
            gemm((
                TRANSPOSE, TRANSPOSE, i32(n), i32(rows), i32(length), real(1), a,
                i32(a.shape[1]), flat[first:], i32(b.shape[1]), real(0), out[first:], i32(n),
            ))  # fmt: skip

    return call
