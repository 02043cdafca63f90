"""Comparisons with a baseline, against scipy's Welch test and against exact probabilities."""

from __future__ import annotations

import math
from dataclasses import replace
from types import MappingProxyType

import numpy as np
import pytest
from scipy.stats import binom, norm, ttest_ind
from scipy.stats import f as f_ratio

from snstat.checks.baseline import (
    FALSE_ALARM,
    compare,
    differences_of,
    identical,
    require_trials,
    spread_of,
    welch,
)
from snstat.checks.unlike import unlike
from snstat.errors import InvalidValueError
from snstat.results import STATISTICS, Statistic
from tests.checks.runs import TYPICAL, sampled

MIN_EFFECT = 0.01


@pytest.fixture
def random():
    return np.random.default_rng(7)


def with_statistic(run, name, **arrays):
    changed = dict(run.statistics) | {name: replace(run.statistics[name], **arrays)}
    return replace(run, statistics=MappingProxyType(changed))


def both(random, trials, others, spread=3.0):
    first = random.standard_normal((trials, 50))
    second = spread * random.standard_normal((others, 50)) + 1.0
    errors = [values.std(axis=0, ddof=1) / np.sqrt(len(values)) for values in (first, second)]
    difference = first.mean(axis=0) - second.mean(axis=0)
    ours = welch(difference, *errors, trials, others)
    return ours, ttest_ind(first, second, equal_var=False).pvalue


@pytest.mark.parametrize("trials", [2, 3, 8, 40])
def test_welch_equals_scipy(random, trials):
    ours, scipys = both(random, trials, trials)
    assert ours == pytest.approx(scipys, rel=1e-9)


@pytest.mark.parametrize(("trials", "others"), [(2, 8), (4, 64), (8, 16), (8, 1000)])
def test_unequal_trials_are_judged_with_fewer_degrees_of_freedom(random, trials, others):
    ours, scipys = both(random, trials, others)
    assert (ours >= scipys * (1.0 - 1e-9)).all()
    # P(|t| > t*) for equal normal variances, averaged over the distribution of the standard errors.
    level, draws = 1e-5, 200_000
    errors = [
        np.sqrt(random.chisquare(count - 1, draws) / (count - 1) / count)
        for count in (trials, others)
    ]
    low, high = np.zeros(draws), np.full(draws, 1e6)
    for _ in range(30):  # to 3e-8 of the difference
        middle = np.sqrt((low + 1e-9) * high)
        beyond = welch(middle, *errors, trials, others) > level
        low, high = np.where(beyond, middle, low), np.where(beyond, high, middle)
    rate = 2.0 * norm.sf(high / math.sqrt(1.0 / trials + 1.0 / others)).mean()
    assert rate <= level


def test_welch_of_tiny_and_huge_errors_keeps_its_precision():
    tiny = welch(np.array([3e-200]), np.array([1e-200]), np.array([1e-200]), 8, 8)
    assert tiny == pytest.approx(welch(np.array([3.0]), np.array([1.0]), np.array([1.0]), 8, 8))


def test_two_runs_of_one_stack_rarely_differ(random):
    repetitions = 400
    alarms = sum(
        compare(sampled(random), sampled(random), 0.0) is not None for _ in range(repetitions)
    )
    # Layers and statistics are independent, so that Bonferroni's bound is nearly reached.
    assert alarms <= binom.ppf(1.0 - 1e-6, repetitions, FALSE_ALARM)


def test_a_change_is_found_where_it_begins(random):
    factors = np.where(np.arange(20) >= 5, 1.2, 1.0)
    broken = compare(sampled(random, scale={"variance": factors}), sampled(random), MIN_EFFECT)
    assert broken.layer == 5
    assert broken.value == pytest.approx(1.2, abs=0.03)
    assert broken.bound == pytest.approx(1.0, abs=0.03)
    assert "layer 5: variance" in broken.text
    assert "+2" in broken.text or "+19" in broken.text


def test_a_significant_difference_below_the_minimal_effect_is_ignored(random):
    scale = {"variance": 1.005 * np.ones(20)}
    run = sampled(random, spread=1e-5, scale=scale)
    baseline = sampled(random, spread=1e-5)
    assert compare(run, baseline, MIN_EFFECT) is None
    assert compare(run, baseline, 0.001) is not None


