"""Estimates of traced rows, against plain loops over the trials that had each call."""

from __future__ import annotations

import math
import statistics

import numpy as np
import pytest

from snstat.results import GRADIENT, OF_POSITIONS
from tests.traces import NAMES, SUMMARY, make_traced, make_traced_run


def test_estimates_are_means_over_the_trials_that_had_the_call() -> None:
    traced, run = make_traced(), make_traced_run()
    for place, name in enumerate(NAMES):
        column = run.statistics[name]
        for layer in range(run.depth + 1):
            values = [v for v in traced.values[:, layer, place].tolist() if not math.isnan(v)]
            if not values:
                assert math.isnan(column.estimate[layer])
                continue
            assert column.estimate[layer] == pytest.approx(statistics.fmean(values), rel=1e-12)
            error = statistics.stdev(values) / math.sqrt(len(values))
            assert column.stderr[layer] == pytest.approx(error, rel=1e-9, abs=1e-15)
    assert run.trials_had.tolist() == [4, 4, 4, 4, 4, 3, 4, 4, 4, 4, 4]


def test_gradients_are_geometric_means() -> None:
    traced, run = make_traced(), make_traced_run()
    assert traced.log_gradient is not None
    logs = traced.log_gradient[:3, 5].tolist()  # the row that three trials had
    column = run.statistics[GRADIENT]
    assert column.estimate[5] == pytest.approx(math.exp(statistics.fmean(logs)))
    assert column.stderr[5] == pytest.approx(statistics.stdev(logs) / math.sqrt(3))
    assert column.logarithmic


def test_a_row_that_is_not_finite_has_no_estimates() -> None:
    run = make_traced_run(nonfinite=5)
    assert run.first_nonfinite == 5
    assert np.isnan(run.variance.estimate[5:]).all()
    assert np.isfinite(run.variance.estimate[:5]).all()


def test_one_trial_has_no_standard_error() -> None:
    rows = tuple(type(row)(**{**dict(row), "trials": 1}) for row in SUMMARY.rows)
    run = make_traced_run(type(SUMMARY)(**{**dict(SUMMARY), "rows": rows}), trials=1)
    assert np.isnan(run.mean.stderr).all()
    assert np.isfinite(run.mean.estimate).all()


def test_a_value_that_one_trial_lacks_is_missing() -> None:
    """As in every run: a mean over other trials would be of other networks."""
    traced = make_traced()
    traced.values[1, 2, NAMES.index("cosine")] = math.nan
    from snstat.experiment.traced import traced_run

    run = traced_run(traced, seed=0, dtype="float32")
    assert math.isnan(run.cosine.estimate[2])
    assert math.isfinite(run.variance.estimate[2])


def test_rows_have_names_and_are_found_by_them() -> None:
    run = make_traced_run()
    assert [run.row(n).name for n in (0, 1, 4, 5, 8, 10)] == [
        "input", "conv1", "layer1.relu#1", "layer1.relu#2", "attention[1]", "ResNet",
    ]  # fmt: skip
    assert run["layer1.relu#2"].variance == run.layers[5].variance
    assert run["layer1.relu#2"].call == SUMMARY.rows[4]
    assert run["simulation"].seed == 0
    with pytest.raises(KeyError):
        run["nothing"]


def test_what_was_not_measured_is_left_out() -> None:
    flat = [row for row in SUMMARY.rows if row.axes is not None and not row.axes.position]
    run = make_traced_run(type(SUMMARY)(**{**dict(SUMMARY), "rows": tuple(flat[:1])}))
    assert "zero_samples" not in run.statistics
    assert run.statistics["position_cosine"].estimate.shape == (2,)
    assert set(OF_POSITIONS) <= set(run.statistics)


def test_activations_and_blocks_are_the_main_rows() -> None:
    """Not the maps between them, nor attention, nor rows that repeat another's tensor."""
    assert SUMMARY.main == (0, 2, 4, 5, 6)
    assert SUMMARY.distinct == tuple(range(10))
    assert (SUMMARY.modules, SUMMARY.calls) == (9, 10)
