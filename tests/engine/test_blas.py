"""The Fortran routines, called from kernels, match numpy."""

from __future__ import annotations

import numpy as np
import pytest

from snstat.engine.kernels import blas, division
from snstat.engine.kernels.jit import jit


@jit
def lower_times(lower, x, out):
    blas.lower_times(lower, x, out)


@jit
def add_square(x, count, keep, out):
    blas.add_square(x, count, keep, out)


@jit
def multiply(a, x, keep, out):
    blas.multiply(a, x, keep, out)


@jit
def add_product(h, x, count, keep, out):
    blas.add_product(h, x, count, keep, out)


@jit
def factorise(k, info):
    blas.factorise(k, info)


@jit
def solve_right(matrix, lower, transposed):
    division.solve_right(matrix, lower, transposed)


@pytest.fixture(params=["float32", "float64"])
def draw(request):
    rng = np.random.default_rng(7)
    return lambda *shape: rng.normal(size=shape).astype(request.param)


def close(got, want, terms):
    # Sums of products of normals: each of the `terms` rounds by eps of a partial sum of about
    # √terms. Ten such deviations cover the largest of some 10⁵ entries.
    tolerance = 10 * terms * np.finfo(got.dtype).eps
    np.testing.assert_allclose(got, want, rtol=0, atol=tolerance)


# The largest size exceeds the one that is multiplied in strips of rows.
@pytest.mark.parametrize(("n", "columns"), [(1, 1), (37, 53), (256, 128), (310, 900)])
def test_products(draw, n, columns):
    lower, x, h, a = np.tril(draw(n, n)), draw(n, columns), draw(11, columns), draw(11, n)
    count = max(1, columns - 13)
    for keep in (0.0, 1.0):
        out = draw(11, columns)
        want = a @ x + keep * out
        multiply(a, x, keep, out)
        close(out, want, n)
        out = draw(11, n)
        want = h[:, :count] @ x[:, :count].T + keep * out
        add_product(h, x, count, keep, out)
        close(out, want, count)
        out = draw(n, n)
        want = x[:, :count] @ x[:, :count].T + keep * out
        add_square(x, count, keep, out)
        close(np.tril(out), np.tril(want), count)
    out = draw(n, columns)
    lower_times(lower, x, out)
    close(out, lower @ x, n)


# The larger size is divided in blocks.
@pytest.mark.parametrize("n", [9, 75])
def test_a_factor_and_division_by_it(n):
    rng = np.random.default_rng(8)
    a = rng.normal(size=(n, 2 * n + 2))
    k = a @ a.T
    lower, info = k.copy(), np.full(1, 7, np.int32)
    factorise(lower, info)
    assert info[0] == 0
    np.testing.assert_allclose(np.tril(lower), np.linalg.cholesky(k), rtol=1e-12, atol=1e-12)
    np.testing.assert_array_equal(np.triu(lower, 1), np.triu(k, 1))
    for transposed in (False, True):
        matrix = rng.normal(size=(21, n))
        quotient = matrix.copy()
        solve_right(quotient, lower, transposed)
        triangle = np.tril(lower)
        np.testing.assert_allclose(
            quotient @ (triangle.T if transposed else triangle), matrix, atol=1e-12
        )


def test_a_matrix_that_is_not_positive_is_reported():
    info = np.zeros(1, np.int32)
    factorise(np.diag([1.0, -1.0]), info)
    assert info[0] > 0


def test_mirror():
    matrix = np.arange(9.0).reshape(3, 3)
    blas.mirror(matrix)
    np.testing.assert_array_equal(matrix, [[0, 3, 6], [3, 4, 7], [6, 7, 8]])
