"""Factors of covariance matrices, and when a centred float32 product is accurate enough."""

from __future__ import annotations

import numpy as np
import pytest

from snstat.engine.kernels import factor


@pytest.mark.parametrize("function", [factor.cholesky, factor.semidefinite])
@pytest.mark.parametrize("n", [1, 5, 33])
def test_the_factor_equals_lapack(function, n):
    a = np.random.default_rng(n).normal(size=(n, 2 * n))
    k = a @ a.T
    lower = np.empty((n, n))
    function(k, lower, factor.RANK_TOLERANCE)
    np.testing.assert_allclose(lower, np.linalg.cholesky(k), rtol=1e-10, atol=1e-10)


def test_the_factor_of_a_rank_deficient_matrix():
    rng = np.random.default_rng(0)
    a = rng.normal(size=(70, 9))
    a[40] = a[3]
    k = a @ a.T
    lower = np.empty_like(k)
    factor.cholesky(k, lower, factor.RANK_TOLERANCE)
    # Nine pivots are kept; the rest of the matrix is reproduced to rounding relative to its size.
    assert np.count_nonzero(np.diag(lower)) == 9
    np.testing.assert_allclose(lower @ lower.T, k, atol=1e-11 * np.abs(k).max())
    np.testing.assert_allclose(lower[40], lower[3], atol=1e-12 * np.abs(lower).max())
    zero = np.full((4, 4), np.nan)
    factor.cholesky(np.zeros((4, 4)), zero, factor.RANK_TOLERANCE)
    assert (zero == 0).all()


def test_division_skips_zero_pivots():
    rng = np.random.default_rng(0)
    lower = np.tril(rng.normal(size=(6, 6))) + 3 * np.eye(6)
    matrix = rng.normal(size=(4, 6))
    for transposed in (False, True):
        quotient = matrix.copy()
        factor.divide_right(quotient, lower, transposed)
        product = quotient @ (lower.T if transposed else lower)
        np.testing.assert_allclose(product, matrix, atol=1e-12)
    singular = lower.copy()
    singular[:, 2] = 0.0
    kept = [0, 1, 3, 4, 5]
    for transposed in (False, True):
        quotient = matrix.copy()
        factor.divide_right(quotient, singular, transposed)
        assert (quotient[:, 2] == 0).all()
        # The rest is division by the triangle without that row and column.
        smaller = matrix[:, kept].copy()
        factor.divide_right(smaller, singular[np.ix_(kept, kept)], transposed)
        np.testing.assert_allclose(quotient[:, kept], smaller, atol=1e-12)


def factor_of(x, scale=1.0):
    """Return the factor of scale · x xᵀ and the squared distances from the mean sample, by
    numpy."""
    k = scale * (x @ x.T)
    lower = np.empty_like(k)
    factor.cholesky(k, lower, factor.RANK_TOLERANCE)
    return lower, scale, ((x - x.mean(axis=0)) ** 2).sum(axis=1), x.shape[1]


def test_a_centred_product_is_trusted_where_samples_are_distinct():
    rng = np.random.default_rng(3)
    x = rng.normal(size=(5, 200))
    assert factor.trusted(*factor_of(x))
    # Nearly collapsed: the distances are small, but as accurate as before.
    assert factor.trusted(*factor_of(5.0 + 1e-4 * x, scale=0.3))
    pair = x.copy()
    pair[3] = x[1] * (1 + 1e-3)  # two samples are nearly equal
    assert not factor.trusted(*factor_of(pair))
    dead = x.copy()
    dead[2] = 0.0
    assert not factor.trusted(*factor_of(dead))
    assert not factor.trusted(*factor_of(x[:1]))  # one sample is its own mean
    assert not factor.trusted(*factor_of(1e-13 * x))  # products leave the range of float32
    assert not factor.trusted(*factor_of(1e13 * x))
    lower, scale, spread, units = factor_of(x)
    lower[2, 2] = np.nan
    assert not factor.trusted(lower, scale, spread, units)
