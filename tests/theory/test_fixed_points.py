from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.optimize import minimize_scalar

import snstat
from snstat.activations import ACTIVATIONS, ALPHA, LAMBDA, selu_with
from snstat.errors import InvalidValueError, NoSolutionError, UnknownNameError
from snstat.theory.expectations import moments
from snstat.theory.fixed_points import analyse, fixed_points, trajectory
from snstat.theory.pictures import correlation_curve, map_field

# name, gain, bias → pre-activation second moments expected to be positive fixed points.
COUNTS = {
    ("selu", 1.0, 0.0): 1,
    ("selu", 1.5, 0.0): 0,
    ("tanh", 1.0, 0.0): 0,
    ("tanh", 1.5, 0.0): 1,
    ("tanh", 0.5, 0.3): 1,
    ("sigmoid", 1.0, 0.0): 1,
    ("relu", 1.0, 0.5): 1,
    ("softplus", 1.5, 0.0): 0,
    ("gelu", 1.6, 0.0): 1,
    ("erf", 1000.0, 0.0): 1,
}


@pytest.mark.parametrize(("name", "gain", "bias"), COUNTS)
def test_ensemble_fixed_points_are_fixed_and_all_found(name, gain, bias):
    found = fixed_points(name, weight_gain=gain, bias_std=bias)
    positive = [point for point in found if point.variance > 0]
    assert len(positive) == COUNTS[name, gain, bias]
    zero_is_one = bias == 0 and ACTIVATIONS[name](0.0) == 0
    assert len(found) - len(positive) == zero_is_one
    for point in found:
        image = snstat.ensemble_map(
            name, point.mean, point.variance, weight_gain=gain, bias_std=bias
        )
        assert image[0] == pytest.approx(point.mean, abs=1e-13 * math.sqrt(point.second_moment))
        assert image[1] == pytest.approx(point.variance, rel=1e-12)
        assert point.second_moment == pytest.approx(point.variance + point.mean**2, rel=1e-15)


def test_an_independent_scan_finds_no_other():
    """Sign changes of q' − q on a grid ten times finer, by the public map alone."""
    for name, gain in (("gelu", 1.6), ("selu", 1.0), ("silu", 1.7), ("elu", 1.2)):
        q = np.geomspace(1e-6, 1e6, 1500)
        mean, variance = moments(ACTIVATIONS[name], 0.0, q)
        rises = gain**2 * (variance + mean**2) > q
        crossings = int(np.count_nonzero(rises[1:] != rises[:-1]))
        found = fixed_points(name, weight_gain=gain)
        assert len([point for point in found if point.variance > 0]) == crossings


def test_selu_as_the_theory_file_says():
    point, zero = fixed_points("selu")
    assert (point.mean, point.variance) == (0.0, pytest.approx(1.0, rel=2e-15))
    np.testing.assert_allclose(
        point.jacobian, [[0, 0.0888348], [0, 0.782648]], atol=5e-8, rtol=5e-7
    )
    assert point.spectral_norm == pytest.approx(0.787673, abs=5e-7)
    assert point.spectral_radius == pytest.approx(0.782648, abs=5e-7)
    assert point.eigenvalues[0] == (point.spectral_radius, 0.0)
    assert point.gradient_growth == pytest.approx(1.071575, abs=5e-7)
    assert point.stable
    assert point.depth_scale == pytest.approx(-1 / math.log(0.782648), rel=1e-5)
    near, one = point.correlations
    assert (near.value, near.stable, one.value, one.stable) == (0.0, True, 1.0, False)
    assert near.slope == pytest.approx(0.97068, abs=5e-6)
    assert near.depth_scale == pytest.approx(34, abs=0.5)
    assert one.slope == pytest.approx(point.gradient_growth, rel=1e-15)
    assert one.depth_scale is None
    assert (zero.variance, zero.stable, zero.correlations) == (0.0, False, ())


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("selu", {}),
        ("tanh", {"weight_gain": 1.5, "bias_std": 0.2}),
        ("softplus", {}),
        ("selu", {"weight_sum": 0.5, "weight_square_sum": 1.5}),
        ("erf", {"weight_sum": 1.0}),
        ("sigmoid", {"weight_sum": -1.0}),
    ],
)
def test_jacobians_are_those_of_the_map(name, parameters):
    unit = "weight_sum" in parameters
    step = snstat.unit_map if unit else snstat.ensemble_map
    h = 1e-6
    for point in fixed_points(name, **parameters):
        if point.variance == 0:
            continue
        at = (point.mean, point.variance)
        columns = []
        for shift in ((h, 0.0), (0.0, h)):
            up = step(name, at[0] + shift[0], at[1] + shift[1], **parameters)
            down = step(name, at[0] - shift[0], at[1] - shift[1], **parameters)
            columns.append((np.array(up) - np.array(down)) / (2 * h))
        matrix = np.stack(columns, axis=1)
        # Rounding 1e-16/1e-6 and h²: far below 1e-8.
        np.testing.assert_allclose(point.jacobian, matrix, atol=1e-8)
        expected = max(np.linalg.eigvals(matrix), key=abs)
        assert point.spectral_radius == pytest.approx(abs(expected), abs=1e-7)
        assert point.spectral_norm == pytest.approx(np.linalg.norm(matrix, 2), abs=1e-7)
        assert point.stable == (abs(expected) < 1)


