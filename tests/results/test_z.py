"""z is one number wherever it is read, and beyond a bound on its p-value an estimate is marked."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from snstat.results import Statistic, departures
from snstat.results.departures import without_spread
from tests.report.builders import make_run


def statistic_with(z: list[float], **changes: object) -> Statistic:
    """Return a statistic whose estimates are `z` standard errors of 0.5 from an expectation of 1.25
    where theory of infinite width is 1."""
    size = len(z)
    return Statistic(
        estimate=1.25 + 0.5 * np.array(z),
        stderr=np.full(size, 0.5),
        theory=np.ones(size),
        expected=np.full(size, 1.25),
        neglected=np.zeros(size),
        **changes,  # type: ignore[arg-type]  # for brevity
    )


def test_z_compares_with_what_is_expected_at_this_width_where_that_is_known() -> None:
    known = statistic_with([2.0, -3.0])
    assert known.z.tolist() == [2.0, -3.0]
    limit = replace(known, expected=np.array([1.25, math.nan]))
    assert limit.z.tolist() == [2.0, -2.5]
    assert limit.infinite_width.tolist() == [False, True]


@pytest.mark.parametrize("logarithmic", [False, True])
def test_z_of_one_layer_is_that_of_all(logarithmic: bool) -> None:
    found = statistic_with([2.0, -3.0, 0.0, 1.0, -2.5], logarithmic=logarithmic)
    found.stderr[3] = 0.0
    for layer, z in enumerate(found.z.tolist()):
        assert found.at(layer).z == (None if math.isnan(z) else z)
    assert np.isnan(found.z[3])
    if logarithmic:
        # ln 2.25 − ln 1.25 = 0.5878 and the standard error is that of the logarithm.
        assert found.z[0] == pytest.approx(1.1756, abs=1e-4)
        # The estimates −0.25 and 0 have no logarithm.
        assert np.isnan(found.z[[1, 4]]).all()


@pytest.mark.parametrize(("trials", "quantile"), [(2, 636.62), (8, 5.4079), (10**6, 3.2905)])
def test_the_bound_of_z_depends_on_trials(trials: int, quantile: float) -> None:
    run = make_run(depth=3, trials=trials)
    far = statistic_with([1.001 * quantile, math.nan, -2.0 * quantile, 0.999 * quantile])
    run = replace(run, statistics={**run.statistics, "variance": far})
    for found in departures(run, "variance", range(4)):
        assert found.tolist() == [True, False, True, False]
    # What theory neglects explains the first. Nothing is told where that is not known.
    loose = replace(far, neglected=np.array([0.5 * quantile, 0.0, 0.0, 0.0]))
    run = replace(run, statistics={**run.statistics, "variance": loose})
    assert departures(run, "variance", [2, 0])[1].tolist() == [True, False]
    limit = replace(far, neglected=np.full(4, math.nan))
    run = replace(run, statistics={**run.statistics, "variance": limit})
    beyond, certain = departures(run, "variance", range(4))
    assert beyond.tolist() == [True, False, True, False]
    assert not certain.any()


def test_values_too_small_to_square_are_not_told_apart_from_theory() -> None:
    run = make_run(depth=2)
    mean = replace(run.mean, estimate=np.full(3, 1e-3), stderr=np.zeros(3), theory=np.zeros(3))
    mean = replace(mean, expected=np.zeros(3))
    found = replace(run, statistics={**run.statistics, "mean": mean})
    assert without_spread(found, "mean").tolist() == [False, True, True]
    tiny = {
        name: replace(column, estimate=column.estimate * 0.0, theory=column.theory * 0.0)
        for name, column in run.statistics.items()
    }
    tiny["mean"] = replace(mean, estimate=np.full(3, 1e-301))
    assert not without_spread(replace(run, statistics=tiny), "mean").any()
