"""Rows, sums and singular values of matrices, against plain loops and LAPACK."""

from __future__ import annotations

import math

import numpy as np
import pytest

import snstat
from snstat.sources.weights import matrix as matrix_module
from snstat.sources.weights.dtypes import DTYPES
from snstat.sources.weights.matrix import Matrix
from snstat.sources.weights.read import WEIGHT_SQUARE_SUM, WEIGHT_SUM
from snstat.sources.weights.spectral import TOLERANCE, spectral_norm
from snstat.theory.theorems import theorem_domain

RNG = np.random.default_rng(11)


def one(values, **options):
    (tensor,) = snstat.weights({"w": values}, **options).tensors
    return tensor


def loop(values):
    """Return ω and τ of the rows, gain and kurtosis, number by number."""
    sums = [math.fsum(map(float, row)) for row in values]
    squares = [math.fsum(float(x) ** 2 for x in row) for row in values]
    size = values.size
    square = math.fsum(squares) / size
    fourth = math.fsum(float(x) ** 4 for x in values.ravel()) / size
    return sums, squares, math.sqrt(values.shape[1] * square), fourth / square**2


# Blocks of 64 values split rows and columns; sums of float64, and singular values of short sides,
# which LAPACK finds in float64, agree to rounding.
@pytest.mark.parametrize("block", [64, 2**16])
@pytest.mark.parametrize("shape", [(7, 5), (3, 300), (1, 9), (9, 1), (1, 1)])
@pytest.mark.parametrize("dtype", ["float64", "float32", "float16"])
def test_sums_are_those_of_a_loop(monkeypatch, shape, dtype, block):
    monkeypatch.setattr(matrix_module.Matrix.blocks, "__defaults__", (block,))
    values = (RNG.standard_normal(shape) + 0.1).astype(dtype)
    found = one(values)
    sums, squares, gain, kurtosis = loop(values)
    assert found.gain == pytest.approx(gain, rel=1e-12)
    assert found.kurtosis == pytest.approx(kurtosis, rel=1e-12)
    for spread, oracle in ((found.weight_sum, sums), (found.weight_square_sum, squares)):
        expected = (np.median(oracle), min(oracle), max(oracle))
        assert (spread.median, spread.low, spread.high) == pytest.approx(expected, abs=1e-11)
    exact = np.linalg.norm(values.astype(np.float64), 2)
    assert found.spectral_norm == pytest.approx(exact, rel=1e-12)


@pytest.mark.parametrize("shape", [(70, 90), (150, 80), (65, 400), (200, 200)])
@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_the_largest_singular_value(shape, dtype):
    values = RNG.standard_normal(shape).astype(np.float32)
    raw = values.astype(np.float16) if dtype == "float16" else values
    if dtype == "bfloat16":
        raw = (values.view(np.uint32) >> 16).astype(np.uint16)
    form = DTYPES[dtype]
    exact = np.linalg.svd(form.widen(raw).astype(np.float64), compute_uv=False)[0]
    # The residual bounds the error of the square; products in float32 add 1e-6.
    found = spectral_norm(Matrix(raw, form))
    assert found == pytest.approx(exact, rel=TOLERANCE)


def test_the_second_singular_value_is_not_taken_for_the_first():
    """As it is in one of a hundred, if the iteration stops at a residual of 1 in 250."""
    form = DTYPES["float64"]
    for seed in range(300):
        values = np.random.default_rng(seed).standard_normal((65, 400))
        exact = math.sqrt(np.linalg.eigvalsh(values @ values.T)[-1])
        assert spectral_norm(Matrix(values, form)) == pytest.approx(exact, rel=TOLERANCE)


def test_large_matrices_of_short_types_are_multiplied_in_blocks(monkeypatch):
    values = RNG.standard_normal((100, 130)).astype(np.float16)
    whole = Matrix(values, DTYPES["float16"])
    monkeypatch.setattr(matrix_module, "KEPT", 1)
    parts = Matrix(values, DTYPES["float16"])
    right, left = RNG.standard_normal(130), RNG.standard_normal(100)
    exact = values.astype(np.float64)
    for matrix, tolerance in ((whole, 1e-4), (parts, 1e-12)):  # float32, float64
        assert matrix.times(right) == pytest.approx(exact @ right, abs=tolerance)
        assert matrix.transposed_times(left) == pytest.approx(left @ exact, abs=tolerance)
    assert parts._wide is None


