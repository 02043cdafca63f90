"""The statistics of tensors agree with their definitions, whatever their axes mean, however they
lie in memory.

Sums are float64. An anchor that is the mean of k of n values is at worst √n standard deviations/k
from the mean, so that a sum of m values has a relative error of a few √m·(1 + n/k²)·1.1e-16: below
1e-13 for the sizes here. Cosines are compared absolutely.
"""

from __future__ import annotations

import math

import numpy as np
import pytest

from snstat.engine.general.sampler import measure as measure_layer
from snstat.engine.tensor import MEASURED_OF_TENSORS, Still, measure, square_norm
from snstat.engine.tensor_layout import arranged
from tests.engine import tensor_oracle as oracle

TOLERANCE = 1e-12
# Shapes with the meaning of their axes: vectors, sequences, images, attention weights, batch
# second, several blocks of columns, no samples, and axes that are 1 or that must be copied.
SHAPES = [
    ((5, 40), "SU"),
    ((5, 1100), "SU"),
    ((4, 7, 33), "SPU"),
    ((3, 6, 5, 4), "SUPP"),
    ((2, 3, 41, 27), "SUPP"),
    ((2, 3, 9, 9), "SPPU"),
    ((7, 4, 33), "PSU"),
    ((6, 33), "PU"),
    ((40,), "U"),
    ((9,), "S"),
    ((9, 1), "SU"),
    ((1, 40), "SU"),
    ((3, 8, 1, 1), "SUPP"),
    ((3, 1, 5, 4), "SUPP"),
    ((6, 5, 4), "USP"),
    ((6, 5, 4), "UPS"),
    ((3, 4, 5, 6), "SUPU"),
    ((6, 4), "SP"),
]


def drawn(shape, dtype, mean=3.0):
    return (mean + 0.1 * np.random.default_rng(0).standard_normal(shape)).astype(dtype)


def assert_alike(array, roles, still=None):
    finite, found = measure(array, roles, Still() if still is None else Still(*still))
    expected = oracle.statistics(array, roles, still)
    assert finite
    for name, value in zip(MEASURED_OF_TENSORS, found, strict=True):
        wanted = expected[name]
        assert value == pytest.approx(wanted, rel=TOLERANCE, abs=1e-13, nan_ok=True), name


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("shape", "roles"), SHAPES, ids=str)
def test_statistics_are_those_of_their_definitions(shape, roles, dtype):
    assert_alike(drawn(shape, dtype), roles)


@pytest.mark.parametrize(
    ("array", "roles"),
    [
        (drawn((4, 7, 60), "float32")[:, :, ::2], "SPU"),
        (drawn((4, 14, 33), "float32")[:, ::2], "SPU"),
        (drawn((4, 7, 60), "float32")[:, :, 7:40], "SPU"),
        (drawn((33, 7, 4), "float32").T, "SPU"),
        (drawn((4, 5, 5, 8), "float32").transpose(0, 3, 1, 2), "SUPP"),
        (drawn((4, 7, 2, 9), "float32").transpose(0, 2, 1, 3), "SPPU"),
        (drawn((4, 5, 6, 3), "float32")[:, :, :4], "SPPU"),
        (np.broadcast_to(drawn((1, 7, 33), "float32"), (4, 7, 33)), "SPU"),
        (drawn((4, 7, 33), "float32")[::-1], "SPU"),
    ],
    ids=[
        "step",
        "rows",
        "part",
        "turned",
        "channels last",
        "heads",
        "gaps",
        "expanded",
        "reversed",
    ],
)
def test_views_are_measured_as_they_are(array, roles):
    assert_alike(array, roles)


def test_common_orders_of_memory_are_not_copied():
    for array, roles in (
        (drawn((4, 7, 33), "float32"), "SPU"),
        (drawn((4, 3, 5, 6), "float32"), "SUPP"),
        (drawn((4, 5, 6, 3), "float32").transpose(0, 3, 1, 2), "SUPP"),
        (drawn((7, 4, 33), "float32"), "PSU"),
        (drawn((4, 7, 60), "float32")[:, :, 7:40], "SPU"),
    ):
        assert np.shares_memory(arranged(array, roles)[0], array)


def test_samples_and_positions_of_zeros_have_no_angle():
    array = drawn((5, 4, 9), "float32", mean=0.0)
    array[1] = 0
    array[2, 3] = 0
    assert_alike(array, "SPU")
    assert_alike(np.ascontiguousarray(array.transpose(0, 2, 1)), "SUP")
    array[:] = 0
    assert_alike(array, "SPU")


