"""SN501 keeps its false-alarm rate for skewed trials: narrow networks and small batches."""

from __future__ import annotations

import math
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from numba import config

from snstat.checks.unlikely import chance_of
from snstat.results import Statistic
from tests.power.narrow import NARROW, alarms

# Networks computed at once, in place of layers.
RUNS = 20_000


def products(width, layers, trials, seed=0):
    """Second moments of linear networks with one sample: products of χ²/n, (trials, RUNS)."""
    random = np.random.default_rng(seed)
    squares = random.chisquare(width, (layers + 1, trials, RUNS)) / width
    return squares.prod(axis=0)


def measured(values):
    """The statistic of per-trial `values` (trials, runs) with expectation 1."""
    trials = len(values)
    stderr = values.std(axis=0, ddof=1) / math.sqrt(trials)
    one, none = np.ones(RUNS), np.zeros(RUNS)
    return Statistic(values.mean(axis=0), stderr, one, one, none)


@pytest.mark.parametrize(("width", "layers", "trials"), [(8, 3, 16), (16, 6, 8), (16, 2, 4)])
def test_skewed_second_moments_alarm_no_more_often_than_stated(width, layers, trials):
    statistic = measured(products(width, layers, trials))
    # To first order, Var ln of a product is 2/n per layer, including the input.
    least = np.full(RUNS, math.sqrt(2.0 / width * (layers + 1) / trials))
    for level in (1e-2, 1e-3):
        found = chance_of(None, "second_moment", statistic, trials, least) < level
        # Three standard deviations of a count.
        assert found.sum() <= RUNS * level + 3.0 * math.sqrt(RUNS * level)
    # Student's t of the values without logarithms gives several times as many alarms.
    plain = chance_of(None, "kurtosis", statistic, trials, least) < 1e-3
    assert plain.sum() > 3 * RUNS * 1e-3


def test_wrong_second_moments_are_found_on_both_sides():
    # Three layers of width 1024 vary by √(8/1024) = 9 % between trials, 3 % for 8 trials.
    values = products(1024, 3, 8)
    statistic, least = measured(values), np.full(RUNS, math.sqrt(2.0 / 1024 * 4 / 8))
    for factor in (0.5, 2.0):
        wrong = replace(statistic, estimate=factor * statistic.estimate)
        found = chance_of(None, "second_moment", wrong, 8, least) < 1e-4
        assert found.mean() > 0.9


def cosines(batch, width, trials):
    """The mean cosine of all pairs of `batch` normal vectors in thousands of runs, whose
    expectation is 0."""
    runs = RUNS // 4
    x = np.random.default_rng(0).standard_normal((trials, runs, batch, width))
    total = (x / np.linalg.norm(x, axis=-1, keepdims=True)).sum(axis=2)
    values = ((total**2).sum(axis=-1) - batch) / (batch * (batch - 1))
    stderr, zero = values.std(axis=0, ddof=1) / math.sqrt(trials), np.zeros(runs)
    return Statistic(values.mean(axis=0), stderr, zero, zero, zero)


def unlikely(name, statistic, batch):
    zero = np.zeros(statistic.estimate.size)
    return (chance_of(SimpleNamespace(batch=batch), name, statistic, 8, zero) < 1e-3).sum()


def test_skewed_cosines_alarm_no_more_often_than_stated():
    statistic = cosines(batch=32, width=4, trials=8)
    expected = 1e-3 * statistic.estimate.size
    # Three standard deviations of a count.
    assert unlikely("cosine", statistic, 32) <= expected + 3.0 * math.sqrt(expected)
    # Student's t of the cosines themselves gives several times as many alarms.
    assert unlikely("kurtosis", statistic, 32) > 3.0 * expected


@pytest.mark.parametrize("wrong", [-0.12, 0.3])
def test_wrong_cosines_are_found_on_both_sides(wrong):
    statistic = cosines(batch=8, width=8, trials=8)
    moved = np.full(statistic.estimate.size, wrong)
    found = unlikely("cosine", replace(statistic, theory=moved, expected=moved), 8)
    assert found > 0.9 * statistic.estimate.size


@pytest.mark.slow
@pytest.mark.skipif(bool(config.DISABLE_JIT), reason="hundreds of networks need compiled kernels")
@pytest.mark.parametrize(("name", "options"), [*NARROW[:3], *NARROW[-3:-1]])
def test_narrow_stacks_give_no_alarms(name, options):
    # At a rate of 1 in 200, 6 or more alarms in 300 runs have probability 0.4 %.
    assert alarms(options, 300) < 6, name
