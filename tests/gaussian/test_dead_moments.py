"""The factors of the dead fraction of a batch against finite differences of the dead fraction."""

from __future__ import annotations

import numpy as np
import pytest

from snstat.activation import resolve
from snstat.gaussian.dead import dead_fraction
from snstat.gaussian.dead_moments import DeadTable

OF_PAIRS = 6  # the factor of the Gram matrix's entries for two different samples


@pytest.mark.parametrize("batch", [2, 64, 1000, 20_000])
@pytest.mark.parametrize("misalignment", [0.5, 0.1, 1e-4])
@pytest.mark.parametrize("name", ["relu", "hard_tanh"])
def test_the_factor_of_pairs_is_the_slope_in_the_correlation(name, misalignment, batch):
    activation, q = resolve(name), np.array([2.0])

    def dead(apart):
        return float(dead_fraction(activation, q, np.array([apart]), batch)[0])

    step = 1e-4 * misalignment
    slope = (dead(misalignment - step) - dead(misalignment + step)) / (2.0 * step)
    found = DeadTable(activation, 2.0, 1.0, batch).numbers(misalignment)[OF_PAIRS]
    # Rounding of the difference and both quadratures err by a few in a million.
    assert found == pytest.approx(slope, rel=1e-5)
