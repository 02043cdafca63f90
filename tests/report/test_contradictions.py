"""Estimates without a spread that are not theory are marked, and no sentence denies what was
seen."""

from dataclasses import replace
from types import MappingProxyType

import numpy as np
import pytest

from snstat import check, propagate
from snstat.checks.request import Request
from snstat.checks.rules import RULES
from snstat.report.columns import Layout, columns_of
from snstat.report.numbers import Notation
from snstat.report.opening import opening
from snstat.results import departures

# Of 8 networks of two ReLUs, (1 − 1/16)^20 = 28 % live through 20 layers for certain inputs.
DEAD = {"width": 2, "batch": 8, "trials": 8}


@pytest.fixture(scope="module")
def dead():
    run = propagate("relu", 60, **DEAD, backward=True)
    assert run.variance.estimate[60] == run.variance.stderr[60] == 0
    return run


def test_rows_without_a_spread_are_marked(dead):
    for name in ("mean", "variance", "second_moment"):
        # Theory is that of infinite width.
        assert departures(dead, name, [60]) == ([True], [False])
    assert departures(dead, "gradient", [0, 60])[0].tolist() == [True, False]
    columns = columns_of(dead, [60], Layout(Notation.CONCISE, {"variance": "etz"}))
    assert columns[-1].cells[0].endswith("?")
    assert 0 in columns[-1].doubtful


@pytest.mark.parametrize("parts", ["et", "etz"])
def test_marks_are_kept_in_exponent_form(parts):
    run = propagate("relu", 10, width=2, batch=1, trials=64)
    statistic = run.variance
    rows = [8, 10]
    small = replace(statistic, estimate=statistic.estimate * 1e-6, stderr=statistic.stderr * 1e-6)
    run = replace(run, statistics=MappingProxyType({**run.statistics, "variance": small}))
    for column in columns_of(run, rows, Layout(Notation.CONCISE, {"variance": parts}))[-1:]:
        assert all(cell.endswith("?") for cell in column.cells)


def test_constant_networks_are_where_theory_is():
    run = propagate("softplus", 4, width=16, batch=8, trials=4, weight_gain=0)
    rows = list(range(1, 5))
    for name in run.statistics:
        assert not departures(run, name, rows)[0].any(), name
    # A value on which all trials agree is marked if it is another.
    second = run.second_moment
    other = replace(second, estimate=second.estimate * (1.0 + 1e-3 * (np.arange(5) == 4)))
    run = replace(run, statistics=MappingProxyType({**run.statistics, "second_moment": other}))
    # Theory of constants is exact.
    for found in departures(run, "second_moment", rows):
        assert found.tolist() == [False, False, False, True]


def test_rare_units_may_be_in_no_trial():
    run = propagate("tanh", 2, width=16, batch=4, trials=4)
    # About 3 in 1,000 are expected.
    assert run.saturated_fraction.theory[1] > 0
    share = run.saturated_fraction
    none = replace(share, estimate=share.estimate * 0.0, stderr=share.stderr * 0.0)
    run = replace(run, statistics=MappingProxyType({**run.statistics, "saturated_fraction": none}))
    assert not departures(run, "saturated_fraction", [1, 2])[0].any()


def test_sentences_tell_what_was_seen(dead):
    told = [sentence.text for sentence in opening(dead)]
    assert (
        "The simulated networks differ from this: second moment 0 at layer 60, theory 1.00." in told
    )
    assert "The squared gradient at layer 0 is 0 in at least one simulated network." in told
    sound = propagate("relu", 8, width=64, batch=8, trials=4, backward=True)
    assert not any("simulated network" in sentence.text for sentence in opening(sound))


@pytest.mark.parametrize("code", ["SN101", "SN201"])
def test_rules_judge_dead_networks_as_measured(code):
    found = check("relu", 60, **DEAD, backward=True, select=[code])
    assert found.verdict == "collapsed"
    assert [finding.code for finding in found.findings] == [code]
    assert "(seen" in found.findings[0].message


def test_one_dead_network_is_no_vanishing_gradient():
    """Its gradient of exactly 0 makes the geometric mean 0, and 1 network of 8 is no more than
    may be dead."""
    run = propagate("relu", 4, width=16, batch=4, trials=8, backward=True)
    gradient = run.gradient
    zero = replace(gradient, estimate=gradient.estimate * [0, 1, 1, 1, 1])
    run = replace(run, statistics=MappingProxyType({**run.statistics, "gradient": zero}))
    assert RULES["SN201"](Request.build({}, saved=run).case(run)) is None
