"""What sentences above a table may say: bounds of what is told, from both sides."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from snstat.results import Outlook, Run, Statistic, contradictions, nearly_neutral
from snstat.results.departures import without_spread
from tests.report.builders import make_run


def with_statistic(run: Run, name: str, **arrays: Any) -> Run:
    return replace(
        run, statistics={**run.statistics, name: replace(run.statistics[name], **arrays)}
    )


def neutral(rate: float | None, last: float, depth: int = 10) -> bool:
    """Return what is told of a stack with this rate, whose second moment is 1 in the first layer
    and `last` in the last one."""
    run = make_run(depth=depth)
    theory = np.array([5.0, *[1.0] * (depth - 1), last][: depth + 1])
    run = replace(run, outlook=None if rate is None else Outlook("converges", rate=rate))
    column = replace(run.second_moment, theory=theory)
    return nearly_neutral(replace(run, statistics={**run.statistics, "second_moment": column}))


@pytest.mark.parametrize("sign", [-1, 1])
def test_a_signal_is_kept_that_changes_by_a_tenth_at_most(sign: int) -> None:
    inside, outside = 1.099**sign, 1.101**sign
    assert neutral(inside**0.1, 1.0)
    assert not neutral(outside**0.1, 1.0)
    assert neutral(1.0, inside)
    assert not neutral(1.0, outside)


@pytest.mark.parametrize("rate", [None, 0.0, -1.0])
def test_no_signal_is_kept_without_a_rate(rate: float | None) -> None:
    assert not neutral(rate, 1.0)


def test_a_stack_without_layers_keeps_its_signal() -> None:
    assert neutral(1.0, 1.0, depth=0)


@pytest.mark.parametrize(("factor", "told"), [
    (2.01, True), (1.99, False), (1 / 1.99, False), (1 / 2.01, True),
])  # fmt: skip
def test_estimates_contradict_theory_by_more_than_a_factor_of_2(factor: float, told: bool) -> None:
    run = make_run(depth=4, outlook=Outlook("neutral", rate=1.0))
    second = run.second_moment
    estimate = second.reference * np.array([1.0, 1.0, 9.0, 1.0, factor])
    run = with_statistic(run, "second_moment", estimate=estimate, stderr=1e-3 * second.reference)
    gradient = Statistic(np.full(5, factor), np.full(5, 1e-3), np.ones(5), logarithmic=True)
    run = replace(run, statistics={**run.statistics, "gradient": gradient})
    found = [("second_moment", 4), ("gradient", 0)] if told else []
    assert list(contradictions(run)) == found
    # Sentences about the whole need the whole.
    for less in ({"partial": True}, {"outlook": None}):
        assert not list(contradictions(replace(run, **less)))
    likely = replace(gradient, stderr=np.full(5, 10.0))
    run = replace(run, statistics={**run.statistics, "gradient": likely})
    assert list(contradictions(run)) == found[:1]


def test_the_input_alone_contradicts_nothing() -> None:
    run = make_run(depth=0, outlook=Outlook("neutral", rate=1.0))
    run = with_statistic(run, "second_moment", estimate=9.0 * run.second_moment.theory)
    assert not list(contradictions(run))


@pytest.mark.parametrize(("name", "size"), [
    # Where the second moment is 4 and the value 0.5.
    ("mean", 2.0), ("variance", 4.0), ("cosine", 1.0), ("kurtosis", 0.5), ("largest", 0.5),
    ("position_cosine", 1.0), ("variance_over_positions", 4.0),
])  # fmt: skip
def test_what_all_trials_agree_on_differs_by_more_than_rounding(name: str, size: float) -> None:
    run = make_run(depth=3)
    run = with_statistic(run, "second_moment", estimate=np.full(4, 4.0), theory=np.full(4, 4.0),
                         expected=np.full(4, math.nan))  # fmt: skip
    apart = size * 1e-5 * np.array([9.0, 0.99, 1.01, -1.01])
    column = Statistic(0.5 + apart, np.zeros(4), np.full(4, 0.5))
    found = replace(run, statistics={**run.statistics, name: column})
    # The theory of data is the data themselves.
    assert without_spread(found, name).tolist() == [False, False, True, True]
    spread = replace(column, stderr=np.full(4, 1e-9))
    found = replace(run, statistics={**run.statistics, name: spread})
    assert not without_spread(found, name).any()
    found = replace(run, statistics={**run.statistics, name: column})
    for trials in (1, 2):
        few = replace(found, simulation=replace(run.simulation, trials=trials))
        assert without_spread(few, name).any() == (trials > 1)
    unscored = {**run.statistics, name: replace(column, scored=False)}
    assert not without_spread(replace(run, statistics=unscored), name).any()


def test_shares_that_all_trials_agree_on_may_do_so_by_chance() -> None:
    """A mean of n shares is off by ε with a probability of 2 exp(−2 n ε²) at most (Hoeffding)."""
    run = make_run(depth=3, trials=8)
    bound = math.sqrt(math.log(2.0 / 1e-3) / 16.0)
    apart = bound * np.array([1.2, 0.99, 1.01, 1.2])
    column = Statistic(0.1 + apart, np.zeros(4), np.full(4, 0.1))
    found = replace(run, statistics={**run.statistics, "dead_fraction": column})
    assert without_spread(found, "dead_fraction").tolist() == [False, False, True, True]


def test_a_gradient_of_0_is_no_chance_even_at_the_input() -> None:
    run = make_run(depth=3)
    theory = np.array([2.0, 2.0, 0.0, 2.0])
    gradient = Statistic(np.array([0.0, 0.5, 0.0, 0.0]), np.zeros(4), theory, logarithmic=True)
    found = replace(run, statistics={**run.statistics, "gradient": gradient})
    assert without_spread(found, "gradient").tolist() == [True, False, False, True]
