"""BLAS and LAPACK routines of scipy that numba does not offer, called from kernels.

They exploit symmetry and triangles, which halves the work, and write in place. Matrices are in C
order. Fortran sees such a matrix as its transpose, so "lower" here is 'U' there. Every function has
a numpy body for running the tests without the JIT.
"""

from __future__ import annotations

import ctypes

import llvmlite.binding
import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, overload

from snstat.engine.kernels.jit import jit
from snstat.values.special import compiled

ROUTINES = {
    "cython_blas": ("sgemm", "dgemm", "strmm", "dtrmm", "ssyrk", "dsyrk"),
    "cython_lapack": ("dpotrf",),
}


def _address(capsule):
    """Return the address that a capsule holds."""
    api = ctypes.pythonapi
    api.PyCapsule_GetName.restype = ctypes.c_char_p
    api.PyCapsule_GetName.argtypes = [ctypes.py_object]
    api.PyCapsule_GetPointer.restype = ctypes.c_void_p
    api.PyCapsule_GetPointer.argtypes = [ctypes.py_object, ctypes.c_char_p]
    return api.PyCapsule_GetPointer(capsule, api.PyCapsule_GetName(capsule))


# Compiled kernels refer to routines by name, and every process registers their addresses, because
# an address in numba's cache would be invalid in the next process.
for _module, _names in ROUTINES.items():
    # What scipy.linalg exports to Cython: a mapping of names to capsules.
    _exported = compiled("linalg", _module).__pyx_capi__
    for _name in _names:
        llvmlite.binding.add_symbol(f"snstat_{_name}", _address(_exported[_name]))

i32, u8 = np.int32, np.uint8
NO, TRANSPOSE, UPPER, RIGHT = (u8(ord(letter)) for letter in "NTUR")


def routine(name):
    """Return a function that calls the Fortran routine `name` with one tuple of arguments."""

    @intrinsic
    def call(_context, arguments):
        def generate(context, builder, signature, values):
            pointers = []
            parts = cgutils.unpack_tuple(builder, values[0])
            for kind, value in zip(signature.args[0].types, parts, strict=True):
                if isinstance(kind, types.Array):
                    pointer = context.make_array(kind)(context, builder, value).data
                else:
                    pointer = cgutils.alloca_once_value(builder, value)
                pointers.append(builder.bitcast(pointer, cgutils.voidptr_t))
            kind = ir.FunctionType(ir.VoidType(), [cgutils.voidptr_t] * len(pointers))
            function = cgutils.get_or_insert_function(builder.module, kind, f"snstat_{name}")
            builder.call(function, pointers)
            return context.get_dummy_value()

        return types.void(arguments), generate

    return call


# OpenBLAS has AVX-512 kernels for small matrices that skip packing. They apply up to this number of
# multiplications, and for x yᵀ up to this number of results and from this length of the sum.
SMALL_WORK, SMALL_RESULT, SMALL_SUM = 10**6, 1200, 32
STRIP = 4
# Rows and columns of a block that is mirrored at once.
MIRRORED = 16
WIDE_VECTORS = all(
    llvmlite.binding.get_host_cpu_features().get(f"avx512{part}", False)
    for part in ("f", "bw", "cd", "dq", "vl")
)

sgemm, dgemm, strmm, dtrmm = (routine(name) for name in ("sgemm", "dgemm", "strmm", "dtrmm"))
ssyrk, dsyrk, dpotrf = (routine(name) for name in ("ssyrk", "dsyrk", "dpotrf"))


def of_type(array, single, double):
    """Return the routine and the scalar type for a numba array type."""
    return (single, np.float32) if array.dtype == types.float32 else (double, np.float64)


@jit
def strip(n, columns, transposed):
    """Return how many rows of a product of (…, n) and (n, columns) to compute at once, 0 for all.

    `transposed` is true for a product of (…, columns) and (n, columns)ᵀ. In strips of rows OpenBLAS
    uses its kernels for small matrices. A triangle is then computed 1.2 to 1.8 times faster than by
    OpenBLAS's own triangular and symmetric products, other products up to 1.15 times faster.
    """
    work = STRIP * n * columns
    if not WIDE_VECTORS or work > SMALL_WORK:
        return 0
    return 0 if transposed and (STRIP * n > SMALL_RESULT or columns < SMALL_SUM) else STRIP


def lower_times(lower, x, out):
    """Out = lower · x: `lower` (n, n), zero above its diagonal; `x`, `out` (n, columns)."""
    out[:] = lower @ x


