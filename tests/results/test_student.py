"""Student's t, compared with scipy.stats, which is too slow to import for a run."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from snstat.results.student import MANY, quantile, tail, tails

FREEDOMS = [1, 2, 3, 4, 7, 8, 63, MANY - 1, MANY, MANY + 1, 4999]
VALUES = (0.0, 0.3, -1.0, 2.5, 5.0, 40.0, math.inf)


@pytest.mark.parametrize("freedom", FREEDOMS)
def test_tails_of_whole_degrees_of_freedom(freedom):
    expected = 2.0 * stats.t.sf(np.abs(VALUES), freedom)
    # The tolerance allows for sums of up to 200 terms and a difference from 1.
    assert [tail(t, freedom) for t in VALUES] == pytest.approx(expected, rel=1e-9, abs=1e-13)
    assert tails(np.array(VALUES), freedom) == pytest.approx(expected, rel=1e-9)


def test_tails_of_fractional_degrees_of_freedom():
    freedom = np.array([1.5, 3.7])
    expected = 2.0 * stats.t.sf([2.0, 1.0], freedom)
    assert tails(np.array([-2.0, 1.0]), freedom) == pytest.approx(expected, rel=1e-9)
    assert np.isnan(tails(np.array([math.nan]), 3)).all()


@pytest.mark.parametrize("freedom", [1, 7, 1000])
def test_the_quantile_is_the_inverse_of_the_tail(freedom):
    for probability in (0.5, 1e-2, 1e-4):
        assert tail(quantile(probability, freedom), freedom) == pytest.approx(probability, rel=1e-8)
