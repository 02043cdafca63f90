"""Estimates that differ from theory, and dead networks."""

from __future__ import annotations

import math
from dataclasses import replace
from types import MappingProxyType, SimpleNamespace

import numpy as np
import pytest
from numba import config
from scipy import stats

from snstat import check, propagate
from snstat.checks.bounds import Bounds
from snstat.checks.certainty import CHANCE, certain, share_strays, strays
from snstat.checks.chance import _differ_as_seen
from snstat.checks.request import Request
from snstat.checks.rules import RULES
from snstat.checks.units import dead_networks
from snstat.report.words import gradient_factor

# Gradients may hardly change.
NARROW = Bounds(gradient_decades=0.1)
DEAD = {"activation": "relu", "width": 2, "trials": 8}


@pytest.mark.parametrize("trials", [2, 3, 8, 100])
def test_false_alarms_with_few_trials_stay_below_the_level(trials):
    assert certain(trials) >= 6.0
    assert 2.0 * stats.t.sf(certain(trials), trials - 1) <= CHANCE * (1 + 1e-9)
    assert certain(1) == math.inf


@pytest.mark.parametrize("trials", [2, 8, 64])
@pytest.mark.parametrize("share", [0.01, 0.171, 0.5, 0.9])
def test_false_alarms_on_a_share_of_dead_networks_stay_below_the_level(trials, share):
    # The worst distribution is all or nothing; its sums are exactly binomial.
    counts = np.arange(trials + 1)
    mean = counts / trials
    stderr = np.zeros(trials + 1)  # without the contribution that Student's t covers
    far = share_strays(mean, stderr, np.full(trials + 1, share), trials)
    assert stats.binom.pmf(counts, trials, share)[far].sum() <= CHANCE
    if trials == 64:
        assert far[[0, -1]].any()


def test_shares_stray_by_their_error_where_hoeffding_is_no_help():
    """Fifty standard errors off, though a hundred shares of any law may be."""
    columns = [np.array([value]) for value in (0.5, 0.001, 0.45)]
    assert share_strays(*columns, 100).tolist() == [True]
    columns[1] = np.array([0.02])  # two and a half
    assert share_strays(*columns, 100).tolist() == [False]


@pytest.mark.parametrize(("share", "theory"), [(0.9, 0.5), (0.1, 0.5), (0.0, 0.02), (1.0, 0.6)])
def test_shares_that_agree_stray_where_hoeffding_says_that_chance_does_not(share, theory):
    """Trials that agree have no error: only n KL(s‖p) > ln(2/10⁻⁴) counts."""
    terms = [(share, theory), (1.0 - share, 1.0 - theory)]
    apart = sum(s * math.log(s / p) for s, p in terms if s > 0)
    few = math.floor(math.log(2e4) / apart)
    columns = [np.array([value]) for value in (share, 0.0, theory)]
    for trials in (few, few + 1):
        assert share_strays(*columns, trials).tolist() == [trials > few]


def test_values_without_variance_stray_where_they_differ():
    zero = np.zeros(3)
    estimate, theory = np.array([1.0, 1.0, math.nan]), np.array([1.0 + 1e-9, 1.01, 1.0])
    assert strays(estimate, zero, theory, 8).tolist() == [False, True, False]
    assert not strays(estimate, np.full(3, math.nan), theory, 1).any()


@pytest.mark.parametrize("seed", range(6))
def test_dead_networks_are_never_called_stable(seed):
    # With 10 layers of 2 units, 88.8 % of the networks are dead. In one run of 500, 3 or more of 8
    # are alive, and SN502 reports that.
    found = check(depth=10, seed=seed, ignore=["SN502"], **DEAD)
    assert found.verdict == "collapsed"
    # The networks still alive may have collapsed their inputs, which SN301 reports.
    told = {finding.code: finding for finding in found.findings}
    assert {"SN401"} <= set(told) <= {"SN301", "SN401"}
    assert "one output for every input" in told["SN401"].message
    assert "width ≥" in told["SN401"].remedy


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("backward", [False, True])
def test_zeros_of_dead_networks_are_not_an_underflow(dtype, backward):
    found = check(depth=20, dtype=dtype, backward=backward, select=["SN001", "SN401"], **DEAD)
    assert found.verdict == "collapsed"
    assert [finding.code for finding in found.findings] == ["SN401"]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_signal_that_underflows_to_zero_is_not_called_dead(dtype):
    run = propagate("relu", 16, width=64, trials=4, batch=8, weight_gain=1e-12, dtype=dtype)
    case = Request.build({}, saved=run).case(run)
    broken = RULES["SN001"](case)
    # The root mean squares are 1e-12^l/√2^l: below 1.4e-45 from layer 4 on.
    assert broken.layer == 4
    assert "underflows" in broken.text


def test_the_share_of_dead_networks_for_one_sample_is_the_product():
    run = propagate("relu", 10, width=2, batch=1, trials=2)
    case = Request.build({}, saved=run).case(run)
    assert dead_networks(case)[1:] == pytest.approx(1 - (1 - 0.25) ** np.arange(1, 11))


@pytest.mark.skipif(bool(config.DISABLE_JIT), reason="slow without compiled kernels")
def test_wide_networks_are_judged_by_theory():
    run = propagate("relu", 30, width=512, batch=16, trials=8)
    case = Request.build({}, saved=run).case(run)
    for name in ("second_moment", "cosine", "dead_fraction"):
        assert case.known(name)[1:] == pytest.approx(case.predicted(name)[1:], nan_ok=True)
    assert not dead_networks(case)[1:].any()