@overload(lower_times)
def _lower_times(lower, x, out):
    gemm, real = of_type(x, sgemm, dgemm)
    trmm, _ = of_type(x, strmm, dtrmm)

    def call(lower, x, out):
        n, columns = x.shape
        step = strip(n, columns, False)
        if step == 0:
            copy(x, out)
            trmm((
                RIGHT, UPPER, NO, NO, i32(columns), i32(n), real(1), lower, i32(n), out,
                i32(columns),
            ))  # fmt: skip
            return
        for first in range(0, n, step):
            last = min(first + step, n)
            gemm((
                NO, NO, i32(columns), i32(last - first), i32(last), real(1), x, i32(columns),
                lower[first:], i32(n), real(0), out[first:], i32(columns),
            ))  # fmt: skip

    return call


def add_square(x, count, keep, out):
    """Lower triangle of out = keep · out + x xᵀ, over the first `count` columns of `x`.

    `x` (n, columns), `out` (n, n) of one dtype. The part above the diagonal is left undefined.
    """
    part = x[:, :count]
    out[:] = part @ part.T + (keep * out if keep else 0)


@overload(add_square)
def _add_square(x, count, keep, out):
    gemm, real = of_type(x, sgemm, dgemm)
    syrk, _ = of_type(x, ssyrk, dsyrk)

    def call(x, count, keep, out):
        n, columns = x.shape
        step = strip(n, count, True)
        if step == 0:
            syrk((
                UPPER, TRANSPOSE, i32(n), i32(count), real(1), x, i32(columns), real(keep), out,
                i32(n),
            ))  # fmt: skip
            return
        for first in range(0, n, step):
            last = min(first + step, n)
            gemm((
                TRANSPOSE, NO, i32(last), i32(last - first), i32(count), real(1), x, i32(columns),
                x[first:], i32(columns), real(keep), out[first:], i32(n),
            ))  # fmt: skip

    return call


def multiply(a, x, keep, out):
    """Out = keep · out + a · x: `a` (m, n), `x` (n, columns), `out` (m, columns), of one dtype."""
    out[:] = a @ x + (keep * out if keep else 0)


@overload(multiply)
def _multiply(a, x, keep, out):
    gemm, real = of_type(x, sgemm, dgemm)

    def call(a, x, keep, out):
        m, n = a.shape
        columns = x.shape[1]
        step = strip(n, columns, False) or m
        for first in range(0, m, step):
            rows = min(step, m - first)
            gemm((
                NO, NO, i32(columns), i32(rows), i32(n), real(1), x, i32(columns), a[first:],
                i32(n), real(keep), out[first:], i32(columns),
            ))  # fmt: skip

    return call


def add_product(h, x, count, keep, out):
    """Out = keep · out + h xᵀ over the first `count` columns: `h` (m, columns), `x` (n, columns),
    `out` (m, n), of one dtype."""
    out[:] = h[:, :count] @ x[:, :count].T + (keep * out if keep else 0)


@overload(add_product)
def _add_product(h, x, count, keep, out):
    gemm, real = of_type(x, sgemm, dgemm)

    def call(h, x, count, keep, out):
        m, n = out.shape
        columns = x.shape[1]
        step = strip(n, count, True) or m
        for first in range(0, m, step):
            rows = min(step, m - first)
            gemm((
                TRANSPOSE, NO, i32(n), i32(rows), i32(count), real(1), x, i32(columns), h[first:],
                i32(columns), real(keep), out[first:], i32(n),
            ))  # fmt: skip

    return call


def factorise(k, info):
    """Replace the lower triangle of `k` (n, n, float64) by its Cholesky factor.

    `info` (1,) receives 0, or the number, from 1, of the first pivot that is not positive.
    """
    try:
        factor = np.linalg.cholesky(k)
    except np.linalg.LinAlgError:
        info[0] = 1
    else:
        lower = np.tril_indices(len(k))
        k[lower] = factor[lower]
        info[0] = 0


@overload(factorise)
def _factorise(k, info):
    def call(k, info):
        n = k.shape[0]
        dpotrf((UPPER, i32(n), k, i32(n), info))

    return call


@jit
def copy(source, target):
    """Copy `source` to `target`, (rows, columns). Slice assignment takes seconds to compile."""
    for i in range(target.shape[0]):
        for j in range(target.shape[1]):
            target[i, j] = source[i, j]


@jit
def mirror(matrix):
    """Copy the lower triangle of `matrix` (n, n) to the upper one, block by block. Reading columns
    of the whole matrix would miss the cache at every number."""
    n = matrix.shape[0]
    for top in range(0, n, MIRRORED):
        bottom = min(top + MIRRORED, n)
        for left in range(0, bottom, MIRRORED):
            for i in range(top, bottom):
                for j in range(left, min(left + MIRRORED, i)):
                    matrix[j, i] = matrix[i, j]
