"""Products of matrices that hold samples by columns, by the routines of BLAS; see blas.py."""

from __future__ import annotations

from numba.extending import overload

from snstat.engine.kernels.blas import (
    NO,
    TRANSPOSE,
    UPPER,
    dgemm,
    dsyrk,
    i32,
    of_type,
    sgemm,
    ssyrk,
)


def add_square_of_columns(x, keep, out):
    """Lower triangle of out = keep · out + xᵀ x: `x` (rows, n), `out` (n, n) of one dtype.

    The part above the diagonal is left undefined.
    """
    out[:] = x.T @ x + (keep * out if keep else 0)


@overload(add_square_of_columns)
def _add_square_of_columns(x, keep, out):
    syrk, real = of_type(x, ssyrk, dsyrk)

    def call(x, keep, out):
        rows, n = x.shape
        syrk((
            UPPER, NO, i32(n), i32(rows), real(1), x, i32(n), real(keep), out, i32(n),
        ))  # fmt: skip

    return call


def multiply_transposed(a, b, keep, out):
    """Out = keep · out + (a b)ᵀ, of which all that fits `out` (columns, n).

    `a` (n, …) has at least as many columns as `b` (m, …) has rows, and `b` at least `columns`
    columns; those beyond m and `columns` are left out. All have one dtype.
    """
    columns = len(out)
    out[:] = (a[:, : len(b)] @ b[:, :columns]).T + (keep * out if keep else 0)


@overload(multiply_transposed)
def _multiply_transposed(a, b, keep, out):
    gemm, real = of_type(a, sgemm, dgemm)

    def call(a, b, keep, out):
        columns, n = out.shape
        gemm((
            TRANSPOSE, TRANSPOSE, i32(n), i32(columns), i32(b.shape[0]), real(1), a,
            i32(a.shape[1]), b, i32(b.shape[1]), real(keep), out, i32(n),
        ))  # fmt: skip

    return call
