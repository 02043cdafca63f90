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
from snstat.checks.unlikely import chance_of
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


def chance(name, estimate, *, stderr=0.001, least=0.0, theory=0.3, neglected=0.02):
    """Return the probability of one statistic of a layer that is expected to be 0.3."""
    column = Statistic(*(np.array([value]) for value in (estimate, stderr, theory, 0.3, neglected)))
    made = replace(case("relu", 1, width=64, batch=BATCH))
    return float(chance_of(made, name, column, TRIALS, np.array([least]))[0])


def two_sided(t):
    """Return the probability that |t| of two degrees of freedom is exceeded."""
    return 1.0 - t / math.sqrt(2.0 + t * t)


@pytest.mark.parametrize(("name", "stderr", "least", "share"), [
    # Of the mean, the least error is half of that of the second moment.
    ("mean", 0.001, 0.0, 0.001 / 0.3), ("mean", 0.001, 0.1, 0.05), ("mean", 0.03, 0.1, 0.1),
    ("second_moment", 0.001, 0.0, None), ("second_moment", 0.001, 0.1, 0.1),
])  # fmt: skip
def test_an_estimate_that_is_too_low_has_at_least_the_error_of_theory(name, stderr, least, share):
    """One that is too high has its own. Both are counted from what `neglected` leaves open."""
    for estimate in (0.35, 0.25):
        away, error = abs(estimate - 0.3) - 0.02, stderr
        if name == "second_moment":  # logarithms are compared
            away = abs(math.log(estimate / (0.32 if estimate > 0.3 else 0.28)))
            error = stderr / estimate
        if estimate < 0.3 and share is not None:
            error = share if name == "second_moment" else share * 0.3
        found = chance(name, estimate, stderr=stderr, least=least)
        assert found == pytest.approx(two_sided(away / error), rel=1e-9)
    for estimate in (0.281, 0.3, 0.319):
        assert chance(name, estimate, stderr=stderr, least=least) == 1.0


def test_a_variance_has_at_least_the_error_of_the_squared_mean_that_it_lacks():
    """Theory says 0.5 and expects 0.3: a squared mean of 0.2, with a deviation of √2 times that
    between single trials, and √B less of a mean over as many samples."""
    away = math.log(0.4 / 0.32)
    for name, samples in (("variance", 1), ("variance_over_units", BATCH)):
        error = 0.2 * math.sqrt(2.0 / (samples * TRIALS)) / 0.4
        found = chance(name, 0.4, theory=0.5)
        assert found == pytest.approx(two_sided(away / error), rel=1e-9)
    own = two_sided(away / (0.001 / 0.4))
    for name, theory in (("second_moment", 0.5), ("variance_over_batch", 0.5), ("variance", 0.2)):
        assert chance(name, 0.4, theory=theory) == pytest.approx(own, rel=1e-9)


@pytest.mark.parametrize(("estimate", "nearest"), [(0.45, 0.32), (0.15, 0.28)])
def test_counts_of_dead_units_are_as_likely_as_that_many_independent_ones_are(estimate, nearest):
    """At most 2 exp(−n KL) of 64 units in each of 3 trials, where errors are too small to count."""
    rest = (1.0 - estimate) * math.log((1.0 - estimate) / (1.0 - nearest))
    bound = 2.0 * math.exp(-64 * TRIALS * (estimate * math.log(estimate / nearest) + rest))
    assert bound < 1e-2
    assert chance("dead_fraction", estimate, stderr=1e-9) == pytest.approx(bound, rel=1e-9)
    # The larger of the two counts.
    wide = two_sided((abs(estimate - 0.3) - 0.02) / 0.1)
    assert chance("dead_fraction", estimate, stderr=0.1) == pytest.approx(wide, rel=1e-9)
    assert chance("dead_fraction", 0.319, stderr=1e-9) == 1.0
    # `neglected` leaves any share open.
    assert chance("dead_fraction", estimate, stderr=1e-9, neglected=0.9) == 1.0


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
