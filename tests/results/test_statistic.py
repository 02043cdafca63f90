"""What a statistic compares its estimate with: `expected` where known, else `theory`."""

from __future__ import annotations

import math

import numpy as np
import pytest

from snstat.results import Statistic

# Layers: everything is known, `expected` is not, nothing is, and no trial differs.
ESTIMATE = np.array([1.5, 1.5, 1.5, 1.5])
STDERR = np.array([0.1, 0.1, 0.1, 0.0])
THEORY = np.array([2.0, 2.0, math.nan, 2.0])
EXPECTED = np.array([1.2, math.nan, math.nan, 1.2])
NEGLECTED = np.array([0.1, math.nan, math.nan, 0.1])


@pytest.mark.parametrize("logarithmic", [False, True])
def test_z_and_excess(logarithmic):
    statistic = Statistic(ESTIMATE, STDERR, THEORY, EXPECTED, NEGLECTED, logarithmic=logarithmic)
    np.testing.assert_array_equal(statistic.reference, [1.2, 2.0, math.nan, 1.2])
    beyond = [1.5 - 1.2, 1.5 - 2.0]
    if logarithmic:
        beyond = [math.log(1.5 / 1.2), math.log(1.5 / 2.0)]
    z = [beyond[0] / 0.1, beyond[1] / 0.1, math.nan, math.nan]
    # Rounding of a difference.
    np.testing.assert_allclose(statistic.z, z, rtol=1e-12)
    excess = [(beyond[0] - 0.1) / 0.1, math.nan, math.nan, math.inf]
    np.testing.assert_allclose(statistic.excess, excess, rtol=1e-12)
    for layer, value in enumerate(z):
        found = statistic.at(layer).z
        assert found == (None if math.isnan(value) else pytest.approx(value, rel=1e-12))
    error = 1.5 * STDERR if logarithmic else STDERR
    np.testing.assert_array_equal(statistic.error, error)


def test_what_neglected_terms_explain_is_no_excess():
    statistic = Statistic(ESTIMATE, STDERR, THEORY, EXPECTED, neglected=np.full(4, 0.4))
    # Where nothing is expected, `neglected` says how far theory may be off.
    by_theory = abs(ESTIMATE[1] - THEORY[1]) - 0.4
    np.testing.assert_allclose(statistic.excess[:3], [0.0, by_theory / STDERR[1], math.nan])
