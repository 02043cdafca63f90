from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.optimize import minimize_scalar

import snstat
from snstat.activation import ACTIVATIONS, ALPHA, selu_with
from snstat.errors import InvalidValueError, UnknownNameError
from snstat.gaussian.expectations import jacobian, moments
from snstat.gaussian.rounding import neat, without_noise
from snstat.theory.fixed_points import analyse, fixed_points, trajectory

# name, gain, bias → expected number of positive fixed points.
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
def test_all_ensemble_fixed_points_are_found(name, gain, bias):
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


def test_an_independent_scan_finds_no_other_fixed_points():
    """Count sign changes of q' − q on a grid ten times finer, with the public map alone."""
    for name, gain in (("gelu", 1.6), ("selu", 1.0), ("silu", 1.7), ("elu", 1.2)):
        q = np.geomspace(1e-6, 1e6, 1500)
        mean, variance = moments(ACTIVATIONS[name], 0.0, q)
        rises = gain**2 * (variance + mean**2) > q
        crossings = int(np.count_nonzero(rises[1:] != rises[:-1]))
        found = fixed_points(name, weight_gain=gain)
        assert len([point for point in found if point.variance > 0]) == crossings


def test_the_known_digits_of_selu():
    point, zero = fixed_points("selu")
    assert (point.mean, point.variance) == (0.0, 1.0)
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
def test_jacobians_match_differences_of_the_map(name, parameters):
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
        # Rounding of 1e-16/1e-6, and h²: far below 1e-8.
        np.testing.assert_allclose(point.jacobian, matrix, atol=1e-8)
        expected = max(np.linalg.eigvals(matrix), key=abs)
        assert point.spectral_radius == pytest.approx(abs(expected), abs=1e-7)
        assert point.spectral_norm == pytest.approx(np.linalg.norm(matrix, 2), abs=1e-7)
        assert point.stable == (abs(expected) < 1)


def test_a_continuum_is_recognised():
    for name in ("relu", "identity"):
        gain = 1.0 if name == "identity" else None
        report = analyse(name, weight_gain=gain)
        assert report.continuum
        (point,) = report.fixed_points
        assert (point.spectral_radius, point.gradient_growth, point.stable) == (1.0, 1.0, False)
        assert report.at_infinity == "keeps"
        assert point.correlation_continuum == (name == "identity")
    relu = analyse("relu").fixed_points[0].correlations
    # Correlations converge to 1, but slower than exponentially.
    assert [(c.value, c.stable, c.depth_scale) for c in relu] == [(1.0, True, None)]
    identity = analyse("identity").fixed_points[0].correlations
    assert [(c.value, c.slope, c.stable) for c in identity] == [(0, 1, False), (1, 1, False)]
    assert not analyse("relu", weight_gain=1.4).continuum
    critical = analyse("leaky_relu", weight_gain=math.sqrt(2 / (1 + 0.01**2)))
    assert (critical.continuum, critical.at_infinity) == (True, "keeps")
    # A shared bias changes the correlations of a linear activation.
    assert not fixed_points("identity", weight_gain=0.5, bias_std=1)[0].correlation_continuum


def test_marginal_points_are_not_a_continuum():
    for name in ("tanh", "hard_tanh", "elu"):
        for parameters in ({"weight_gain": 1.0}, {"weight_sum": 0.0}):
            report = analyse(name, **parameters)
            assert not report.continuum
            (point,) = report.fixed_points
            # The signal does return to 0, but slower than exponentially.
            assert (point.variance, point.stable, point.depth_scale) == (0.0, True, None)
            assert point.spectral_radius == 1.0
            path = trajectory(name, 0.3, 1.0, 400, **parameters)
            assert path[-1, 1] < 0.9 * path[200, 1]