def test_messages_state_the_judged_value_first():
    found = check(depth=10, select=["SN401"], **DEAD).findings[0]
    assert "(seen 0." in found.message
    assert "; theory 0." in found.message
    assert found.value > 0.5


@pytest.mark.skipif(bool(config.DISABLE_JIT), reason="slow without compiled kernels")
def test_gradients_that_differ_from_theory_are_judged_as_measured():
    # ReLU at width 16: χ = 1, but each of 100 layers changes the logarithm of the gradient by
    # −5/32, with variance 5/16. Its mean over 64 networks is −15.6 ± 0.7; the bound 10^-4 is −9.2.
    narrow = {"width": 16, "batch": 4, "trials": 64, "gradient_decades": 4}
    [finding] = check("relu", 100, **narrow, backward=True, select=["SN201", "SN202"]).findings
    assert finding.code == "SN201"
    assert "(seen; theory ×1), below 10^-4" in finding.message
    assert math.log(finding.value) == pytest.approx(-15.6, abs=4 * 0.7)
    # Without --backward only theory is known.
    assert check("relu", 100, **narrow, select=["SN201", "SN202"]).passed


@pytest.mark.parametrize(("stderr", "code"), [(1.0, None), (0.01, "SN202")])
def test_gradients_within_their_error_are_judged_by_theory(stderr, code):
    run = propagate("tanh", 4, width=16, batch=4, trials=8, backward=True)
    gradient = run.statistics["gradient"]
    theory = gradient.theory
    far = max(theory[0], 1.0 / theory[0]) * 10.0
    grown = replace(
        gradient,
        estimate=np.array([far, *theory[1:]]),
        stderr=np.array([stderr, *gradient.stderr[1:]]),
    )
    statistics = MappingProxyType(dict(run.statistics) | {"gradient": grown})
    changed = replace(run, statistics=statistics)
    # The estimate is ten times theory, and the bound lies between both.
    decades = abs(math.log10(float(gradient.theory[0]))) + 0.5
    found = Request.build({"gradient_decades": decades}, saved=changed).judge(changed)
    told = {finding.code for finding in found.findings} & {"SN201", "SN202"}
    assert told == ({code} if code else set())


def test_saturation_that_differs_from_theory_is_judged_as_measured():
    run = propagate("tanh", 2, width=16, batch=4, trials=8)
    share = run.statistics["saturated_fraction"]
    theory = float(share.theory[2])
    first = float(share.theory[1])
    # 0.9 certainly differs from theory; a difference of one standard error, 0.01, may be chance.
    for value, bound in ((0.9, 0.5), (first + 0.01, first + 0.005)):
        seen = replace(share, estimate=np.array([math.nan, 0.0, value]), stderr=np.full(3, 0.01))
        statistics = MappingProxyType(dict(run.statistics) | {"saturated_fraction": seen})
        changed = replace(run, statistics=statistics)
        case = Request.build({"saturated_max": bound}, saved=changed).case(changed)
        broken = RULES["SN401"](case)
        if value > 0.5:
            assert broken.text.startswith("90.0% of the units of layer 2 are saturated")
            assert f"(seen 0.9±0.01; theory {theory:.4g})" in broken.text
        else:
            assert 0 < theory < first
            assert broken is None


def test_networks_that_are_all_dead_have_collapsed_however_few():
    found = check("relu", 10, width=2, batch=16, trials=4)
    assert found.verdict == "collapsed"
    (dead,) = [finding for finding in found.findings if finding.code == "SN401"]
    assert "100.0% of the networks" in dead.message


@pytest.mark.skipif(bool(config.DISABLE_JIT), reason="slow without compiled kernels")
@pytest.mark.parametrize("name", ["sigmoid", "tanh"])
def test_rule_sentence_and_column_have_one_gradient(name):
    """Beside an estimate stands theory at the width of the run, to first order."""
    run = propagate(name, depth=12, width=128, batch=8, trials=4, backward=True)
    shown = run.statistics["gradient"].reference[0]
    assert shown != pytest.approx(run.statistics["gradient"].theory[0], rel=1e-3, abs=0.0)
    assert gradient_factor(run) == shown
    found = Request.build({}, saved=run).case(run)
    assert math.exp(found.expected_gradients[0]) == pytest.approx(shown, rel=1e-12)
    broken = {code: RULES[code](replace(found, bounds=NARROW)) for code in ("SN201", "SN202")}
    (value,) = [how.value for how in broken.values() if how is not None and how.layer == 0]
    assert value == pytest.approx(shown, rel=1e-12)
    without = replace(run, statistics={k: v for k, v in run.statistics.items() if k != "gradient"})
    assert gradient_factor(without) == run.outlook.gradient_factor


def test_what_was_seen_to_differ_is_told_with_the_first_layer_and_the_worst():
    seen, least = np.array([0.1, 0.6, 0.9, 0.7]), np.array([0.0, 0.55, 0.8, 0.6])
    bounds = SimpleNamespace(fluctuation_max=0.5)
    subject, units = object(), np.full(4, 8.0)
    made = SimpleNamespace(
        spread_between_trials=(seen, least), bounds=bounds, run=object(),
        depth=3, subject=subject, units=units,
    )  # fmt: skip
    broken = _differ_as_seen(made)
    assert (broken.layer, broken.value) == (1, 0.9)
    assert "0.9 at layer 2 (seen; certainly 0.8 or more), above 0.5 from layer 1 on" in broken.text