def test_a_change_of_the_mean_is_relative_to_the_root_mean_square(random):
    run, baseline = sampled(random, spread=1e-6), sampled(random, spread=1e-6)
    moved = run.statistics["mean"].estimate + 0.008
    # A hundredth of the root mean square is a twelfth of the mean.
    assert compare(with_statistic(run, "mean", estimate=moved), baseline, MIN_EFFECT) is None
    moved += 0.01
    assert compare(with_statistic(run, "mean", estimate=moved), baseline, MIN_EFFECT) is not None


def test_values_without_variance_are_compared_exactly(random):
    run, baseline = sampled(random), sampled(random)
    still = np.zeros(20)
    exact = {"dead_fraction": Statistic(still, still, np.full(20, np.nan))}
    run = replace(run, statistics=MappingProxyType(dict(run.statistics) | exact))
    baseline = replace(baseline, statistics=MappingProxyType(dict(baseline.statistics) | exact))
    assert compare(run, baseline, MIN_EFFECT) is None
    dead = still.copy()
    dead[7] = 0.3
    broken = compare(with_statistic(run, "dead_fraction", estimate=dead), baseline, MIN_EFFECT)
    assert (broken.layer, broken.value) == (7, 0.3)
    assert "beyond chance" in broken.text


@pytest.mark.parametrize(("name", "change", "found"), [
    # A variance over samples that are alike is what rounding leaves of their squares.
    ("variance_over_batch", 9.0, False),
    ("variance_over_batch", 11.0, True),
    # Of no other statistic.
    ("dead_fraction", 0.3, True),
    ("kurtosis", 9.0, True),
    # Relative to itself, or absolute: rounding.
    ("kurtosis", 2e-9, False),
    ("dead_fraction", 0.9e-9, False),
])  # fmt: skip
def test_what_does_not_vary_differs_by_more_than_rounding(random, name, change, found):
    """Second moments are 1e10, and the rounding of sums of them 10."""
    still = sampled(random, spread=0.0, scale={"second_moment": 1e10 / 1.01 * np.ones(20)})
    value = 1e-3 if name == "variance_over_batch" else TYPICAL[name]
    other = value + change * (np.arange(20) == 6)
    still = with_statistic(still, name, estimate=np.full(20, value), stderr=np.zeros(20))
    for run in (still, with_statistic(still, name, estimate=other)):
        (chance,) = [entry.chance for entry in differences_of(run, still) if entry.name == name]
        compared = [6] if found and run is not still else []
        assert np.flatnonzero(~np.isnan(chance)).tolist() == compared
        assert (chance[compared] == 0.0).all()


def test_spreads_are_compared_that_are_small_but_no_rounding(random):
    """By Fisher's F of the ratio of variances, whichever run varies more."""
    # Between single trials, relative to the second moment of 1.
    spreads = np.array([0.099, 0.101, 1.1e-9, 0.9e-9, 0.05, 0.05, 0.05, 0.04, 0.05, 0.04])
    others = np.array([0.05, 0.05, 1e-3, 1e-3, 0.099, 0.101, 0.9e-9, 0.05, 0.04, 0.04])
    run, baseline = (
        with_statistic(sampled(random, layers=10, trials=trials), "second_moment",
                       estimate=np.ones(10), stderr=values / math.sqrt(trials))
        for trials, values in ((8, spreads), (5, others))
    )  # fmt: skip
    found = spread_of(run, baseline)
    compared = [0, 2, 4, 7, 8, 9]
    assert np.flatnonzero(~np.isnan(found.chance)).tolist() == compared
    np.testing.assert_allclose(found.effect, np.log(spreads / others), rtol=1e-12, atol=1e-12)
    ratio = (spreads / others)[compared] ** 2
    tails = np.minimum(f_ratio.cdf(ratio, 7, 4), f_ratio.sf(ratio, 7, 4))
    np.testing.assert_allclose(found.chance[compared], 2.0 * tails, rtol=1e-9)


def test_a_layer_that_is_finite_in_one_run_only_is_a_difference(random):
    finite = np.arange(20) < 12
    broken = compare(sampled(random, finite=finite), sampled(random), MIN_EFFECT)
    assert (broken.layer, broken.text) == (12, "layer 12 is not finite, and was in the baseline")
    broken = compare(sampled(random), sampled(random, finite=finite), MIN_EFFECT)
    assert broken.text == "layer 12 is finite, and was not in the baseline"


