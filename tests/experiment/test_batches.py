"""The expected statistics of a random batch of data, beside all batches that there are."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from snstat.experiment.data import DataInputs


@pytest.mark.parametrize("batch", [2, 3, 5])
def test_the_moments_of_random_batches(batch):
    rows = np.random.default_rng(5).normal(0.4, 1.0, (5, 6)) * [[1.0], [2.0], [0.5], [1.0], [3.0]]
    found = DataInputs("rows", rows, batch).moments()
    batches = [rows[list(chosen)] for chosen in combinations(range(5), batch)]
    for name, value in (
        ("mean", [x.mean() for x in batches]),
        ("second_moment", [(x**2).mean() for x in batches]),
        ("variance", [x.var() for x in batches]),
        ("variance_over_batch", [x.var(axis=0).mean() for x in batches]),
        ("variance_over_units", [x.var(axis=1).mean() for x in batches]),
    ):
        assert found[name] == pytest.approx(np.mean(value), rel=1e-12), name
