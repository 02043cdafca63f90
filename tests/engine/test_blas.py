"""The Fortran routines, as kernels call them, against numpy."""

from __future__ import annotations

import numpy as np
import pytest

from snstat.engine.kernels import blas
from snstat.engine.kernels.jit import jit


@jit
def lower_times(lower, x):
    blas.lower_times(lower, x)


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
    blas.solve_right(matrix, lower, transposed)


@pytest.fixture(params=["float32", "float64"])
def draw(request):
    rng = np.random.default_rng(7)
    return lambda *shape: rng.normal(size=shape).astype(request.param)


def close(got, want):
    # Sums of at most 60 products of normals: 60 eps of their size, with room for the largest.
    tolerance = 60 * np.finfo(got.dtype).eps * 10
    np.testing.assert_allclose(got, want, rtol=0, atol=tolerance)


def test_products(draw):
    lower, x, h, a = draw(37, 37), draw(37, 53), draw(11, 53), draw(11, 37)
    for keep in (0.0, 1.0):
        out = draw(11, 53)
        want = a @ x + keep * out
        multiply(a, x, keep, out)
        close(out, want)
        out = draw(11, 37)
        want = h[:, :41] @ x[:, :41].T + keep * out
        add_product(h, x, 41, keep, out)
        close(out, want)
        out = draw(37, 37)
        want = np.tril(x[:, :40] @ x[:, :40].T + keep * out) + np.triu(out, 1)
        add_square(x, 40, keep, out)
        close(out, want)
    want = np.tril(lower) @ x
    lower_times(lower, x)
    close(x, want)


def test_a_factor_and_division_by_it():
    rng = np.random.default_rng(8)
    a = rng.normal(size=(9, 20))
    k = a @ a.T
    lower, info = k.copy(), np.full(1, 7, np.int32)
    factorise(lower, info)
    assert info[0] == 0
    np.testing.assert_allclose(np.tril(lower), np.linalg.cholesky(k), rtol=1e-12, atol=1e-12)
    np.testing.assert_array_equal(np.triu(lower, 1), np.triu(k, 1))
    for transposed in (False, True):
        matrix = rng.normal(size=(4, 9))
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
