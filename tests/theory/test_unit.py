"""Fixed points of the unit map at any mean match quadrature that shares no code with theory."""

from __future__ import annotations

import math

import numpy as np
import pytest

from snstat.activation import resolve
from snstat.activation.pair import of_pair
from snstat.theory.unit import _changes, _newton, _on_line, _starts, _Unit, find_unit

# (weight sum, weight square sum); the frequency of a sine divides both.
PARAMETERS = ((1.5, 0.3), (-1.0, 1.5), (-0.4, 6.0))
NAMES = (
    *("mish", "softsign", "relu6", "sine", "hard_swish", "relu_squared", "hard_sigmoid"),
    *("gelu_tanh", "leaky_relu:0.2", "elu:0.5", "silu:4", "hard_tanh:2", "sine:30"),
)
NODES, NODE_WEIGHTS = np.polynomial.legendre.leggauss(24)


def image(entry, mean, variance):
    """Return mean and variance of φ(z), z ~ N(mean, variance).

    Panels of half a deviation end at the kinks. The result is exact up to rounding for functions
    that vary no faster than a deviation.
    """
    grid, std = np.linspace(-9.0, 9.0, 37), math.sqrt(variance)
    cuts = (np.array(entry.kinks) - mean) / std if std > 0 else grid
    edges = np.unique(np.concatenate([grid, cuts]).clip(-9.0, 9.0))
    half, centre = np.diff(edges)[:, None] / 2.0, (edges[1:] + edges[:-1])[:, None] / 2.0
    z = centre + half * NODES
    weight = half * NODE_WEIGHTS * np.exp(-0.5 * z * z)
    weight /= weight.sum()
    value = entry(mean + std * z)
    average = float((weight * value).sum())
    return average, float((weight * (value - average) ** 2).sum())


def settled(step, mean, variance):
    """Return the point where the map `step` settles within 250 layers, or None."""
    for _ in range(250):
        before = mean, variance
        mean, variance = step(mean, variance)
        if not (abs(mean) < 1e6 and variance < 1e8):
            return None
        if abs(mean - before[0]) + abs(variance - before[1]) < 1e-13:
            return mean, variance
    return None


@pytest.mark.parametrize("name", NAMES)
def test_fixed_points_are_fixed_and_attracting_ones_are_found(name):
    entry = resolve(name)
    frequency = (entry.formed("sine") or (1.0,))[0]
    for weight_sum, weight_square_sum in PARAMETERS:
        omega, tau = weight_sum / frequency, weight_square_sum / frequency**2
        search = find_unit(entry, omega, tau)

        def step(mean, variance, omega=omega, tau=tau):
            return image(entry, mean * omega, variance * tau)

        for point in search.fixed_points:
            mean, variance = step(point.mean, point.variance)
            # Newton's method ends within 1e-11 of the scale.
            scale = math.sqrt(point.second_moment)
            assert mean == pytest.approx(point.mean, abs=2e-11 * scale)
            assert variance == pytest.approx(point.variance, abs=2e-11 * scale**2)
        for start in ((-1.0, 0.1), (3.0, 5.0)):
            rest = settled(step, *start)
            if rest is None or search.continuum:
                continue
            # Near a neutral point, steps fall below 1e-13 at this distance.
            near = [np.allclose(rest, (p.mean, p.variance), atol=1e-5) for p in search.fixed_points]
            assert any(near), (omega, tau, start, rest)


@pytest.mark.parametrize("name", ["relu", "relu6", "leaky_relu:0.2"])
@pytest.mark.parametrize("weight_sum", [1.2, 1.9, 3.0])
def test_zero_is_fixed_and_unstable_if_only_one_side_returns(name, weight_sum):
    """Below 0 the mean returns, above 0 it grows: 0 is fixed, but not stable."""
    search = find_unit(resolve(name), weight_sum, 0.3)
    (zero,) = [p for p in search.fixed_points if p.second_moment == 0]
    assert not zero.stable
    assert zero.depth_scale is None
    assert not search.continuum
    assert image(resolve(name), -1e-3 * weight_sum, 0.0)[0] > -1e-3
    assert image(resolve(name), 1e-3 * weight_sum, 0.0)[0] > 1e-3
    opposed = find_unit(resolve(name), -weight_sum, 0.3).fixed_points
    assert any(p.second_moment == 0 for p in opposed)


def test_cells_of_both_signs_and_their_neighbours_start_the_search():
    values = np.full((8, 9), 0.5)
    assert not _changes(values).any()
    assert not _changes(-values).any()
    values[3, 5] = -0.5
    expected = np.zeros((7, 8), dtype=bool)
    # The four cells around it, and one more on every side.
    expected[1:5, 3:7] = True
    np.testing.assert_array_equal(_changes(values), expected)
    np.testing.assert_array_equal(_changes(-values), expected)
    values[3, 5] = 0.0
    np.testing.assert_array_equal(_changes(values), expected)