def test_alike_samples_keep_the_precision_of_their_differences():
    """Differences of 1e-6 in samples of mean square 9: a sum of x² would lose them."""
    array = drawn((1, 5, 40), "float64") + 1e-6 * np.random.default_rng(1).standard_normal(
        (8, 1, 40)
    )
    assert_alike(array, "SPU")


def test_an_outlier_where_the_anchor_is_taken_costs_no_precision():
    array = drawn((4, 6, 500), "float32", mean=0.0)
    array[:, 0] += 1000.0
    array[0, 3, 0] = 3e4
    assert_alike(array, "SPU")
    assert_alike(np.ascontiguousarray(array.transpose(0, 2, 1)), "SUP")


@pytest.mark.parametrize("roles", ["SPU", "SUP"])
def test_dead_units(roles):
    array = np.maximum(drawn((3, 6, 5), "float32", mean=0.0), 0)
    unit = roles.index("U")
    view = np.moveaxis(array, unit, 0)
    view[1], view[3] = 0, 2.0
    assert_alike(array, roles)
    assert_alike(array, roles, (0.0, math.inf))
    view[1].flat[-1] = 1.0
    assert_alike(array, roles)
    assert_alike(array, roles, (0.0, math.inf))
    assert_alike(np.full((3, 6, 5), 0.1, "float32"), roles)


def test_the_saturated_share():
    array = np.tanh(3 * drawn((50, 40), "float32", mean=0.0))
    array[3] = 1.0
    still = Still(-1.0, 1.0, -0.1, 0.1)
    values = dict(zip(MEASURED_OF_TENSORS, measure(array, "SU", still)[1], strict=True))
    assert values["saturated_fraction"] == np.mean(np.abs(array) >= np.float32(0.1))
    assert values["dead_fraction"] == 0


def test_without_axes_only_pooled_statistics_are_measured():
    array = drawn((4, 7, 33), "float32")
    finite, found = measure(array, None)
    expected = oracle.statistics(array, "SPU")
    known = {"mean", "variance", "second_moment", "kurtosis", "largest"}
    assert finite
    for name, value in zip(MEASURED_OF_TENSORS, found, strict=True):
        wanted = expected[name] if name in known else math.nan
        assert value == pytest.approx(wanted, rel=TOLERANCE, nan_ok=True), name


@pytest.mark.parametrize("roles", ["SPU", "SUP", None])
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_values_that_are_not_finite_are_told(value, roles):
    array = drawn((4, 7, 33), "float32")
    array[3, 6, 32] = value
    finite, found = measure(array, roles)
    assert not finite
    assert np.isnan(found).all()


def test_large_values_are_finite_and_what_overflows_is_missing():
    array = drawn((4, 33), "float64") * 1e200
    finite, found = measure(array, "SU")
    values = dict(zip(MEASURED_OF_TENSORS, found, strict=True))
    assert finite
    assert values["largest"] == np.abs(array).max()
    assert values["mean"] == pytest.approx(array.mean(), rel=TOLERANCE)
    assert math.isnan(values["cosine"])
    assert math.isnan(values["kurtosis"])


def test_the_squared_norm():
    array = drawn((4, 7, 33), "float32")
    expected = math.fsum(np.square(array, dtype="float64").ravel())
    assert square_norm(array) == pytest.approx(expected, rel=TOLERANCE)
    assert square_norm(array.transpose(2, 0, 1)) == pytest.approx(expected, rel=TOLERANCE)
    assert square_norm(np.zeros((0, 3), "float32")) == 0


@pytest.mark.parametrize(
    "shape", [(5, 4), (5, 4, 1), (5, 4, 1, 1), (5, 4, 3), (5, 4, 3, 2)], ids=str
)
def test_values_of_layers_are_measured_by_their_axes(shape):
    """Channels, samples, and the axes of a grid, which may have a single position."""
    array = drawn(shape, "float64")
    found = np.empty(len(MEASURED_OF_TENSORS))
    assert measure_layer(array, (0.25, 0.5), found)
    expected = oracle.statistics(array, "US" + "P" * (len(shape) - 2))
    expected |= {"dead_fraction": 0.25, "saturated_fraction": 0.5}
    for name, value in zip(MEASURED_OF_TENSORS, found, strict=True):
        assert value == pytest.approx(expected[name], rel=TOLERANCE, abs=1e-13, nan_ok=True), name
