"""Sums over a window for all pairs of positions, against one tap after the other."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from snstat.errors import InvalidValueError
from snstat.layers.window import window
from snstat.layers.window_axis import NOWHERE, PADDINGS, Axis

SHAPES = [
    (grid, kernel, stride, dilation)
    for grid in ((1,), (7,), (4, 3))
    for kernel, stride, dilation in itertools.product((1, 2, 3, 4), (1, 2, 3), (1, 2))
]


@pytest.mark.parametrize("padding", PADDINGS)
def test_sums_axis_by_axis_are_those_over_all_taps(padding):
    """And the way back is the adjoint: ⟨δ, S x⟩ = ⟨Sᵀ δ, x⟩."""
    random, seen = np.random.default_rng(5), 0
    for grid, *sizes in SHAPES:
        try:
            over = window(grid, *((size,) * len(grid) for size in sizes), padding)
        except InvalidValueError:  # larger than the grid, where nothing is padded
            assert padding == "valid"
            continue
        products = random.normal(size=(over.size, over.size))
        whole = np.pad(products, [(0, 1)] * 2)  # 0 at NOWHERE
        expected = sum(whole[np.ix_(tap, tap)] for tap in over.sources)
        found = over.summed(products)
        np.testing.assert_allclose(found, expected, rtol=1e-13, atol=1e-13)
        slope = random.normal(size=found.shape)
        back = over.spread(slope)
        assert back.shape == products.shape
        assert np.sum(back * products) == pytest.approx(np.sum(slope * found), abs=1e-10)
        seen += 1
    assert seen > 20


@pytest.mark.parametrize("padding", PADDINGS)
def test_an_axis_is_padded_as_far_as_a_tap_or_a_position_goes(padding):
    """And each tap takes the positions there that a window has for it."""
    for size, kernel, stride, dilation in itertools.product(
        (1, 2, 7), (1, 2, 3, 4), (1, 2, 3), (1, 2)
    ):
        try:
            axis = Axis.of(size, kernel, stride, dilation, padding)
        except InvalidValueError:
            continue
        padded = axis.padded
        taken = [np.arange(len(padded))[axis.taken(tap)] for tap in range(kernel)]
        assert len(padded) == max(size + axis.before, taken[-1][-1] + 1)
        if padding != "circular":
            padded = np.where((padded >= 0) & (padded < size), padded, NOWHERE)
        np.testing.assert_array_equal(padded[np.array(taken)], axis.sources)
