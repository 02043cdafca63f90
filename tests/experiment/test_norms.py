"""Classes of samples by norm match plain sums over samples and pairs."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest

from snstat.experiment.data import DataInputs
from snstat.experiment.norms import MOST_CLASSES, classify


def lognormal(rows, width, seed=0):
    random = np.random.default_rng(seed)
    scale = np.exp(random.normal(size=(rows, 1)))
    return random.normal(0.5, 1.0, size=(rows, width)) * scale


def test_few_distinct_norms_give_a_class_each():
    assert classify(np.array([4.0, 1.0, 0.0, 4.0, 9.0])).tolist() == [2, 1, 0, 2, 3]
    assert classify(np.array([0.0, 0.0])).tolist() == [0, 0]
    assert classify(np.array([7.0])).tolist() == [0]


@pytest.mark.parametrize("zeros", [0, 5])
def test_classes_are_narrow_intervals_of_norms(zeros):
    seconds = (lognormal(3000, 40) ** 2).mean(axis=1)
    seconds[:zeros] = 0.0
    labels = classify(seconds)
    assert np.unique(labels).tolist() == list(range(MOST_CLASSES))
    ranges = [(seconds[labels == k].min(), seconds[labels == k].max()) for k in range(MOST_CLASSES)]
    assert all(high < low for (_, high), (low, _) in pairwise(ranges))
    logs = np.log(seconds[zeros:])
    within = sum(
        ((logs[labels[zeros:] == k] - logs[labels[zeros:] == k].mean()) ** 2).sum()
        for k in np.unique(labels[zeros:])
    )
    # The best k classes of a normal distribution leave √3π/2k² of its variance, some 0.5 % (Panter
    # and Dite 1951). Repeated halving leaves at most three times that.
    assert within / ((logs - logs.mean()) ** 2).sum() < 0.015


def test_the_record_matches_plain_loops():
    rows = np.concatenate([lognormal(7, 12), np.zeros((2, 12)), [np.full(12, 3.0)] * 3])
    norms = DataInputs("rows", rows, 12).moments().norms
    seconds = (rows**2).mean(axis=1)
    assert norms.samples == 12
    assert norms.largest == pytest.approx(seconds.max(), rel=1e-14)
    assert norms.count[0] == 2
    assert norms.second_moment[0] == 0.0
    # Every other class is one sample, or the three equal ones.
    places = [int(np.argmin(abs(seconds - value))) for value in norms.second_moment[1:]]
    for i, a in enumerate(places, 1):
        assert norms.second_moment[i] == pytest.approx(seconds[a], rel=1e-14)
        for j, b in enumerate(places, 1):
            cosine = rows[a] @ rows[b] / np.linalg.norm(rows[a]) / np.linalg.norm(rows[b])
            if i == j and norms.count[i] == 1:
                assert math.isnan(norms.cosine[i][j])
            else:
                assert norms.cosine[i][j] == pytest.approx(cosine, abs=1e-14)
        assert math.isnan(norms.cosine[0][i])


def test_equal_norms_or_squares_out_of_range_give_no_classes():
    rows = np.random.default_rng(0).choice([-1.0, 1.0], size=(8, 16))
    assert DataInputs("rows", rows, 8).moments().norms is None
    assert DataInputs("rows", rows * np.arange(1, 9)[:, None], 8).moments().norms is not None
    for powers in (np.logspace(0, 200, 8), np.logspace(0, -200, 8)):
        assert DataInputs("rows", rows * powers[:, None], 8).moments().norms is None


def test_scaling_data_scales_the_record():
    rows = lognormal(9, 5)
    found = DataInputs("rows", rows, 9).moments().scaled(16.0)
    direct = DataInputs("rows", rows / 4.0, 9).moments()
    for name in direct.keys():  # noqa: SIM118  # a Record is not a dict
        if name not in ("norms", "samples"):
            assert found[name] == pytest.approx(direct[name], rel=1e-12, nan_ok=True), name
    np.testing.assert_allclose(found.norms.second_moment, direct.norms.second_moment, rtol=1e-12)
    assert found.norms.largest == pytest.approx(direct.norms.largest, rel=1e-12)