def test_a_continuum_is_called_so():
    for name in ("relu", "identity"):
        gain = 1.0 if name == "identity" else None
        report = analyse(name, weight_gain=gain)
        assert report.continuum
        (point,) = report.fixed_points
        assert point.spectral_radius == pytest.approx(1.0, abs=1e-14)
        assert point.gradient_growth == pytest.approx(1.0, abs=1e-14)
    relu = analyse("relu").fixed_points[0].correlations
    # Alike at last, but slower than exponentially.
    assert [(c.value, c.stable, c.depth_scale) for c in relu] == [(1.0, True, None)]
    assert not analyse("relu", weight_gain=1.4).continuum


def test_marginal_points_are_not_a_continuum():
    for name in ("tanh", "hard_tanh", "elu"):
        for parameters in ({"weight_gain": 1.0}, {"weight_sum": 0.0}):
            report = analyse(name, **parameters)
            assert not report.continuum
            (point,) = report.fixed_points
            assert (point.variance, point.stable, point.depth_scale) == (0.0, False, None)


def test_infinity():
    assert analyse("selu").at_infinity == "returns"
    assert analyse("selu", weight_gain=math.sqrt(2)).at_infinity == "grows"
    assert analyse("relu", bias_std=0.1).at_infinity == "grows"
    assert analyse("tanh", weight_gain=100.0).at_infinity == "returns"
    assert analyse("identity", weight_sum=0.0, weight_square_sum=2.0).at_infinity == "grows"
    assert analyse("selu", weight_sum=0.0).at_infinity == "returns"


def test_unit_fixed_points_of_the_paper():
    point, zero = fixed_points("selu", weight_sum=0.0)
    assert (point.mean, point.variance) == (pytest.approx(0, abs=1e-15), pytest.approx(1.0))
    assert zero.second_moment == 0
    assert math.isinf(zero.spectral_norm)
    # He-initialised weights: a fixed point near (1.8, 18) that no random network has.
    point, _ = fixed_points("selu", weight_square_sum=2.0)
    assert (point.mean, point.variance) == (pytest.approx(1.8, abs=0.05), pytest.approx(18, abs=1))


def test_several_unit_fixed_points_symmetric_in_the_mean():
    found = fixed_points("erf", weight_sum=1.0)
    places = sorted((round(point.mean, 9), round(point.variance, 9)) for point in found)
    assert len(places) == 6
    assert places == sorted((-mean + 0.0, variance) for mean, variance in places)
    for point in found:
        image = snstat.unit_map("erf", point.mean, point.variance, weight_sum=1.0)
        assert image[0] == pytest.approx(point.mean, abs=1e-10)
        assert image[1] == pytest.approx(point.variance, rel=1e-9, abs=1e-15)
    stable = [point.stable for point in found]
    assert stable == sorted(stable, reverse=True)


def test_unit_lines_of_fixed_points():
    # ReLU with weight sum 1 keeps every constant from 0 up; the identity everything.
    assert analyse("relu", weight_sum=1.0).continuum
    assert analyse("identity", weight_sum=1.0).continuum
    assert analyse("identity", weight_sum=0.0).continuum
    assert not analyse("gelu", weight_sum=1.0).continuum


