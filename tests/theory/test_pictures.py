from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

import snstat
from snstat.errors import InvalidValueError
from snstat.theory.fixed_points import fixed_points
from snstat.theory.pictures import _widened, _window, correlation_curve, map_field, phase_plane


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


@pytest.mark.parametrize(
    ("activation", "weight_sum", "weight_square_sum"),
    [("selu", 1.0, 3.0), ("tanh", 2.0, 3.0), ("tanh", 2.0, 1.0), ("sigmoid", 0.0, 1.0)],
)
def test_the_axes_include_all_fixed_points(activation, weight_sum, weight_square_sum):
    weights = {"weight_sum": weight_sum, "weight_square_sum": weight_square_sum}
    field = map_field(activation, columns=3, rows=3, **weights)
    points = [point for point in field.fixed_points if point.second_moment > 0]
    assert len(points) == {"selu": 2, "sigmoid": 1}.get(activation, len(points)) > 0
    for point in points:
        assert field.means[0] < point.mean < field.means[-1]
        assert field.variances[0] <= point.variance < field.variances[-1]


def test_the_axes_are_unchanged_if_they_include_the_fixed_points():
    # In figure 2 only one point is shown; (0, 0), also fixed by SELU's map, is far outside.
    field = map_field("selu", columns=3, rows=3)
    assert field.means.tolist() == pytest.approx([-0.25, 0.0, 0.25], abs=1e-15)
    assert field.variances.tolist() == pytest.approx([0.5, 1.125, 1.75])
    field = map_field("sigmoid", columns=3, rows=3)
    assert field.means.tolist() == [-1.0, 0.0, 1.0]
    assert field.variances.tolist() == [0.0, 1.0, 2.0]


def test_paths_start_at_the_corners_and_in_the_middle_of_the_edges():
    field = map_field("tanh", columns=3, rows=3, mean_range=(0.0, 1.0), variance_range=(1.0, 3.0))
    starts = {tuple(np.asarray(path[0]).tolist()) for path in field.trajectories}
    grid = {(mean, variance) for mean in (0.0, 0.5, 1.0) for variance in (1.0, 2.0, 3.0)}
    assert starts == grid - {(0.5, 2.0)}


def test_the_picture_of_the_correlation_map():
    curve = correlation_curve("tanh", weight_gain=1.5, points=5)
    (point,) = [p for p in fixed_points("tanh", weight_gain=1.5) if p.variance > 0]
    assert curve.second_moment == pytest.approx(1.5**2 * point.second_moment, rel=1e-13)
    assert curve.correlations.tolist() == [-1, -0.5, 0, 0.5, 1]
    assert curve.images[[0, 2, 4]] == pytest.approx([-1, 0, 1], abs=1e-14)
    assert [p.value for p in curve.fixed_points] == [-1.0, 0.0, 1.0]
    assert [p.stable for p in curve.fixed_points] == [False, True, False]
    # Correlations have fixed points even where q is not one.
    for name, parameters in (
        ("relu", {"weight_gain": 3.0}),
        ("tanh", {"weight_gain": 1.0}),
        ("erf", {"weight_gain": 3.0, "bias_std": 0.3, "second_moment": 2.0}),
    ):
        curve = correlation_curve(name, points=2001, **parameters)
        above = curve.images[999:-1] > curve.correlations[999:-1] + 1e-15
        # Crossings from just below 0 on; correlation 1 itself is one more fixed point.
        crossings = int(np.count_nonzero(above[1:] != above[:-1])) + 1
        assert sum(fixed.value >= 0 for fixed in curve.fixed_points) == crossings
        assert (curve.fixed_points[0].value == -1) == math.isclose(curve.images[0], -1)
        assert curve.fixed_points[-1].value == 1.0
        for fixed in curve.fixed_points:
            nearby = np.interp(fixed.value, curve.correlations, curve.images)
            # The error of linear interpolation over steps of 1e-3.
            assert nearby == pytest.approx(fixed.value, abs=1e-6)
    assert correlation_curve("tanh", weight_gain=0.0, second_moment=1.0).fixed_points == ()
    assert correlation_curve("tanh", weight_gain=0.5, points=3).second_moment == 1.0


def test_the_axes_scale_with_the_signal():
    """Twice the signal has the same picture: means are doubled, and variances times 4."""
    (point,) = [p for p in fixed_points("selu", weight_sum=0.0, weight_square_sum=1.0) if p.stable]
    mean, variance = _window([point])
    twice = replace(
        point, mean=2.0 * point.mean, variance=4.0 * point.variance,
        second_moment=4.0 * point.second_moment,
    )  # fmt: skip
    of_means, of_variances = _window([twice])
    np.testing.assert_allclose(of_means, 2.0 * np.array(mean), rtol=1e-12)
    np.testing.assert_allclose(of_variances, 4.0 * np.array(variance), rtol=1e-12)


@pytest.mark.parametrize("gains", [(1.0, 1.0), (2.0, 1.0)])
def test_pictures_of_no_gains_are_refused(gains):
    with pytest.raises(InvalidValueError, match="LOW below HIGH"):
        phase_plane("tanh", gains, (0.0, 1.0))


def test_axes_end_beyond_the_outermost_point_on_each_side():
    low, high = _widened((0.0, 1.0), [-2.0, 5.0])
    assert low < -2.0
    assert high > 5.0
    assert _widened((0.0, 1.0), [0.5]) == (0.0, 1.0)