def test_singular_values_of_special_matrices():
    double = DTYPES["float64"]
    assert spectral_norm(Matrix(np.zeros((100, 100)), double)) == 0.0
    assert spectral_norm(Matrix(np.eye(100) * 3, double)) == pytest.approx(3.0)
    outer = np.outer(np.arange(100.0), np.ones(80))
    assert spectral_norm(Matrix(outer, double)) == pytest.approx(np.linalg.norm(outer))
    tiny = np.full((3, 5), 1e-200)
    assert spectral_norm(Matrix(tiny, double)) == pytest.approx(1e-200 * math.sqrt(15))


def test_dead_duplicate_and_non_finite_rows_are_counted_from_0():
    values = RNG.standard_normal((12, 40))
    values[3] = 0.0
    values[4] = -0.0
    values[5] = values[1]
    values[7] = -values[1]
    values[8, 2] = np.nan
    values[9, 0] = -np.inf
    values[10] = values[1]
    values[10, 39] = np.nextafter(values[10, 39], 9)  # nearly a duplicate
    found = one(values)
    assert found.dead_rows.first == (3, 4)
    assert found.duplicate_rows.first == (5, 7)
    assert found.non_finite.first == (8, 9)
    assert (found.dead_rows.count, found.duplicate_rows.count, found.non_finite.count) == (2, 2, 2)
    # The other numbers are those of the finite rows.
    finite = np.delete(values, [8, 9], axis=0)
    assert found.gain == pytest.approx(loop(finite)[2])
    assert found.spectral_norm == pytest.approx(np.linalg.norm(finite, 2), rel=1e-12)


def test_zeros_and_signs_make_no_difference_to_duplicates():
    values = np.array([[0.0, 1.0, -2.0], [-0.0, -1.0, 2.0], [0.0, 1.0, 2.0]])
    assert one(values).duplicate_rows.first == (1,)


def test_matrices_without_finite_rows_have_no_numbers():
    found = one(np.full((3, 4), np.nan))
    assert found.non_finite.count == 3
    numbers = (found.gain, found.spectral_norm, found.kurtosis, found.in_theorem_1)
    assert numbers == (None,) * 4
    assert found.weight_sum.median is None


def test_huge_and_tiny_values_are_finite_rows():
    huge = one(np.array([[1e300, 1e300], [1.0, 2.0]]))
    assert huge.non_finite.count == 0
    assert huge.weight_square_sum.high is None  # the square overflows
    assert huge.spectral_norm == pytest.approx(math.sqrt(2) * 1e300)
    assert huge.kurtosis is None
    many = one(np.full((4, 3), 1e154) * np.array([[1.0], [-1.0], [2.0], [1.0]]))
    assert many.duplicate_rows.first == (1, 3)
    tiny = one(np.full((2, 3), 5e-324))  # denormal: not 0, though its square is
    assert tiny.non_finite.count == 0
    assert tiny.dead_rows.count == 0


def test_many_rows_are_counted_and_the_first_hundred_named():
    found = one(np.zeros((500, 3)))
    assert found.dead_rows.count == 500
    assert found.dead_rows.first == tuple(range(100))
    assert [scheme.name for scheme in found.schemes] == ["zeros"]


def test_the_share_in_theorem_1_is_that_of_its_domain():
    rows = [[s, q] for s in (-0.11, -0.09, 0.05, 0.2) for q in (0.9, 0.96, 1.09, 1.2)]

    # Two weights a ± b with a + b = s and a² + b² = q.
    def row(s, q):
        half = math.sqrt(q / 2 - s * s / 4)
        return [s / 2 + half, s / 2 - half]

    values = np.array([row(s, q) for s, q in rows])
    inside = [theorem_domain(0.0, 1.0, weight_sum=s, weight_square_sum=q) == "1" for s, q in rows]
    assert one(values).in_theorem_1 == np.mean(inside) == 4 / 16
    for sums, squares in ((WEIGHT_SUM[0], 1.0), (WEIGHT_SUM[1], WEIGHT_SQUARE_SUM[1])):
        here = theorem_domain(0.0, 1.0, weight_sum=sums, weight_square_sum=squares)
        assert here == "1"
        beyond = theorem_domain(
            0.0, 1.0, weight_sum=sums * 1.001, weight_square_sum=squares * 1.001
        )
        assert beyond != "1"