def test_without_weights_only_phi_of_0_is_left():
    (point,) = fixed_points("sigmoid", weight_sum=0.0, weight_square_sum=0.0)
    assert (point.mean, point.variance, point.spectral_radius) == (0.5, 0.0, 0.0)
    assert point.depth_scale == 0.0
    (point,) = fixed_points("tanh", weight_gain=0.0)
    assert (point.mean, point.variance, point.spectral_radius) == (0.0, 0.0, 0.0)
    (point,) = fixed_points("sigmoid", weight_gain=0.0, bias_std=1.0)
    assert point.second_moment == pytest.approx(
        float(sum(np.square(snstat.ensemble_map("sigmoid", 0.0, 1.0)) * [1, 0]))
        + float(snstat.ensemble_map("sigmoid", 0.0, 1.0)[1])
    )


def test_keywords_choose_the_map_or_contradict():
    assert analyse("selu").map == "ensemble"
    assert dict(analyse("relu").parameters) == {
        "weight_gain": pytest.approx(math.sqrt(2)),
        "bias_std": 0.0,
    }
    assert analyse("selu", weight_square_sum=1.1).map == "unit"
    assert dict(analyse("selu", map="unit").parameters) == {
        "weight_sum": 0.0,
        "weight_square_sum": 1.0,
    }
    with pytest.raises(InvalidValueError, match=r"weight_sum is 0\.5, but must be absent"):
        fixed_points("selu", map="ensemble", weight_sum=0.5)
    with pytest.raises(InvalidValueError, match="bias_std"):
        fixed_points("selu", weight_sum=0.5, bias_std=0.1)
    with pytest.raises(UnknownNameError, match="ensemble"):
        fixed_points("selu", map="ensembel")
    with pytest.raises(UnknownNameError):
        fixed_points("sellu")


def test_trajectories_follow_the_map():
    path = trajectory("selu", 0.5, 0.7, 60)
    assert path.shape == (61, 2)
    assert path[0].tolist() == [0.5, 0.7]
    assert path[1] == pytest.approx(snstat.ensemble_map("selu", 0.5, 0.7), rel=1e-15)
    # 60 layers at 0.783 leave 4e-7 of the distance.
    assert path[-1] == pytest.approx([0.0, 1.0], abs=1e-6)
    unit = trajectory("selu", 0.5, 0.7, 3, weight_sum=1.0)
    assert unit[1] == pytest.approx(snstat.unit_map("selu", 0.5, 0.7, weight_sum=1.0), rel=1e-15)
    assert np.isnan(trajectory("identity", 0.0, 1.0, 1000, weight_gain=10.0)[-1]).all()
    assert trajectory("sigmoid", 0.0, 1.0, 10**5)[-1, 0] == pytest.approx(0.5, rel=1e-14)
    with pytest.raises(InvalidValueError):
        trajectory("selu", 0.0, -1.0, 3)
    with pytest.raises(InvalidValueError):
        trajectory("selu", 1e300, 1.0, 3)


def test_the_report_joins_everything():
    report = analyse(
        "selu", weight_sum=0.05, start=(0.05, 1.1), depth=5, target_mean=0.0, target_variance=2.0
    )
    assert report.theorem_domain == "1"
    assert len(report.trajectory) == 6
    # Solved for the weights given.
    alpha, scale = snstat.solve_selu(0.0, 2.0, weight_sum=0.05)
    assert dict(report.solved) == {"alpha": alpha, "lambda": scale}
    assert analyse("selu", weight_sum=0.0).theorem_domain == "1"
    assert analyse("selu", weight_sum=0.5).theorem_domain is None
    assert analyse("elu", weight_sum=0.0).theorem_domain is None
    assert analyse("selu", weight_sum=0.0, start=(0.5, 10.0)).theorem_domain == "2"
    assert dict(analyse("selu", target_variance=1.0).solved)["alpha"] == pytest.approx(ALPHA)
    with pytest.raises(InvalidValueError, match="selu"):
        analyse("elu", target_mean=0.0)


def test_solving_selu():
    # 14 digits and more are asked for; each expectation is good to about 5e-16.
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
def test_solutions_have_the_fixed_point_asked_for(target, weights):
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
def test_impossible_targets_say_why(arguments, reason):
    with pytest.raises(NoSolutionError, match=reason):
        snstat.solve_selu(**arguments)