def test_stacks_of_different_depth_are_compared_in_their_common_layers(random):
    for now, was in ((20, 12), (19, 20)):
        broken = compare(sampled(random, layers=now), sampled(random, layers=was), MIN_EFFECT)
        assert broken.text.startswith(f"has {now - 1} layers, and {was - 1} in the baseline")
        assert (broken.layer, broken.value, broken.bound) == (min(now, was), now - 1, was - 1)
    differences = list(differences_of(sampled(random, layers=20), sampled(random, layers=12)))
    assert {len(entry.chance) for entry in differences} == {12}
    assert [entry.name for entry in differences] == list(STATISTICS)


def test_all_statistics_are_compared_but_the_largest(random):
    run = sampled(random)
    others = {"largest": run.statistics["variance"], "gradient": run.statistics["variance"]}
    run = replace(run, statistics=MappingProxyType(dict(run.statistics) | others))
    assert [entry.name for entry in differences_of(run, run)] == [*STATISTICS, "gradient"]


def test_runs_without_anything_to_compare_differ_in_their_depth_at_most(random):
    none = np.full(20, math.nan)
    missing = dict.fromkeys(STATISTICS, Statistic(none, none, none))
    run = replace(sampled(random), statistics=MappingProxyType(missing))
    assert compare(run, run, MIN_EFFECT) is None
    deeper = replace(run, subject=replace(run.stack, depth=30))
    assert "has 30 layers, and 19 in the baseline" in compare(deeper, run, MIN_EFFECT).text


def test_one_trial_is_refused(random):
    require_trials("trials", 2)
    with np.errstate(invalid="ignore"):
        one = replace(sampled(random), simulation=replace(sampled(random).simulation, trials=1))
    with pytest.raises(InvalidValueError, match="at least 2"):
        compare(one, sampled(random), MIN_EFFECT)
    with pytest.raises(InvalidValueError, match="baseline trials"):
        compare(sampled(random), one, MIN_EFFECT)


def test_gradients_are_compared_on_a_logarithmic_scale(random):
    run, baseline = sampled(random), sampled(random)
    layers = np.arange(20)
    gradient = Statistic(
        np.exp(0.1 * layers), np.full(20, 1e-4), np.full(20, np.nan), logarithmic=True
    )
    grown = replace(gradient, estimate=np.where(layers == 3, 1.05, 1.0) * gradient.estimate)
    run = replace(run, statistics=MappingProxyType(dict(run.statistics) | {"gradient": grown}))
    baseline = replace(
        baseline, statistics=MappingProxyType(dict(baseline.statistics) | {"gradient": gradient})
    )
    broken = compare(run, baseline, MIN_EFFECT)
    assert broken.layer == 3
    assert "+5.0%" in broken.text
    # One of the runs measured no gradients, so nothing is compared.
    assert compare(run, sampled(random), MIN_EFFECT) is None


def test_gradients_are_told_last_because_they_depend_on_later_layers(random):
    run = sampled(random)
    gradient = Statistic(np.ones(20), np.full(20, 1e-4), np.full(20, np.nan), logarithmic=True)
    baseline = replace(
        run, statistics=MappingProxyType(dict(run.statistics) | {"gradient": gradient})
    )
    # As a change of layer 12 moves gradients of all layers before it.
    moved = replace(gradient, estimate=np.where(np.arange(20) < 12, 2.0, 1.0))
    changed = replace(run, statistics=MappingProxyType(dict(run.statistics) | {"gradient": moved}))
    for found in (identical(changed, baseline), compare(changed, baseline, MIN_EFFECT)):
        assert found.layer == 0
        assert "gradient" in found.text
    later = run.variance.estimate * np.where(np.arange(20) >= 12, 1.5, 1.0)
    both = with_statistic(changed, "variance", estimate=later)
    for found in (identical(both, baseline), compare(both, baseline, MIN_EFFECT)):
        assert found.layer == 12
        assert "variance" in found.text


def test_runs_of_the_same_seed_are_compared_exactly(random):
    run = sampled(random)
    assert identical(run, run) is None
    moved = run.statistics["kurtosis"].estimate.copy()
    moved[4] = np.nextafter(moved[4], 2.0 * moved[4])
    broken = identical(with_statistic(run, "kurtosis", estimate=moved), run)
    assert broken.layer == 4
    assert repr(float(moved[4])) in broken.text
    assert TYPICAL["kurtosis"] == pytest.approx(broken.bound, rel=0.05)
    # The first layer that differs is told, whatever the statistic.
    early = run.statistics["variance"].estimate.copy()
    early[2:] *= 1.5
    both_moved = with_statistic(with_statistic(run, "kurtosis", estimate=moved), "variance",
                                estimate=early)  # fmt: skip
    broken = identical(both_moved, run)
    assert (broken.layer, broken.bound) == (2, run.statistics["variance"].estimate[2])


