"""Crops: values against loops, moments of the positions that are kept, what is refused."""

from __future__ import annotations

import math

import numpy as np
import pytest

from snstat.errors import InvalidValueError
from snstat.layers.block import Block
from snstat.layers.conv import Conv
from snstat.layers.crop import Crop
from snstat.layers.entry import Entry
from snstat.layers.global_mean_pool import GlobalMeanPool
from snstat.layers.law import OTHER
from snstat.layers.shape import Shape
from snstat.layers.signal import Signal, Slope
from snstat.limits import MAX_WIDTH
from tests.layers.plain_theory import of_network, tends

CASES = [((5,), 1, 4, [1, 2, 3]), ((4,), 3, 4, [3]), ((3,), 0, 3, [0, 1, 2]),
         ((3, 4), 1, 3, [5, 6, 9, 10]), ((3, 4), (2, 0), (3, 4), [8, 9, 10, 11]),
         ((2, 3), (0, 2), (2, 3), [2, 5])]  # fmt: skip


@pytest.mark.parametrize(("grid", "start", "stop", "kept"), CASES, ids=str)
def test_positions_are_those_between_start_and_stop(grid, start, stop, kept):
    x, layer = np.random.default_rng(0).normal(size=(2, 3, *grid)), Crop(start, stop)
    found = layer.sample([x], None)
    shape = layer.shape([Shape(2, grid)])
    assert found.values.shape == (2, 3, *shape.grid)
    flat, before = found.values.reshape(2, 3, -1), x.reshape(2, 3, -1)
    assert shape.positions == len(kept)
    for place, position in enumerate(kept):
        np.testing.assert_array_equal(flat[..., place], before[..., position])
    (back,) = found.pull(found.values)
    back = back.reshape(2, 3, -1)
    for position in range(math.prod(grid)):
        own = before[..., position] if position in kept else 0.0
        np.testing.assert_array_equal(back[..., position], np.broadcast_to(own, (2, 3)))


@pytest.mark.parametrize(("grid", "start", "stop", "kept"), CASES, ids=str)
def test_moments_are_those_of_what_is_kept(grid, start, stop, kept):
    count, random = math.prod(grid), np.random.default_rng(3)
    gap, shared = (own @ own.T for own in random.normal(size=(2, count, count)))
    before = Signal(Shape(8, grid), random.normal(size=count), gap + shared, gap, OTHER)
    step = Crop(start, stop).moments([before], 2)
    pairs = np.ix_(kept, kept)
    np.testing.assert_array_equal(step.signal.mean, before.mean[kept])
    np.testing.assert_array_equal(step.signal.same, before.same[pairs])
    np.testing.assert_array_equal(step.signal.gap, before.gap[pairs])
    own = random.normal(size=(len(kept), len(kept)))
    own = own @ own.T
    (slope,) = step.pull(Slope(own, 0.5 * own))
    whole = np.zeros((count, count))
    whole[pairs] = own
    np.testing.assert_allclose(math.exp(slope.log) * slope.same, whole, rtol=1e-14)
    np.testing.assert_allclose(math.exp(slope.log) * slope.gap, 0.5 * whole, rtol=1e-14)


def middle(width):
    """The middle of what a convolution without a border sees, and one that has one."""
    return Block((
        Entry(Conv(channels=width, kernel=3, activation="relu")),
        Entry(Crop(1, 4)),
        Entry(Conv(channels=width, kernel=3)),
        Entry(GlobalMeanPool()),
    ))  # fmt: skip


def test_theory_of_networks_is_what_plain_simulations_tend_to():
    def observed(width, seed):
        return of_network(middle(width), (5,), width, 300, seed)

    tends(observed, 4)


@pytest.mark.parametrize(
    ("layer", "shape", "words"),
    [
        (Crop(0, 1), Shape(4), "grid"),
        (Crop(0, 6), Shape(4, (5,)), "stop is 6, but must be at most 5, the positions before it"),
        (Crop(0, 4), Shape(4, (5, 3)), "stop is 4, but must be at most 3"),
        (Crop(2, 2), Shape(4, (5,)), "start is 2, but must be below stop, which is 2"),
        (Crop((0, 0), 2), Shape(4, (5,)), "one number on a grid of one axis"),
    ],
)
def test_positions_that_are_not_there_are_refused(layer, shape, words):
    with pytest.raises(InvalidValueError, match=words):
        layer.shape([shape])


def test_one_position_of_a_signal_without_pairs():
    start = Signal(Shape(4, (3,)), np.zeros(3), np.array([1.0, 2.0, 3.0]), np.ones(3), OTHER)
    step = Crop(1, 2).moments([start], 2)
    assert (step.signal.same.item(), step.signal.gap.item()) == (2.0, 1.0)
    (slope,) = step.pull(Slope(np.array([[5.0]]), np.array([[4.0]])))
    np.testing.assert_allclose(math.exp(slope.log) * slope.same, [0.0, 5.0, 0.0])
    np.testing.assert_allclose(math.exp(slope.log) * slope.gap, [0.0, 4.0, 0.0])


def test_the_last_position_of_the_largest_grid_can_be_kept():
    assert Crop(MAX_WIDTH - 1, MAX_WIDTH).shape([Shape(1, (MAX_WIDTH,))]) == Shape(1, (1,))