def test_stability_of_neutral_points_follows_from_nearby_points():
    # E[gelu(√q z)²] at gain 2 is q + 2q²/π + …, so small signals grow.
    (gelu,) = fixed_points("gelu", weight_gain=2.0)
    assert (gelu.spectral_radius, gelu.stable) == (1.0, False)
    unit = fixed_points("gelu", weight_sum=0.0, weight_square_sum=4.0)
    assert [(p.spectral_radius, p.stable) for p in unit if p.variance == 0] == [(1.0, False)]
    # Means in [-1, 1] only change their sign.
    (flipped,) = fixed_points("hard_tanh", weight_sum=-1.0)
    assert (flipped.spectral_radius, flipped.stable) == (1.0, False)
    (tanh,) = fixed_points("tanh", weight_sum=-1.0)
    assert (tanh.spectral_radius, tanh.stable) == (1.0, True)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_limits_at_variance_0_are_exact(name):
    entry = ACTIVATIONS[name]
    for mean in (0.0, 0.7):
        matrix = jacobian(entry, mean, 0.0)
        # Analytic in the variance away from kinks; of order its root at a kink.
        near = jacobian(entry, mean, 1e-8)
        if np.isfinite(matrix).all():
            # Rounding of 1e-16/1e-4; the next order is 1e-4, for softsign five times that.
            np.testing.assert_allclose(matrix, near, atol=6e-4)
        else:
            assert abs(near[0, 1]) > 1e2
    (silu,) = fixed_points("silu", weight_gain=3.0)
    assert silu.jacobian == ((0.0, 2.25), (0.0, 2.25))


# Limits of E[φ'(z)²] for small z: the mean of the squares of both one-sided slopes.
SMALL_SLOPES = {
    "selu": (1.0507009873554805**2 + 1.7580993408473766**2) / 2,
    "elu": 1.0,
    "relu": 0.5,
    "leaky_relu": 0.50005,
    "tanh": 1.0,
    "gelu": 0.25,
}


@pytest.mark.parametrize("name", SMALL_SLOPES)
def test_gradient_growth_at_0_is_the_limit_for_small_signals(name):
    expected = 0.81 * SMALL_SLOPES[name]
    (zero,) = (p for p in fixed_points(name, weight_gain=0.9) if p.variance == 0)
    assert zero.gradient_growth == pytest.approx(expected, rel=1e-14)
    # The second moment of small signals changes by the same factor.
    assert zero.spectral_radius == pytest.approx(expected, rel=1e-14)
    near = snstat.gradient_growth(name, 1e-12, weight_gain=0.9)
    assert zero.gradient_growth == pytest.approx(float(near), rel=1e-5)
    unit = fixed_points(name, weight_sum=0.0, weight_square_sum=0.81)
    (zero,) = (p for p in unit if p.variance == 0)
    assert zero.gradient_growth == pytest.approx(expected, rel=1e-14)


def test_gradient_growth_at_zero_variance_with_a_mean():
    # erf(1.2 m) = m at a mean where φ is smooth.
    found = [p for p in fixed_points("erf", weight_sum=1.2) if p.variance == 0 and p.mean > 0]
    (point,) = found
    slope = 2 / math.sqrt(math.pi) * math.exp(-((1.2 * point.mean) ** 2))
    assert point.gradient_growth == pytest.approx(slope**2, rel=1e-12)


def test_only_rounding_errors_are_removed():
    assert math.copysign(1.0, without_noise(-1e-16, 1.0)) == 1.0
    assert without_noise(-1e-16, 1e-10) == -1e-16
    assert neat(0.9999999999999991) == 1.0
    assert neat(1.00000000000001) == 1.00000000000001
    assert neat(1 / 3) == 1 / 3
    assert math.isinf(neat(math.inf))
    # A fixed point close to a short number, but not equal, keeps its digits.
    (point,) = fixed_points("softplus")
    assert len(repr(point.variance)) > 15