@pytest.mark.parametrize(("name", "size"), [
    ("mean", 2.0), ("variance", 4.0), ("second_moment", 4.0), ("variance_over_batch", 4.0),
    ("variance_over_units", 4.0), ("cosine", 1.0), ("kurtosis", 3.0 * 4.0 / 0.01),
])  # fmt: skip
def test_rounding_is_relative_to_what_cancels(random, name, size):
    """Where the second moment is 4, most of it the square of the mean: the fourth central moment
    over the squared variance loses what the variance loses."""
    values = {"second_moment": 4.0, "variance": 0.01, "kurtosis": 3.0}
    baseline = sampled(random)
    for other, value in values.items():
        baseline = with_statistic(baseline, other, estimate=np.full(20, value))
    allowed = np.full(20, 1e-3)
    for share, equal in ((0.99, True), (1.01, False)):
        estimate = baseline.statistics[name].estimate.copy()
        estimate[6] += share * 1e-3 * size
        run = with_statistic(baseline, name, estimate=estimate)
        broken = identical(run, baseline, allowed)
        assert (broken is None) == equal
    assert broken.layer == 6
    assert broken.text.startswith(f"not the same from layer 6 on: {name.replace('_', ' ')} ")


def test_a_change_of_the_variance_between_networks_is_found(random):
    run, baseline = sampled(random, trials=16, spread=0.002), sampled(random, trials=16)
    broken = compare(run, baseline, MIN_EFFECT)
    assert "varies by 0.00" in broken.text
    assert "another distribution" in broken.text
    # Of second moments of another size too. The relative error of a deviation is 1/√30.
    large = {"second_moment": np.full(20, 4.0)}
    broken = compare(
        sampled(random, trials=16, spread=0.002, scale=large),
        sampled(random, trials=16, spread=0.02, scale=large),
        MIN_EFFECT,
    )
    assert broken.value == pytest.approx(0.002 / 4, rel=5.0 / math.sqrt(30))
    assert broken.bound == pytest.approx(0.02 / 4, rel=5.0 / math.sqrt(30))
    chance = spread_of(run, baseline).chance
    for layer in (0, 7, 19):
        deviations = [some.statistics["second_moment"].stderr[layer] for some in (run, baseline)]
        means = [some.statistics["second_moment"].estimate[layer] for some in (run, baseline)]
        ratio = (deviations[0] / means[0] / (deviations[1] / means[1])) ** 2
        assert chance[layer] == pytest.approx(2.0 * f_ratio.cdf(ratio, 15, 15))


def test_equal_variances_between_networks_rarely_differ(random):
    # Log-normal values, as skewed as the most skewed values that are compared.
    values = np.exp(0.09 * random.standard_normal((2, 8, 40_000)))
    runs = []
    for part in values:
        stderr = part.std(axis=0, ddof=1) / math.sqrt(8)
        statistic = Statistic(part.mean(axis=0), stderr, np.full(40_000, math.nan))
        runs.append(with_statistic(sampled(random, layers=40_000), "second_moment",
                                   estimate=statistic.estimate, stderr=stderr))  # fmt: skip
    chance = spread_of(*runs).chance
    for level in (1e-2, 1e-3):
        compared = np.count_nonzero(~np.isnan(chance))
        # Four standard deviations of the count.
        bound = compared * level + 4.0 * math.sqrt(compared * level)
        assert np.count_nonzero(chance < level) <= bound


def test_notes_tell_how_the_baseline_differs(random):
    run, baseline = sampled(random), sampled(random)
    assert unlike(run, baseline) == []
    other = replace(
        baseline,
        subject=replace(baseline.stack, activation="tanh", weight_gain=2.0),
        simulation=replace(baseline.simulation, batch=4),
    )
    of_stack, of_sampling = unlike(run, other)
    assert of_stack.endswith("baseline: activation is selu, was tanh; weight gain is 1.0, was 2.0")
    assert of_sampling == "the sampling differs from the baseline: batch is 16, was 4"
