"""Convolutions, against plain loops."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from snstat.errors import InvalidValueError
from snstat.layers.block import Block
from snstat.layers.conv import Conv
from snstat.layers.dense import Dense
from snstat.layers.depthwise_conv import DepthwiseConv
from snstat.layers.draw import Pass
from snstat.layers.entry import Entry
from snstat.layers.law import OTHER
from snstat.layers.patches import by_patches
from snstat.layers.shape import Shape
from snstat.layers.signal import Signal, Slope
from snstat.layers.window_axis import CAUSAL, CIRCULAR, PADDINGS, VALID
from tests.layers.plain_theory import compared_alone

GRIDS = [(7,), (6, 5)]
SIZES = [
    {"kernel": 3},
    {"kernel": 2},
    {"kernel": 1, "stride": 2},
    {"kernel": 3, "stride": 2},
    {"kernel": 2, "dilation": 3},
    {"kernel": 3, "stride": 3, "dilation": 2},
]


def places(size, kernel=3, stride=1, dilation=1, padding="same"):
    """Return the positions that each output position takes, None beyond the border: a list of
    lists."""
    reach = dilation * (kernel - 1)
    before = {VALID: 0, CAUSAL: reach}.get(padding, reach // 2)
    count = (size - reach - 1) // stride + 1 if padding == VALID else math.ceil(size / stride)
    found = []
    for out in range(count):
        row = [out * stride + tap * dilation - before for tap in range(kernel)]
        if padding == CIRCULAR:
            row = [place % size for place in row]
        found.append([place if 0 <= place < size else None for place in row])
    return found


def plain(x, weights, sizes, padding):
    """Return W ∗ x by loops: x (channels, batch, *grid), weights (out, *kernel, channels)."""
    grid = x.shape[2:]
    rows = [places(size, **sizes, padding=padding) for size in grid]
    z = np.zeros((len(weights), x.shape[1], *map(len, rows)))
    for out in itertools.product(*(range(len(row)) for row in rows)):
        for tap in itertools.product(range(sizes["kernel"]), repeat=len(grid)):
            source = tuple(rows[a][out[a]][tap[a]] for a in range(len(grid)))
            if None not in source:
                z[(..., *out)] += weights[(slice(None), *tap)] @ x[(..., *source)]
    return z


class Given:
    """A Draw that has one matrix for each group."""

    train = True

    def __init__(self, matrices):
        self.matrices = list(matrices)

    def linear(self, values, weights):
        matrix = self.matrices.pop(0)
        assert matrix.shape == (weights.fan_out, weights.fan_in)
        return Pass(
            np.tensordot(matrix, values, 1), lambda slope: (np.tensordot(matrix.T, slope, 1),)
        )

    def convolve(self, values, window, weights, groups):
        return by_patches(self, values, window, weights, groups)


def conv(channels=4, padding="same", **sizes):
    return Conv(channels=channels, padding=padding, **sizes)


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("sizes", SIZES, ids=str)
@pytest.mark.parametrize("padding", PADDINGS)
@pytest.mark.parametrize("grid", GRIDS, ids=str)
def test_values_are_those_of_loops(grid, padding, sizes, groups):
    if padding == CAUSAL and len(grid) > 1:
        return
    random, kernel = np.random.default_rng(0), (sizes["kernel"],) * len(grid)
    x = random.normal(size=(6, 2, *grid))
    weights = random.normal(size=(groups, 4 // groups, *kernel, 6 // groups))
    layer = conv(padding=padding, groups=groups, **sizes)
    found = layer.sample([x], Given(own.reshape(4 // groups, -1) for own in weights))
    expected = np.concatenate(
        [
            plain(part, own, sizes, padding)
            for part, own in zip(np.split(x, groups), weights, strict=True)
        ]
    )
    shape = layer.shape([Shape(6, grid)])
    assert found.values.shape == (shape.channels, 2, *shape.grid)
    np.testing.assert_allclose(found.values, expected, rtol=1e-13, atol=1e-13)
    # The pull-back is the adjoint.
    slope, towards = random.normal(size=expected.shape), random.normal(size=x.shape)
    moved = layer.sample([towards], Given(own.reshape(4 // groups, -1) for own in weights))
    assert np.sum(found.pull(slope)[0] * towards) == pytest.approx(
        np.sum(slope * moved.values), rel=1e-11
    )


@pytest.mark.parametrize("sizes", SIZES, ids=str)
@pytest.mark.parametrize("padding", PADDINGS)
@pytest.mark.parametrize("pairs", [True, False])
def test_second_moments_are_averages_over_the_window(padding, sizes, pairs):
    """By loops over the positions of the window, both of a pair with the same tap."""
    size, random = 7, np.random.default_rng(1)
    root = random.normal(size=(size, size))
    same, gap = root @ root.T, 0.5 * root @ root.T
    if not pairs:
        same, gap = np.diag(same).copy(), np.diag(gap).copy()
    layer = conv(padding=padding, bias_std=0.5, weight_gain=1.5, **sizes)
    step = layer.moments([Signal(Shape(6, (size,)), np.zeros(size), same, gap, OTHER)], 3)
    rows = places(size, **sizes, padding=padding)

    def moved(products, own):
        found = np.zeros((len(rows),) * products.ndim)
        for index in np.ndindex(found.shape):
            for tap in range(sizes["kernel"]):
                source = tuple(rows[place][tap] for place in index)
                if None not in source:
                    found[index] += 2.25 / sizes["kernel"] * products[source]
        # Of one position the only pair is followed.
        return (found + own).reshape((1, 1) if len(rows) == 1 else found.shape)

    expected = moved(same, 0.25)
    found = (part.reshape(expected.shape) for part in (step.signal.same, step.signal.gap))
    np.testing.assert_allclose(next(found), expected, rtol=1e-13)
    np.testing.assert_allclose(next(found), moved(gap, 0.0), rtol=1e-13, atol=1e-15)
    # The way back is the adjoint, times channels after over channels before.
    slope = random.normal(size=step.signal.same.shape)
    (back,) = step.pull(Slope(slope, slope))
    ahead = np.sum(moved(same, 0.0) * slope)
    assert 4 / 6 * ahead == pytest.approx(
        math.exp(back.log) * np.sum(back.same * same), rel=1e-12, abs=1e-12
    )


def test_zero_padding_leaks_what_a_random_walk_loses():
    """With weights that keep q inside, q after L layers is the probability that a walk with steps
    −1, 0, 1 stays within the grid."""
    size, layers = 5, 4
    stays = np.ones(size)
    walk = (np.eye(size) + np.eye(size, k=1) + np.eye(size, k=-1)) / 3.0
    signal = Signal(Shape(8, (size,)), np.zeros(size), np.ones(size), np.ones(size), OTHER)
    for _ in range(layers):
        signal = conv(8, kernel=3, weight_gain=1.0).moments([signal], 2).signal
        stays = walk @ stays
    np.testing.assert_allclose(signal.same, stays, rtol=1e-14)


def test_one_position_that_is_left_of_a_grid_is_no_grid():
    """Its only pair is followed, whether or not those before are, and gradients go back alike."""
    size = 5
    same = np.diag(np.arange(1.0, size + 1.0)) + 0.5
    pairs = Signal(Shape(6, (size,)), np.zeros(size), same, 0.5 * same, OTHER)
    layer = conv(kernel=size, padding=VALID, activation="relu", weight_gain=1.0)
    found = []
    for before in (pairs, pairs.alone):
        step = layer.moments([before], 3)
        assert step.signal.same.shape == step.signal.gap.shape == (1, 1)
        assert step.signal.same[0, 0] == pytest.approx(0.5 * 3.5, rel=1e-14)
        (slope,) = step.pull(Slope(np.ones((1, 1)), np.ones((1, 1))))
        found.append(slope.same)
    assert found[1].shape == (size,)
    np.testing.assert_array_equal(found[0], np.diag(found[1]))


@pytest.mark.parametrize("form", ["plain", "standardized"])
@pytest.mark.parametrize("padding", ["same", "circular"])
def test_theory_of_two_layers_is_what_plain_simulations_tend_to(padding, form):
    keys = {"kernel": 3, "padding": padding, "weights": form, "weight_gain": 1.2}

    def build(width):
        one = Entry(Conv(channels=width, activation="relu", **keys))
        return Block((one, one))

    compared_alone(build, (4, 3), 4 * 4 * 12)


@pytest.mark.parametrize(
    ("layer", "shape", "words"),
    [
        (conv(kernel=3), Shape(4), "grid"),
        (conv(kernel=[3, 3]), Shape(4, (7,)), "kernel"),
        (conv(kernel=9, padding="valid"), Shape(4, (7,)), "at most 7"),
        (conv(kernel=3, padding="causal"), Shape(4, (7, 7)), "causal"),
        (conv(kernel=3, groups=3), Shape(6, (7,)), "divisor"),
        (conv(kernel=1, weights="standardized"), Shape(1, (7,)), "one input"),
    ],
)
def test_what_does_not_fit_is_refused(layer, shape, words):
    with pytest.raises(InvalidValueError, match=words):
        layer.shape([shape])


def test_weights_of_layers_on_grids_are_counted():
    layer = Conv(channels=8, kernel=(3, 2), groups=2)
    shape = Shape(6, (5, 4))
    assert layer.parameters([shape]) == 8 * (3 * 2 * 3 + 1)
    assert layer.matrices([shape])[0].fan_in == 18
    assert layer.columns([shape]) == 20
    assert Dense(3).columns([shape]) == 20
    assert Conv(channels=8, kernel=3, stride=2).columns([shape]) == 6


def test_a_window_over_all_positions_leaves_one_whose_pair_is_followed():
    """What comes after it is a layer without a grid, for theory."""
    ones = np.ones(3)
    state = Signal(Shape(4, (3,)), 0.0 * ones, 2.0 * ones, ones, OTHER)
    step = conv(kernel=3, padding="valid", activation="relu", weight_gain=1.0).moments([state], 2)
    assert step.signal.same == pytest.approx(np.ones((1, 1)), rel=1e-14)
    after = Dense(4, "relu").moments([step.signal], 2)
    (slope,) = after.pull(Slope(np.ones((1, 1)), np.ones((1, 1))))
    (back,) = step.pull(slope)
    # Half of 2, then half of 1, over three positions.
    assert math.exp(back.log) * back.same == pytest.approx([1.0 / 6.0] * 3, rel=1e-14)


@pytest.mark.parametrize("groups", [1, 2])
def test_glorot_counts_the_fan_out_at_every_tap(groups):
    """As torch.nn.init does: channels after times positions of the kernel, of all groups."""
    shape, taps = Shape(6, (5, 4)), 6
    layer = Conv(channels=8, kernel=(3, 2), groups=groups, init="glorot_normal")
    fan_in, fan_out = taps * 6 // groups, taps * 8
    found = layer.at(shape)
    assert found.square_gain / found.fan_in == pytest.approx(2.0 / (fan_in + fan_out), rel=1e-14)
    alone = DepthwiseConv(kernel=(3, 2), init="glorot_normal").at(shape)
    assert alone.square_gain / taps == pytest.approx(2.0 / (taps + 6 * taps), rel=1e-14)
