"""The probabilities at which rules speak, just below and just above their level.

With two degrees of freedom, |t| exceeds x with probability 1 − x/√(2 + x²).
"""

from __future__ import annotations

import math
from dataclasses import replace
from types import MappingProxyType

import numpy as np
import pytest
from scipy import stats

from snstat.checks.baseline import compare
from snstat.checks.bounds import Bounds
from snstat.checks.chance import disagrees
from snstat.checks.pairs import collapses
from snstat.checks.stack_case import StackCase
from snstat.network.stack import Stack
from snstat.results import InputMoments, Statistic
from tests.checks.cases import case
from tests.checks.runs import sampled

# The documented probability that a sound stack breaks SN501, or that two runs of it break SN701.
LEVEL = 0.005
TRIALS, BATCH = 3, 16


def quantile(chance):
    """Return the |t| of two degrees of freedom that is exceeded with this probability."""
    inside = 1.0 - chance
    return math.sqrt(2.0) * inside / math.sqrt(1.0 - inside**2)


def statistic(name, t):
    """Return one with two layers, of which the last is t standard errors beyond what `neglected`
    explains, and the first has nothing to compare."""
    expected, neglected, stderr = 0.3, 0.02, 0.001
    estimate = expected + neglected + t * stderr
    if name == "variance":  # its logarithms are compared
        stderr = (math.log(estimate) - math.log(expected + neglected)) / t * estimate
    if name == "cosine":  # so is ln((1 + (B − 1) c)/(1 − c))
        far, near = (
            math.log((1 + (BATCH - 1) * c) / (1 - c)) for c in (estimate, expected + neglected)
        )
        stderr = (far - near) / t * (1 + (BATCH - 1) * estimate) * (1 - estimate) / BATCH
    columns = ([math.nan, value] for value in (estimate, stderr, expected, expected, neglected))
    return Statistic(*map(np.array, columns))


@pytest.mark.parametrize("odd", ["kurtosis", "cosine", "mean", "variance"])
@pytest.mark.parametrize("others", [0, 1, 2])
def test_theory_and_simulation_disagree_beyond_their_level(odd, others):
    """All comparisons share one level, and one trial is spent on the mean."""
    names = [name for name in ("second_moment", "variance_over_units") if name != odd][:others]
    calm = {name: statistic("variance", 1e-3) for name in names}
    level = LEVEL / (1 + others)
    for factor in (0.98, 1.02):
        found = {odd: statistic(odd, quantile(factor * level))} | calm
        run = sampled(np.random.default_rng(0), layers=2, trials=TRIALS)
        run = replace(run, statistics=MappingProxyType(found))
        broken = disagrees(replace(case("selu", 1, width=64, batch=BATCH), run=run))
        assert (broken is not None) == (factor < 1.0), factor
        if broken is not None:
            assert (broken.layer, broken.bound) == (1, 0.3)
            assert f"over {1 + others} comparisons" in broken.text


@pytest.mark.parametrize("factor", [0.98, 1.02])
def test_runs_differ_beyond_their_level(factor):
    layers, trials = 20, 8
    run = sampled(np.random.default_rng(7), layers=layers, trials=trials)
    # Seven statistics vary, and so does the spread of second moments. A tenth of the level is
    # that of the mean kurtosis, which these runs do not have.
    level = 0.9 * LEVEL / (8 * layers)
    variance = run.statistics["variance"]
    t = stats.t.isf(factor * level / 2.0, 2 * (trials - 1))
    moved = variance.estimate.copy()
    moved[5] += t * math.sqrt(2.0) * variance.stderr[5]
    changed = dict(run.statistics) | {"variance": replace(variance, estimate=moved)}
    broken = compare(replace(run, statistics=MappingProxyType(changed)), run, 0.0)
    assert (broken is not None) == (factor < 1.0)


@pytest.mark.parametrize(("cosine", "bound"), [(-0.5, 0.98), (0.0, 0.98), (0.5, 0.99)])
def test_inputs_that_point_apart_have_the_bound_of_uncorrelated_ones(cosine, bound):
    moments = InputMoments(0.0, 1.0, 1.0, 0.5 * (1.0 - cosine), 1.0, cosine, 3.0, 0.0)
    broken = collapses(StackCase(Stack.build("relu", 64, 512), 2, moments, Bounds()))
    assert broken.bound == pytest.approx(bound, rel=1e-12)
