from __future__ import annotations

import math

import pytest

import snstat
from snstat.activation import ALPHA, LAMBDA, selu_with
from snstat.errors import InvalidValueError, NoSolutionError
from snstat.gaussian.expectations import moments
from snstat.theory.fixed_points import analyse


@pytest.mark.parametrize(("mean", "variance"), [(0.0, 2.0), (0.3, 0.5), (-0.1, 2.0)])
@pytest.mark.parametrize("weights", [{}, {"weight_sum": 0.3, "weight_square_sum": 1.2}])
def test_a_target_is_among_the_fixed_points(mean, variance, weights):
    report = analyse("selu", target_mean=mean, target_variance=variance, **weights)
    assert (report.map, report.theorem_domain) == ("unit", None)
    assert (mean, variance) in [(point.mean, point.variance) for point in report.fixed_points]


def test_a_target_variance_of_1_gives_selu():
    report = analyse("selu", target_variance=1.0)
    assert report.theorem_domain == "1"
    assert report.fixed_points == analyse("selu", map="unit").fixed_points


@pytest.mark.parametrize(
    "contradiction", [{"map": "ensemble"}, {"weight_gain": 1.0}, {"bias_std": 0.0}]
)
def test_a_target_needs_the_unit_map(contradiction):
    with pytest.raises(InvalidValueError, match=next(iter(contradiction))):
        analyse("selu", target_mean=0.0, **contradiction)


def test_solving_selu():
    # At least 14 digits are required; each expectation is accurate to about 5e-16.
    assert snstat.solve_selu() == (
        pytest.approx(ALPHA, rel=3e-15),
        pytest.approx(LAMBDA, rel=3e-15),
    )
    assert snstat.solve_selu(0, 2) == (
        pytest.approx(1.9712557503462642, rel=5e-15),
        pytest.approx(1.0607090761030131, rel=5e-15),
    )
    assert snstat.solve_selu(-0.1, 2, weight_sum=1) == (
        pytest.approx(1.9769021954242014, rel=5e-15),
        pytest.approx(1.073851239616046, rel=5e-15),
    )


@pytest.mark.parametrize("target", [(0.3, 0.5), (-0.4, 2.0), (0.0, 1e-4), (0.0, 1e4), (3.0, 40.0)])
@pytest.mark.parametrize("weights", [(0.0, 1.0), (0.3, 1.5), (-0.5, 0.7)])
def test_solutions_have_the_requested_fixed_point(target, weights):
    alpha, scale = snstat.solve_selu(*target, weight_sum=weights[0], weight_square_sum=weights[1])
    mean, variance = moments(
        selu_with(alpha, scale), target[0] * weights[0], target[1] * weights[1]
    )
    assert mean == pytest.approx(target[0], abs=1e-12 * math.hypot(target[0], target[1] ** 0.5))
    assert variance == pytest.approx(target[1], rel=1e-11)


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ({"mean": 50.0}, "reaches only values between"),
        ({"mean": -50.0}, "reaches only values between"),
        ({"weight_square_sum": 0.0}, "weight_square_sum is 0"),
        ({"mean": 10.0, "weight_sum": 100.0}, "all positive"),
        ({"mean": 10.0, "weight_sum": -100.0}, "all negative"),
    ],
)
def test_errors_on_impossible_targets_state_the_reason(arguments, reason):
    with pytest.raises(NoSolutionError, match=reason):
        snstat.solve_selu(**arguments)


def test_a_variance_of_0_is_refused():
    with pytest.raises(InvalidValueError, match="variance"):
        snstat.solve_selu(0.0, 0.0)
