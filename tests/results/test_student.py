"""Student's t, compared with mpmath and scipy."""

from __future__ import annotations

import math

import mpmath
import numpy as np
import pytest
from scipy import stats

from snstat.results.student import quantile, tail

FREEDOMS = (1.0, 1.5, 2.0, 3.7, 7.0, 8.0, 63.0, 400.0, 4999.0, 1e6)
VALUES = (1e-9, 0.3, 0.99, 1.0, 1.01, 2.5, 5.0, 37.0)


def exact(t, freedom):
    x = freedom / (freedom + mpmath.mpf(t) ** 2)
    return mpmath.betainc(mpmath.mpf(freedom) / 2, 0.5, 0, x, regularized=True)


# In floats, a probability p = exp(−y) has a relative error of y times that of y.
@pytest.mark.parametrize("freedom", FREEDOMS)
def test_the_tail_is_the_incomplete_beta_function(freedom):
    with mpmath.workdps(40):
        for t in VALUES if freedom > 1e3 else (*VALUES, 1e3, 1e10):
            expected = exact(t, freedom)
            if expected > 1e-290:
                assert abs(float(tail(-t, freedom) / expected - 1)) < 1e-13


def test_the_tail_at_the_ends():
    assert tail(0.0, 3) == 1.0
    assert tail(math.inf, 3) == 0.0
    assert tail(1e200, 1) == pytest.approx(2e-200 / math.pi, rel=1e-12)
    assert np.isnan(tail([math.nan, 1.0], [3.0, math.nan])).all()


def test_the_tail_broadcasts():
    t, freedom = np.array([[0.5], [-4.0]]), np.array([1.5, 3.7, 90.0])
    expected = 2.0 * stats.t.sf(np.abs(t), freedom)
    assert tail(t, freedom) == pytest.approx(expected, rel=1e-9)
    assert isinstance(tail(1.0, 2), float)


def test_the_tail_converges_anywhere():
    generator = np.random.default_rng(1)
    t = np.exp(generator.normal(0.0, 3.0, 20_000))
    freedom = 1.0 + np.exp(generator.normal(2.0, 3.0, t.size))
    assert tail(t, freedom) == pytest.approx(2.0 * stats.t.sf(t, freedom), rel=1e-9, abs=1e-300)


@pytest.mark.parametrize("freedom", [1, 2, 7, 1000])
def test_the_quantile_is_the_inverse_of_the_tail(freedom):
    for probability in (0.5, 1e-2, 1e-4):
        assert tail(quantile(probability, freedom), freedom) == pytest.approx(
            probability, rel=1e-13
        )
