"""Convolutions that are drawn: kernels beside patches that are made whole."""

from __future__ import annotations

import numpy as np
import pytest
from numba import config

from snstat.engine.general import convolution
from snstat.engine.general.draw import LayerDraw
from snstat.engine.general.taps import taps_of
from snstat.engine.general.workshop import Workshop
from snstat.errors import InvalidValueError
from snstat.layers.conv import Conv
from snstat.layers.patches import by_patches
from snstat.layers.shape import Shape
from snstat.layers.window_axis import CAUSAL, PADDINGS

BATCH = 5
SIZES = (
    {"kernel": 3},
    {"kernel": 2, "stride": 2},
    {"kernel": 3, "stride": 2, "dilation": 2},
    {"kernel": 4, "stride": 3},
    {"kernel": 1},
)


def draw_of(dtype="float64"):
    return LayerDraw(
        Workshop(np.dtype(dtype), np.uint64(3), np.zeros(1, np.uint8), train=True), 2, 7
    )


def both(layer, x, dtype="float64"):
    """Return what the kernel gives, and what matrices on patches give."""
    shape = Shape(len(x), x.shape[2:])
    own = layer.window(shape), layer.at(shape), layer.groups
    return draw_of(dtype).convolve(x, *own), by_patches(draw_of(dtype), x, *own)


@pytest.mark.parametrize("most", [1, 2**17])
@pytest.mark.parametrize("groups", [1, 3])
@pytest.mark.parametrize("sizes", SIZES, ids=str)
@pytest.mark.parametrize("padding", PADDINGS)
@pytest.mark.parametrize("grid", [(9,), (7, 8), (7, 1)], ids=str)
def test_values_and_gradients_are_those_of_patches(grid, padding, sizes, groups, most, monkeypatch):
    """One sample at a time, and all."""
    if (padding == CAUSAL and len(grid) > 1) or (padding == "valid" and 1 in grid):
        return
    monkeypatch.setattr(convolution, "PATCH_VALUES", most)
    random = np.random.default_rng(0)
    x = random.normal(size=(6, BATCH, *grid))
    layer = Conv(channels=9, padding=padding, groups=groups, bias_std=0.5, **sizes)
    found, wanted = both(layer, x)
    np.testing.assert_allclose(found.values, wanted.values, rtol=1e-12, atol=1e-13)
    h = random.normal(size=wanted.values.shape)
    np.testing.assert_allclose(*(own.pull(h)[0] for own in (found, wanted)), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("padding", PADDINGS)
def test_what_is_not_finite_reaches_only_what_reads_it(padding):
    """A window that ends before a position does not multiply its value by 0."""
    x = np.random.default_rng(0).normal(size=(6, BATCH, 9))
    x[2, 1, 3], x[4, 3, 0], x[5, 0, 8] = np.nan, np.inf, -np.inf
    with np.errstate(invalid="ignore"):
        found, wanted = both(Conv(channels=9, kernel=3, padding=padding), x)
        assert not np.isfinite(wanted.values).all()
        finite = np.isfinite(wanted.values)
        np.testing.assert_array_equal(np.isfinite(found.values), finite)
        np.testing.assert_allclose(
            found.values[finite], wanted.values[finite], rtol=1e-12, atol=1e-13
        )


def test_weights_of_all_laws_are_those_of_patches():
    x = np.random.default_rng(0).normal(size=(4, 3, 6)).astype(np.float32)
    for init in ("he_normal", "torch_default", "lecun_truncated", "orthogonal"):
        for form in ("plain", "normalized", "standardized"):
            if form != "plain" and init == "orthogonal":
                continue
            found, wanted = both(Conv(channels=5, kernel=3, init=init, weights=form), x, "float32")
            # Sums of 12 products of float32.
            np.testing.assert_allclose(found.values, wanted.values, atol=1e-5)


def test_values_of_a_group_do_not_depend_on_other_groups():
    x = np.random.default_rng(0).normal(size=(4, 3, 6))
    layer, other = (Conv(channels=4, kernel=3, groups=2) for _ in range(2))
    changed = x.copy()
    changed[2:] = 0.0
    first, second = both(layer, x)[0].values, both(other, changed)[0].values
    np.testing.assert_array_equal(first[:2], second[:2])
    assert not np.isclose(first[2:], second[2:]).any()


def test_more_groups_than_a_layer_can_draw_are_refused():
    layer = Conv(channels=257, kernel=1, groups=257)
    with pytest.raises(InvalidValueError, match="draws"):
        both(layer, np.ones((257, 1, 2)))


def test_what_a_stop_leaves_out_is_left_out():
    draw, layer, x = draw_of(), Conv(channels=2, kernel=1), np.ones((2, 1, 2))
    shape = Shape(2, (2,))
    draw.workshop.stop[0] = 1
    found = draw.convolve(x, layer.window(shape), layer.at(shape), 1)
    assert found.values.shape == (2, 1, 2)
    assert not found.pull(found.values)[0].any()


# Without the compiler, indices are checked, which are those of both.
@pytest.mark.parametrize("dtype", ["float64"] if config.DISABLE_JIT else ["float32", "float64"])
@pytest.mark.parametrize("init", ["he_normal", "orthogonal"])
@pytest.mark.parametrize("padding", PADDINGS)
@pytest.mark.parametrize("grid", [(5,), (4, 5)], ids=str)
def test_without_weights_the_gram_matrix_of_patches_is_that_of_channels(grid, padding, init, dtype):
    """Both draw the same normals, and rounding of the covariance is not amplified: there are more
    inputs than columns."""
    if padding == CAUSAL and len(grid) > 1:
        return
    random = np.random.default_rng(0)
    x = random.normal(size=(40, 3, *grid)).astype(dtype)
    layer = Conv(channels=90, kernel=3, padding=padding, bias_std=0.1, init=init)
    shape = Shape(len(x), grid)
    own = layer.window(shape), layer.at(shape), 1
    key, stop = np.uint64(3), np.zeros(1, np.uint8)
    options = {"train": True, "sampler": "matrix-free", "backward": True}
    found, wanted = (
        convolve(LayerDraw(Workshop(np.dtype(dtype), key, stop, **options), 2, 7), x, *own)
        for convolve in (LayerDraw.convolve, by_patches)
    )
    allowed = {"rtol": 0.0, "atol": 1e-4 if dtype == "float32" else 1e-11}
    np.testing.assert_allclose(found.values, wanted.values, **allowed)
    h = random.normal(size=wanted.values.shape).astype(dtype)
    np.testing.assert_allclose(*(own.pull(h)[0] for own in (found, wanted)), **allowed)


def test_only_positions_that_a_shift_does_not_reach_are_copied_one_by_one():
    """Of a ring of 8, one position of each outer tap lies beyond the end of the other side."""
    shape = Conv(channels=1, kernel=3, padding="circular").window(Shape(1, (8,)))
    taps = taps_of(shape)
    assert taps.shifts.tolist() == [-1, 0, 1]
    assert np.diff(taps.ends).tolist() == [1, 0, 1]
    assert sorted(taps.edges.tolist()) == [0, 7]
