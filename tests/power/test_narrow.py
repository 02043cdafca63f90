"""SN501 keeps its promise where trials are skewed: in narrow networks and small batches."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from numba import config

from snstat.checks.chance import chance_of
from snstat.results import Statistic
from tests.power.narrow import NARROW, alarms

# Networks at once, as if they were layers.
RUNS = 20_000


def products(width, layers, trials, seed=0):
    """Second moments of linear networks, one sample each: products of χ²/n, (trials, RUNS)."""
    random = np.random.default_rng(seed)
    squares = random.chisquare(width, (layers + 1, trials, RUNS)) / width
    return squares.prod(axis=0)


def measured(values):
    """The statistic of per-trial `values` (trials, runs) of expectation 1."""
    trials = len(values)
    stderr = values.std(axis=0, ddof=1) / math.sqrt(trials)
    one, none = np.ones(RUNS), np.zeros(RUNS)
    return Statistic(values.mean(axis=0), stderr, one, one, none)


@pytest.mark.parametrize(("width", "layers", "trials"), [(8, 3, 16), (16, 6, 8), (16, 2, 4)])
def test_skewed_second_moments_are_accused_no_more_often_than_stated(width, layers, trials):
    statistic = measured(products(width, layers, trials))
    # Var ln of a product is 2/n a layer, to first order, the input counted as one.
    least = np.full(RUNS, math.sqrt(2.0 / width * (layers + 1) / trials))
    for level in (1e-2, 1e-3):
        found = chance_of(None, "second_moment", statistic, trials, least) < level
        # Three standard deviations of a count.
        assert found.sum() <= RUNS * level + 3.0 * math.sqrt(RUNS * level)
    # Student's t of the values themselves accuses several times as many.
    plain = chance_of(None, "kurtosis", statistic, trials, least) < 1e-3
    assert plain.sum() > 3 * RUNS * 1e-3


def test_second_moments_that_are_wrong_are_found_on_either_side():
    # Of width 1024 three layers vary by √(8/1024) = 9 % a trial, 3 % over 8 trials.
    values = products(1024, 3, 8)
    statistic, least = measured(values), np.full(RUNS, math.sqrt(2.0 / 1024 * 4 / 8))
    for factor in (0.5, 2.0):
        wrong = replace(statistic, estimate=factor * statistic.estimate)
        found = chance_of(None, "second_moment", wrong, 8, least) < 1e-4
        assert found.mean() > 0.9


@pytest.mark.slow
@pytest.mark.skipif(bool(config.DISABLE_JIT), reason="hundreds of networks need compiled kernels")
@pytest.mark.parametrize(("name", "options"), NARROW[:3])
def test_narrow_stacks_are_not_accused(name, options):
    # At 1 in 200, 6 or more of 300 have probability 0.4 %.
    assert alarms(options, 300) < 6, name