def test_behaviour_at_infinity():
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
    # He-initialised weights: a fixed point near (1.8, 18) that no random network reaches.
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
    # ReLU with weight sum 1 keeps every constant from 0 up; the identity keeps everything.
    assert analyse("relu", weight_sum=1.0).continuum
    assert analyse("identity", weight_sum=1.0).continuum
    assert analyse("identity", weight_sum=0.0).continuum
    assert analyse("relu", weight_sum=1.0).at_infinity == "keeps"
    # The line of fixed points of hard_tanh ends at means of ±1.
    clipped = analyse("hard_tanh", weight_sum=1.0)
    assert (clipped.continuum, clipped.at_infinity) == (True, "returns")
    assert not analyse("gelu", weight_sum=1.0).continuum


def test_with_zero_weights_only_phi_of_0_is_left():
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


def test_keywords_select_the_map():
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


def test_the_report_combines_all_results():
    report = analyse(
        "selu", weight_sum=0.05, start=(0.05, 1.1), depth=5, target_mean=0.0, target_variance=2.0
    )
    # The theorems hold for SELU's own parameters only.
    assert report.theorem_domain is None
    assert len(report.trajectory) == 6
    # α and λ are solved for the given weights, and the rest of the report uses them.
    alpha, scale = snstat.solve_selu(0.0, 2.0, weight_sum=0.05)
    assert dict(report.solved) == {"alpha": alpha, "lambda": scale}
    image = moments(selu_with(alpha, scale), 0.05 * 0.05, 1.1)
    assert report.trajectory[1] == pytest.approx(image, rel=1e-14)
    # With a mean of 0 the weight sum does not matter: SELU's own parameters result, and theorem 1
    # applies.
    own = analyse("selu", weight_sum=0.05, start=(0.05, 1.1), target_variance=1.0)
    assert own.theorem_domain == "1"
    assert analyse("selu", weight_sum=0.0).theorem_domain == "1"
    assert analyse("selu", weight_sum=0.5).theorem_domain is None
    assert analyse("elu", weight_sum=0.0).theorem_domain is None
    assert analyse("selu", weight_sum=0.0, start=(0.5, 10.0)).theorem_domain == "2"
    assert dict(analyse("selu", target_variance=1.0).solved)["alpha"] == pytest.approx(ALPHA)
    with pytest.raises(InvalidValueError, match="selu"):
        analyse("elu", target_mean=0.0)


def test_correlation_fixed_points_between_0_and_1():
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


def test_two_nearly_merged_fixed_points_are_found():
    """GELU at gain 1.6: 0 attracts, another point repels; up to a critical bias two points
    remain."""
    gain = 1.6

    def room(q):
        mean, variance = moments(ACTIVATIONS["gelu"], 0.0, q)
        return float(q - gain**2 * (variance + mean**2))

    best = minimize_scalar(lambda q: -room(q), bounds=(0.01, 5.0), options={"xatol": 1e-12})
    critical = -best.fun
    # Close to the critical bias the points are √(1e-6) apart, far below the spacing of any scan.
    near, far = fixed_points("gelu", weight_gain=gain, bias_std=math.sqrt(critical * (1 - 1e-6)))
    assert (near.stable, far.stable) == (True, False)
    assert 0 < far.second_moment - near.second_moment < 0.01
    for point in (near, far):
        q = gain**2 * point.second_moment + critical * (1 - 1e-6)
        assert room(q) == pytest.approx(critical * (1 - 1e-6), rel=1e-12)
    assert not fixed_points("gelu", weight_gain=gain, bias_std=math.sqrt(critical * (1 + 1e-6)))
    (point,) = fixed_points("gelu", weight_gain=gain, bias_std=math.sqrt(critical))[:1]
    assert point.spectral_radius == pytest.approx(1.0, abs=1e-3)


@pytest.mark.parametrize(
    ("chosen", "name", "other"),
    [("unit", "weight_gain", "ensemble"), ("ensemble", "weight_sum", "unit")],
)
def test_a_parameter_of_the_other_map_is_refused(chosen, name, other):
    with pytest.raises(InvalidValueError) as caught:
        snstat.fixed_points("selu", map=chosen, **{name: 1.5})
    assert caught.value.value == 1.5
    assert f"absent with the {chosen} map" in str(caught.value)
    assert f"it belongs to the {other} map" in str(caught.value)