def test_a_variance_of_0_is_refused():
    with pytest.raises(InvalidValueError, match="variance"):
        snstat.solve_selu(0.0, 0.0)


def test_the_picture_of_the_unit_map():
    field = map_field("selu", columns=7, rows=5)
    assert field.new_mean.shape == field.new_variance.shape == (5, 7)
    image = snstat.unit_map("selu", field.means[3], field.variances[4])
    assert (field.new_mean[4, 3], field.new_variance[4, 3]) == pytest.approx(image, rel=1e-13)
    assert field.domain == (-0.1, 0.1, 0.8, 1.5)
    assert field.means[0] < -0.1
    assert field.means[-1] > 0.1
    assert field.variances[0] < 0.8
    assert field.variances[-1] > 1.5
    assert field.fixed_points[0].variance == pytest.approx(1)
    assert all(path[-1] == pytest.approx([0, 1], abs=1e-3) for path in field.trajectories)
    assert map_field("relu", columns=3, rows=3).domain is None
    assert map_field("selu", weight_square_sum=2.0, columns=3, rows=3).domain is None
    with pytest.raises(InvalidValueError, match="mean_range"):
        map_field("selu", mean_range=(1.0, 1.0))


def test_the_picture_of_the_correlation_map():
    curve = correlation_curve("tanh", weight_gain=1.5, points=5)
    (point,) = [p for p in fixed_points("tanh", weight_gain=1.5) if p.variance > 0]
    assert curve.second_moment == pytest.approx(1.5**2 * point.second_moment, rel=1e-13)
    assert curve.correlations.tolist() == [-1, -0.5, 0, 0.5, 1]
    assert curve.images[[0, 2, 4]] == pytest.approx([-1, 0, 1], abs=1e-14)
    assert [p.value for p in curve.fixed_points] == [0.0, 1.0]
    assert correlation_curve("tanh", weight_gain=1.5, second_moment=2.0).fixed_points == ()
    assert correlation_curve("tanh", weight_gain=0.5, points=3).second_moment == 1.0


def test_correlation_fixed_points_inside():
    (point,) = fixed_points("erf", weight_gain=1.5, bias_std=0.5)
    inside, one = point.correlations
    q = 1.5**2 * point.second_moment + 0.25
    image = snstat.correlation_map("erf", inside.value, q, weight_gain=1.5, bias_std=0.5)
    assert 0 < inside.value < 1
    assert image == pytest.approx(inside.value, abs=1e-12)
    step = 1e-5
    ends = snstat.correlation_map(
        "erf", [inside.value - step, inside.value + step], q, weight_gain=1.5, bias_std=0.5
    )
    assert inside.slope == pytest.approx(float(np.diff(ends)[0]) / (2 * step), rel=1e-8)
    assert (inside.stable, one.stable) == (True, False)


def test_two_fixed_points_about_to_merge():
    """GELU at gain 1.6: 0 attracts, a point repels; biases up to a critical size leave two."""
    gain = 1.6

    def room(q):
        mean, variance = moments(ACTIVATIONS["gelu"], 0.0, q)
        return float(q - gain**2 * (variance + mean**2))

    best = minimize_scalar(lambda q: -room(q), bounds=(0.01, 5.0), options={"xatol": 1e-12})
    critical = -best.fun
    # Close to the critical bias the two are √(1e-6) apart, far below the spacing of any scan.
    near, far = fixed_points("gelu", weight_gain=gain, bias_std=math.sqrt(critical * (1 - 1e-6)))
    assert (near.stable, far.stable) == (True, False)
    assert 0 < far.second_moment - near.second_moment < 0.01
    for point in (near, far):
        q = gain**2 * point.second_moment + critical * (1 - 1e-6)
        assert room(q) == pytest.approx(critical * (1 - 1e-6), rel=1e-12)
    assert not fixed_points("gelu", weight_gain=gain, bias_std=math.sqrt(critical * (1 + 1e-6)))
    (point,) = fixed_points("gelu", weight_gain=gain, bias_std=math.sqrt(critical))[:1]
    assert point.spectral_radius == pytest.approx(1.0, abs=1e-3)
