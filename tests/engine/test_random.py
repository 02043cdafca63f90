"""The random numbers: known answers, layout, moments, distribution, tails, independence."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numba import config
from scipy import stats

from snstat.engine.kernels import random
from tests.engine import box_muller, oracle

# Values drawn by the statistical tests; fewer where kernels run as plain Python. Every bound below
# is derived from this number.
SIZE = 2**13 if config.DISABLE_JIT else 2**22
# Two-sided probability of a false alarm of one statistical assertion. The draws are seeded, so that
# a passing assertion keeps passing.
ALARM = 1e-6
Z = stats.norm.isf(ALARM / 2)


def draw(rows, columns, *, uniform=False, scale=1.0, first=0, key=1, dtype=np.float32, **stream):
    out = np.empty((rows, columns), dtype)
    where = {"purpose": 0, "layer": 0, "trial": 0} | stream
    law = random.Law(random.UNIFORM if uniform else random.NORMAL, scale)
    stream = random.Draw(np.uint64(key), where["trial"], where["layer"])
    random.draw_rows(out, first, law, where["purpose"], stream)
    return out


@pytest.mark.parametrize(
    ("counter", "key", "answer"),
    [
        ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
        (
            (0xFFFFFFFF,) * 4,
            (0xFFFFFFFF,) * 2,
            (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD),
        ),
        (
            (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
            (0xA4093822, 0x299F31D0),
            (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
        ),
    ],
)
def test_philox_matches_the_known_answers_of_random123(counter, key, answer):
    arguments = [np.uint64(word) for word in (*counter, *key)]
    assert tuple(int(word) for word in random.philox_call(*arguments)) == answer
    assert oracle.philox(counter, key) == answer


@pytest.mark.parametrize("uniform", [False, True])
@pytest.mark.parametrize("columns", [1, 2, 3, 4, 7, 12])
def test_rows_equal_a_plain_loop(columns, uniform):
    stream = {"purpose": 2, "layer": 5, "trial": 9}
    seed = 0x0123456789ABCDEF
    kind = "uniform" if uniform else "normal"
    single = draw(3, columns, uniform=uniform, first=4, key=seed, **stream)
    double = draw(3, columns, uniform=uniform, first=4, key=seed, dtype=np.float64, **stream)
    for i in range(3):
        expected = oracle.row_single(4 + i, columns, kind, seed=seed, **stream)
        # Single-precision polynomials: a few units in the last place of values up to 6.8.
        np.testing.assert_allclose(single[i], expected, rtol=2e-6, atol=2e-6)
        expected = oracle.row_double(4 + i, columns, kind, seed=seed, **stream)
        np.testing.assert_allclose(double[i], expected, rtol=1e-14, atol=1e-14)


def test_a_counter_beyond_32_bits_uses_the_second_word():
    first = 2**31 + 1  # rows of two blocks: the index is 2^32 + 2
    got = draw(1, 8, first=first)[0]
    np.testing.assert_allclose(got, oracle.row_single(first, 8, "normal", 0, 0, 0, 1), atol=2e-6)


def test_any_row_can_be_drawn_alone():
    whole = draw(6, 10)
    for i in range(6):
        np.testing.assert_array_equal(draw(1, 10, first=i)[0], whole[i])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_normal_moments_to_order_eight(dtype):
    x = draw(1, SIZE, dtype=dtype)[0].astype(np.float64)
    for order in range(1, 9):
        expected = math.prod(range(1, order, 2)) if order % 2 == 0 else 0.0
        # Var(x^k) = E x^2k − (E x^k)².
        spread = math.sqrt(math.prod(range(1, 2 * order, 2)) - expected**2)
        z = (np.mean(x**order) - expected) * math.sqrt(SIZE) / spread
        assert abs(z) < Z, (order, z)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("uniform", [False, True])
def test_kolmogorov_smirnov(uniform, dtype):
    x = draw(1, SIZE, uniform=uniform, dtype=dtype)[0].astype(np.float64)
    half_width = math.sqrt(3.0)
    law = stats.uniform(-half_width, 2 * half_width) if uniform else stats.norm
    assert stats.kstest(x, law.cdf).pvalue > ALARM


def test_tail_probabilities_are_normal():
    x = draw(1, SIZE)[0]
    for bound in (2.0, 3.0, 4.0, 4.5):
        share = stats.norm.sf(bound)
        for count in ((x > bound).sum(), (x < -bound).sum()):
            low, high = stats.binom.ppf([ALARM, 1 - ALARM], SIZE, share)
            assert low <= count <= high, (bound, count)


STREAMS = [
    {},
    {"key": 2},
    {"key": 1 + 2**32},
    {"purpose": 1},
    {"layer": 1},
    {"trial": 1},
    {"first": 1},
]


def test_streams_have_no_correlation_of_values_squares_or_neighbours():
    rows = np.array([draw(1, SIZE // 8, **stream)[0] for stream in STREAMS], dtype=np.float64)
    n = rows.shape[1]
    for power, spread in ((1, 1.0), (2, 2.0)):
        centred = rows**power - (power == 2)
        correlation = centred @ centred.T / n / spread * math.sqrt(n)
        off = correlation[~np.eye(len(rows), dtype=bool)]
        assert np.abs(off).max() < Z
        for lag in (1, 2, n // 4, n // 2):
            z = (centred[:, lag:] * centred[:, :-lag]).mean(axis=1) / spread * math.sqrt(n - lag)
            assert np.abs(z).max() < Z, lag


def test_words_have_fair_and_independent_bits():
    n = SIZE // 16
    # The uniform value of a word determines the word.
    x = draw(1, n, uniform=True, scale=1 / math.sqrt(3.0), dtype=np.float64)[0]
    bits = ((x + 1.0) * 2.0**31).astype(np.uint64)[:, None] >> np.arange(
        32, dtype=np.uint64
    ) & np.uint64(1)
    signs = bits.astype(np.float64) * 2 - 1
    correlation = signs.T @ signs / n * math.sqrt(n)
    assert np.abs(signs.mean(axis=0) * math.sqrt(n)).max() < Z
    assert np.abs(correlation[~np.eye(32, dtype=bool)]).max() < Z


@pytest.mark.parametrize("shift", [1, 17, 32, 63])
def test_one_bit_of_the_key_changes_half_the_output(shift):
    n = 256
    flips = [
        (a ^ b).bit_count()
        for i in range(n)
        for a, b in zip(
            oracle.words(i, 0, 0, 0, 5), oracle.words(i, 0, 0, 0, 5 ^ 1 << shift), strict=True
        )
    ]
    # 32 fair bits per word have variance 8.
    assert abs(np.mean(flips) - 16.0) < Z * math.sqrt(8.0 / len(flips))


def test_scale_is_the_standard_deviation():
    for uniform in (False, True):
        one, three = draw(2, 9, uniform=uniform), draw(2, 9, uniform=uniform, scale=3.0)
        # One more rounding, by the scale.
        np.testing.assert_allclose(three, 3.0 * one, rtol=4 * np.finfo(np.float32).eps)


def test_box_muller_is_accurate_to_a_few_ulp():
    # The step is odd, so that low bits vary too. Over all words the errors are 1.22, 2.75 and 1.72
    # (docs/random.md); they depend on where the compiler fuses multiplications and additions.
    step = 2**20 + 1 if config.DISABLE_JIT else 2**10 + 1
    assert box_muller.radius_error(step) < 1.5
    sine, cosine = box_muller.angle_error(step)
    assert sine < 3.0
    assert cosine < 2.0


@pytest.mark.parametrize("law", [random.NORMAL, random.UNIFORM, random.TRUNCATED])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("columns", [1, 4, 37, 128])
def test_strips_contain_the_columns_of_the_rows(columns, dtype, law):
    rows, values = 5, 16 // np.dtype(dtype).itemsize
    whole = np.empty((rows, columns), dtype)
    stream = (random.Law(law, 1.5), random.WEIGHTS, random.Draw(np.uint64(9), 1, 3))
    random.draw_rows(whole, 0, *stream)
    blocks = -(-columns // values)
    for first in range(0, blocks, 6):
        count = min(6, blocks - first)
        strip = np.empty((rows, values * count), dtype)
        random.draw_strip(strip, columns, first, *stream)
        for k in range(values):
            start = k * blocks + first
            expected = whole[:, start : min(start + count, columns)]
            got = strip[:, k * count : k * count + expected.shape[1]]
            np.testing.assert_array_equal(got, expected)
