"""Numbers of a spectrum, against plain loops over its singular values."""

from __future__ import annotations

import math
import statistics

import numpy as np
import pytest

from snstat.results import Lanczos, LayerSpectrum, SpectrumTheory

VALUES = [[4.0, 2.0, 1.0, 0.04, 0.0], [8.0, 8.0, 4.0, 0.07, 0.08]]


def plain(values: list[float]) -> dict[str, float]:
    """Return the numbers of one trial; 0.01 of the largest is near zero, and counts itself."""
    squares = [value * value for value in values]
    mean = sum(squares) / len(squares)
    return {
        "mean_square": mean,
        "relative_variance": sum((one - mean) ** 2 for one in squares) / len(squares) / mean**2,
        "largest": max(values),
        "near_zero": sum(value <= 0.01 * max(values) for value in values) / len(values),
    }


@pytest.mark.parametrize("scale", [1.0, 1e-170])
def test_measures_are_means_over_trials(scale: float) -> None:
    theory = SpectrumTheory(mean_square=7.0, relative_variance=1.5, near_zero=0.25)
    layer = LayerSpectrum(3, "3", scale * np.array(VALUES), theory)
    trials = [plain(values) for values in VALUES]
    power = {"mean_square": 2, "largest": 1}
    for name, measure in layer.measures(0.01).items():
        each = [trial[name] * scale ** power.get(name, 0) for trial in trials]
        # Rounding of sums of five numbers. The squares of 1e-170 are 0.
        assert measure.estimate == pytest.approx(sum(each) / 2, rel=1e-12, abs=0.0)
        assert measure.stderr == pytest.approx(abs(each[0] - each[1]) / 2, rel=1e-12, abs=0.0)
        assert measure.theory == theory[name]


def test_three_trials_have_the_error_of_their_mean() -> None:
    largest = [1.0, 2.0, 4.0]
    measure = LayerSpectrum(1, "1", np.array([[one] for one in largest])).measures(0.0)["largest"]
    assert measure.stderr == pytest.approx(statistics.stdev(largest) / math.sqrt(3), rel=1e-12)


def test_one_trial_has_no_error_and_values_that_are_not_finite_no_estimate() -> None:
    one = LayerSpectrum(1, "1", np.array(VALUES[:1])).measures(0.01)
    assert all(measure.stderr is None and measure.estimate is not None for measure in one.values())
    broken = LayerSpectrum(1, "1", np.array([VALUES[0], [math.nan] * 5])).measures(0.01)
    assert all(measure.stderr is measure.estimate is None for measure in broken.values())


def test_all_values_of_a_jacobian_of_zeros_are_near_zero() -> None:
    found = LayerSpectrum(1, "1", np.zeros((2, 3))).measures(0.01)
    assert {name: measure.estimate for name, measure in found.items()} == {
        "mean_square": 0.0, "relative_variance": None, "largest": 0.0, "near_zero": 1.0,
    }  # fmt: skip


def test_nothing_is_known_of_shares_of_a_trial_that_is_not_finite() -> None:
    nodes = np.array([[[0.5, 1.0]], [[math.nan, math.nan]]])
    masses = np.array([[[0.4, 0.6]], [[math.nan, math.nan]]])
    told = Lanczos(9, np.full((2, 2), 0.5), np.zeros((2, 2)), nodes, masses)
    for shares in told.shares(np.array([[0.1, 2.0]] * 2)):
        assert np.isfinite(shares[0]).all()
        assert np.isnan(shares[1]).all()


def test_the_error_of_the_largest_value_is_relative_to_it() -> None:
    values = np.array([[4.0, 2.0], [8.0, 1.0], [math.nan, math.nan], [0.0, 0.0]])
    errors = np.array([[0.1, 9.0], [0.4, 9.0], [math.nan, 9.0], [0.0, 0.0]])
    weights = np.full((4, 2), 0.5)
    lanczos = Lanczos(5, weights, errors, values[:, None], weights[:, None])
    assert LayerSpectrum(1, "1", values, lanczos=lanczos).largest_error == 0.4 / 8.0
    assert LayerSpectrum(1, "1", values).largest_error == 0.0
    nothing = Lanczos(5, weights[:1], errors[2:3], values[2:3, None], weights[:1, None])
    assert math.isnan(LayerSpectrum(1, "1", values[2:3], lanczos=nothing).largest_error)