def test_the_search_starts_from_the_middle_of_the_cells_around_a_fixed_point():
    """Cells are 0.6 wide in the logarithm of the variance, and 0.27 in the mean near 0, a node."""
    _, variance = settled(lambda mean, variance: image(resolve("tanh"), mean, 1.3 * variance), 0, 1)
    assert -3.0 < math.log(variance) < -2.0
    means, logs = _starts(_Unit(resolve("tanh"), 0.0, 1.3))
    assert ((np.abs(means) < 0.14) & (np.abs(logs - math.log(variance)) < 0.31)).any()


@pytest.mark.parametrize("mean", [0.0, 9e4, -9e4])
@pytest.mark.parametrize("log_variance", [0.5, 31.9])
def test_steps_return_from_far_away(mean, log_variance):
    """The first step in the logarithm of the variance is one of 2, and that in the mean is all."""
    unit = _Unit(resolve("tanh"), 0.0, 4.0)
    ((_, variance),) = _newton(unit, np.array([mean]), np.array([log_variance]))
    assert image(resolve("tanh"), 0.0, 4.0 * variance)[1] == pytest.approx(variance, rel=1e-9)


def test_starts_are_in_the_middle_of_cells_away_from_0_too():
    """At a mean m they are cosh(asinh m) times as wide as at 0. ReLU6 is symmetric about 3."""
    relu6 = resolve("relu6")
    mean, variance = settled(lambda mean, variance: image(relu6, mean, 2.0 * variance), 2.0, 1.0)
    assert mean == pytest.approx(3.0)
    means, logs = _starts(_Unit(relu6, 1.0, 2.0))
    near = np.abs(means - mean) < 0.55 * 0.27 * math.sqrt(1.0 + mean * mean)
    assert (near & (np.abs(logs - math.log(variance)) < 0.31)).any()


@pytest.mark.parametrize(("weight_sum", "square_sum"), [(0.5, 0.3), (0.2, 0.9), (-0.6, 0.3)])
def test_a_kink_at_variance_0_has_the_slopes_of_its_two_sides(weight_sum, square_sum):
    """Differences on both sides are exact: the map is linear in the mean, and in the variance."""
    relu = resolve("relu")
    search = find_unit(relu, weight_sum, square_sum)
    (zero,) = [point for point in search.fixed_points if point.second_moment == 0]
    by_mean = (image(relu, weight_sum, 0.0)[0] - image(relu, -weight_sum, 0.0)[0]) / 2.0
    by_variance = image(relu, 0.0, square_sum)[1]
    expected = sorted([by_mean, by_variance], key=abs, reverse=True)
    np.testing.assert_allclose(zero.eigenvalues, [[own, 0.0] for own in expected], rtol=1e-9)
    assert zero.spectral_radius == pytest.approx(abs(expected[0]), rel=1e-9)
    assert zero.stable


@pytest.mark.parametrize("name", ["identity", "relu", "softplus", "leaky_relu:0.2"])
@pytest.mark.parametrize("rate", [0.99, 1.01, 1.5])
def test_a_large_mean_grows_if_its_weights_have_a_larger_sum_than_1(name, rate):
    assert find_unit(resolve(name), rate, 0.5).at_infinity == ("grows" if rate > 1 else "returns")


def test_zero_is_the_end_of_a_line_where_only_one_side_moves():
    """Below 0 the slope is 1 and every mean is fixed, above 0 means grow: no point is isolated."""
    search = find_unit(resolve("leaky_relu:0.2"), 5.0, 0.3)
    assert search.continuum
    assert search.fixed_points == ()


def test_fixed_means_form_a_line_away_from_0_too():
    """A function that keeps what is between its bounds keeps every such mean."""
    clip = of_pair((lambda x: np.clip(x, 1.2, 1.8), lambda x: ((x > 1.2) & (x < 1.8)) * 1.0))
    assert find_unit(clip, 1.0, 0.3).continuum
    assert not find_unit(clip, 0.5, 0.3).continuum


def test_variances_form_a_line_at_a_mean_that_is_not_0():
    """1 + x with weights of sum −1 and square sum 1: mean ½ and any variance are fixed."""
    shifted = of_pair((lambda x: 1.0 + x, np.ones_like))
    slopes = np.diag([-1.0, 1.0])
    assert _on_line(_Unit(shifted, -1.0, 1.0), 0.5, 0.0, slopes)
    assert not _on_line(_Unit(shifted, -1.0, 1.1), 0.5, 0.0, slopes)
