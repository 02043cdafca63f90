"""Statistics gathered tile by tile, and the Gram matrix, match their definitions."""

from __future__ import annotations

import math

import numpy as np
import pytest

from snstat.engine.kernels import counts, moments
from snstat.engine.kernels.sums import merge, new_sums, reset, sums_of
from snstat.results import MEASURED
from tests.engine import oracle

TILE = 16


def gather(x, centred, members=1):
    """Return statistics and Gram matrix of `x` (batch, units), with tiles distributed over
    members."""
    batch, units = x.shape
    sums = new_sums(members, batch)
    for member in range(members):
        reset(sums_of(sums, member), 0)
    spare, product = np.empty((batch, TILE), x.dtype), np.empty((batch, batch), x.dtype)
    wide = np.empty((batch, TILE))
    starts = range(0, units, TILE)
    for number, first in enumerate(starts):
        tile = np.zeros((batch, TILE), x.dtype)
        count = min(TILE, units - first)
        tile[:, :count] = x[:, first : first + count]
        member = number * members // len(starts)
        own = sums_of(sums, member)
        assert moments.absorb(tile, count, own, spare, product, wide, centred)
    for member in range(1, members):
        merge(sums, member)
    gram, out = np.empty((batch, batch)), np.empty(len(MEASURED))
    moments.finish_gram(sums_of(sums, 0), centred, gram)
    moments.conclude(units, sums_of(sums, 0), gram, 0.25, 0.125, out)
    return gram, out


@pytest.mark.parametrize("members", [1, 2, 3])
@pytest.mark.parametrize("centred", [False, True])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_sums_over_tiles_and_members_match_the_definitions(dtype, centred, members):
    x = np.random.default_rng(3).normal(0.5, 2.0, (7, 3 * TILE - 5)).astype(dtype)
    # Members see different means, and so use different shifts.
    x[:, TILE:] += dtype == "float32"
    gram, out = gather(x, centred, members)
    exact = x.astype(np.float64)
    # A float32 product of 16 terms of size up to 50 rounds each term by 2^-24; `direct` does not.
    rounding = 16 * 50 * 2.0**-24 if centred and dtype == "float32" else 1e-12
    np.testing.assert_allclose(gram, exact @ exact.T, rtol=1e-13, atol=3 * rounding)
    expected = oracle.statistics(x, 0.25, 0.125)
    for name, value in zip(MEASURED, out, strict=True):
        loose = name in {"second_moment", "cosine"}
        tolerance = rounding if loose else 1e-6 if name == "variance_over_batch" else 1e-12
        np.testing.assert_allclose(value, expected[name], rtol=tolerance, atol=1e-13, err_msg=name)


@pytest.mark.parametrize("centred", [False, True])
def test_zero_samples_have_no_cosine_and_are_counted(centred):
    x = np.random.default_rng(7).normal(size=(5, 2 * TILE))
    x[[1, 4]] = 0.0
    _, out = gather(x, centred, members=2)
    expected = oracle.statistics(x, 0.0)
    for name in ("cosine", "zero_samples", "largest"):
        assert out[MEASURED.index(name)] == pytest.approx(expected[name], rel=1e-12), name
    x[:3] = 0.0
    assert math.isnan(gather(x, centred)[1][MEASURED.index("cosine")])


@pytest.mark.parametrize("power", [-320, -170, -160, -90, -78, -60, 60, 75, 90, 154, 160, 300])
def test_ratios_of_powers_are_accurate_or_missing_at_any_scale(power):
    x = np.random.default_rng(6).normal(0.5, 1.0, (4, TILE))
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):  # plain Python warns
        _, out = gather(x * 10.0**power, centred=False)
    found = dict(zip(MEASURED, out, strict=True))
    exact = oracle.statistics(x, 0.0)  # independent of the scale
    for name in ("cosine", "kurtosis"):
        # Products of two squares are finite up to 1e±308.
        assert math.isfinite(found[name]) == (abs(power) <= 75), name
        if abs(power) <= 75:
            assert found[name] == pytest.approx(exact[name], rel=1e-12)


@pytest.mark.parametrize("apart", [1e-2, 1e-4, 1e-6, 1e-8])
def test_a_centred_product_resolves_one_minus_cosine(apart):
    """For collapsed inputs 1 − cosine keeps its relative accuracy in float32 products."""
    rng = np.random.default_rng(5)
    common, own = rng.normal(size=400), rng.normal(size=(6, 400))
    x = (common + math.sqrt(apart) * own).astype(np.float32)
    exact = 1 - oracle.statistics(x, 0.0)["cosine"]
    assert exact == pytest.approx(apart, rel=0.2)
    gram, out = gather(x, centred=True)
    # Differences of float32 values are exact; squaring and summing them rounds by 2^-24 each. The
    # rest is float64: 2^-53 of the cosine, far below 1e-8.
    assert 1 - out[MEASURED.index("cosine")] == pytest.approx(exact, rel=1e-5)
    wide = x.astype(np.float64)
    distances = np.diag(gram)[:, None] + np.diag(gram) - 2 * gram
    expected = ((wide[:, None] - wide) ** 2).sum(axis=-1)
    np.testing.assert_allclose(distances, expected, rtol=1e-5, atol=1e-10)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_non_finite_values_are_noticed(bad):
    x = np.ones((3, TILE), np.float32)
    x[1, 4] = bad
    sums = sums_of(new_sums(1, 3), 0)
    scratch = np.empty_like(x), np.empty((3, 3), np.float32), np.empty((3, TILE))
    reset(sums, 0)
    assert not moments.absorb(x, TILE, sums, *scratch, True)
    # Units beyond the count are ignored.
    x[:, 4] = 1.0
    x[1, TILE - 1] = bad
    reset(sums, 0)
    assert moments.absorb(x, TILE - 1, sums, *scratch, True)


def test_dead_units_have_no_live_sample():
    z = np.array([[-1.0, -2.0, 0.0, 3.0], [-1.0, 0.5, -1.0, 4.0]])
    assert counts.dead_columns(z, 4, 0.0, math.inf) == 2
    assert counts.dead_columns(z, 4, -1.0, 1.0) == 2
    assert counts.dead_columns(z, 2, 0.0, math.inf) == 1
