"""Pools, upsampling and flatten, against plain loops."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from snstat.errors import InvalidValueError
from snstat.layers.activation import Activation
from snstat.layers.block import Block
from snstat.layers.concat import Concat
from snstat.layers.conv import Conv
from snstat.layers.conv_transpose import ConvTranspose
from snstat.layers.dense import Dense
from snstat.layers.dropout import Dropout
from snstat.layers.entry import Entry
from snstat.layers.flatten import Flatten
from snstat.layers.global_mean_pool import GlobalMeanPool
from snstat.layers.group_norm import GroupNorm
from snstat.layers.law import GAUSSIAN, OTHER, ZERO, is_masked
from snstat.layers.layer_norm import LayerNorm
from snstat.layers.max_pool import MaxPool
from snstat.layers.mean_pool import MeanPool
from snstat.layers.no_theory import NoTheory
from snstat.layers.shape import Shape
from snstat.layers.signal import PLACE, Signal, Slope
from snstat.layers.upsample import Upsample
from tests.layers.plain_theory import of_network, tends

GRIDS = pytest.mark.parametrize("grid", [(7,), (6, 5)], ids=str)
POOLS = pytest.mark.parametrize(
    "sizes", [(1,), (2,), (3, 1), (2, 3), (1, 2), (3, 2), (4,)], ids=str
)


def drawn(shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def windows(grid, size, stride=None):
    """Return the positions of every window, by loops: (positions after, positions in it)."""
    stride = size if stride is None else stride
    starts = [range(0, n - size + 1, stride) for n in grid]
    taps = list(itertools.product(range(size), repeat=len(grid)))
    return [
        [tuple(a + b for a, b in zip(start, tap, strict=True)) for tap in taps]
        for start in itertools.product(*starts)
    ]


def flat(rows, grid):
    """Return rows of positions as their numbers."""
    return [[int(np.ravel_multi_index(place, grid)) for place in row] for row in rows]


def pooled(layer, x, reduced):
    """Compare a pool of x with `reduced`(values of a window) by loops; return its windows."""
    grid = x.shape[2:]
    stride = layer.stride
    rows = windows(grid, layer.size, stride)
    found = layer.sample([x], None).values
    assert found.shape == (len(x), x.shape[1], *layer.shape([Shape(len(x), grid)]).grid)
    expected = [reduced(np.array([x[(..., *place)] for place in row])) for row in rows]
    expected = np.moveaxis(np.array(expected), 0, -1).reshape(found.shape)
    np.testing.assert_allclose(found, expected, rtol=1e-13, atol=1e-15)
    return rows


@GRIDS
@POOLS
def test_means_are_those_of_loops(grid, sizes):
    layer, x = MeanPool(*sizes), drawn((3, 2, *grid))
    rows = pooled(layer, x, lambda window: window.mean(0))
    found = layer.sample([x], None)
    slope, expected = drawn(found.values.shape, 1), np.zeros_like(x)
    flat_slope = slope.reshape(3, 2, -1)
    for number, row in enumerate(rows):
        for place in row:
            expected[(..., *place)] += flat_slope[..., number] / len(row)
    np.testing.assert_allclose(found.pull(slope)[0], expected, rtol=1e-13, atol=1e-15)


@GRIDS
@POOLS
def test_the_first_of_the_largest_has_the_gradient(grid, sizes):
    """Whole numbers, so that many are alike."""
    layer, x = MaxPool(*sizes), np.random.default_rng(2).integers(0, 3, (3, 2, *grid)).astype(float)
    rows = pooled(layer, x, lambda window: window.max(0))
    found = layer.sample([x], None)
    slope, expected = drawn(found.values.shape, 1), np.zeros_like(x)
    flat_slope = slope.reshape(3, 2, -1)
    for number, row in enumerate(rows):
        for channel, sample in np.ndindex(3, 2):
            values = [x[(channel, sample, *place)] for place in row]
            place = row[values.index(max(values))]
            expected[(channel, sample, *place)] += flat_slope[channel, sample, number]
    np.testing.assert_allclose(found.pull(slope)[0], expected, rtol=1e-13, atol=1e-15)


@GRIDS
@pytest.mark.parametrize(("size", "stride"), [(3, 1), (3, 2), (2, 1), (4, 3)])
def test_windows_at_the_border_are_smaller_with_padding_same(grid, size, stride):
    """Of values below 0, so that a border of zeros would be the largest; by loops."""
    x = -1.0 - np.abs(drawn((3, 2, *grid)))
    own = MaxPool(min(size, *grid), stride, padding="same")
    found = own.sample([x], None)
    left = (own.size - 1) // 2
    slope, expected = drawn(found.values.shape, 1), np.zeros_like(x)
    for place in np.ndindex(found.values.shape[2:]):
        ends = [(stride * at - left, stride * at - left + own.size) for at in place]
        window = tuple(slice(max(low, 0), high) for low, high in ends)
        for first in np.ndindex(3, 2):
            values = x[(*first, *window)]
            assert found.values[(*first, *place)] == values.max()
            back = expected[(*first, *window)]
            back[np.unravel_index(values.argmax(), values.shape)] += slope[(*first, *place)]
    assert found.values.shape[2:] == tuple(-(-n // stride) for n in grid)
    np.testing.assert_allclose(found.pull(slope)[0], expected, rtol=1e-13, atol=1e-15)


def test_what_is_not_a_number_is_the_largest():
    x = np.array([[[1.0, np.nan, np.inf, 2.0]]])
    found = MaxPool(2).sample([x], None)
    np.testing.assert_array_equal(found.values, [[[np.nan, np.inf]]])
    np.testing.assert_array_equal(found.pull(np.ones((1, 1, 2)))[0], [[[0, 1, 1, 0]]])


def test_a_max_pool_of_many_taps_knows_which_is_the_largest():
    """More than a byte counts."""
    x = np.zeros((1, 1, 20, 20))
    x[0, 0, 19, 18] = 1.0
    found = MaxPool(20).sample([x], None)
    np.testing.assert_array_equal(found.pull(np.full((1, 1, 1, 1), 5.0))[0], 5.0 * x)


@GRIDS
def test_a_global_mean_is_that_of_all_positions(grid):
    x = drawn((3, 2, *grid))
    found = GlobalMeanPool().sample([x], None)
    assert GlobalMeanPool().shape([Shape(3, grid)]) == Shape(3)
    np.testing.assert_allclose(found.values, x.reshape(3, 2, -1).mean(-1), rtol=1e-13)
    slope = drawn((3, 2), 1)
    (back,) = found.pull(slope)
    expected = slope.reshape(3, 2, *[1] * len(grid)) / math.prod(grid) * np.ones_like(x)
    np.testing.assert_allclose(back, expected, rtol=1e-13)


@pytest.mark.parametrize("factor", [1, 3, (2, 3)], ids=str)
def test_every_position_is_repeated(factor):
    x, layer = drawn((3, 2, 4, 3)), Upsample(factor)
    rows, columns = (factor, factor) if isinstance(factor, int) else factor
    found = layer.sample([x], None)
    assert layer.shape([Shape(3, (4, 3))]) == Shape(3, (4 * rows, 3 * columns))
    slope, expected = drawn(found.values.shape, 1), np.zeros_like(x)
    for row, column in np.ndindex(4 * rows, 3 * columns):
        source = (..., row // rows, column // columns)
        np.testing.assert_array_equal(found.values[..., row, column], x[source])
        expected[source] += slope[..., row, column]
    np.testing.assert_allclose(found.pull(slope)[0], expected, rtol=1e-13, atol=1e-14)


@GRIDS
def test_flat_channels_are_those_of_one_channel_after_another(grid):
    x, count = drawn((3, 2, *grid)), math.prod(grid)
    found = Flatten().sample([x], None)
    assert Flatten().shape([Shape(3, grid)]) == Shape(3 * count)
    for channel, place in itertools.product(range(3), np.ndindex(*grid)):
        number = channel * count + int(np.ravel_multi_index(place, grid))
        np.testing.assert_array_equal(found.values[number], x[(channel, slice(None), *place)])
    # Numbers move, so the way back is the way there.
    np.testing.assert_array_equal(found.pull(found.values)[0], x)


def signal(grid, seed=0, channels=6, law=GAUSSIAN):
    """Return a signal with pairs of positions, all different."""
    count = math.prod(grid)
    root = drawn((2, count, count), seed)
    gap, shared = (own @ own.T for own in root)
    mean = np.zeros(count) if law == GAUSSIAN else drawn(count, seed + 1)
    return Signal(Shape(channels, grid), mean, gap + shared, gap, law)


def slopes(found):
    """Return E[δδ'] of a slope."""
    return math.exp(found.log) * found.same


def averaged(rows, products):
    """Return the mean of products over all pairs of positions of two windows, by loops."""
    return np.array([[products[np.ix_(u, v)].mean() for v in rows] for u in rows])


LINEAR = [
    (MeanPool(2), (7,)),
    (MeanPool(3, 1), (7,)),
    (MeanPool(2, 1), (3, 4)),
    (MeanPool(1, 2), (3, 4)),
    (GlobalMeanPool(), (3, 2)),
    (Upsample(2), (4,)),
    (Upsample((2, 3)), (3, 2)),
]


def rows_of(layer, grid):
    """Return the positions that each position after is an average of."""
    if isinstance(layer, MeanPool):
        return flat(windows(grid, layer.size, layer.stride), grid)
    if isinstance(layer, GlobalMeanPool):
        return [list(range(math.prod(grid)))]
    factors = (layer.factor,) * len(grid) if isinstance(layer.factor, int) else layer.factor
    after = [n * f for n, f in zip(grid, factors, strict=True)]
    sources = [tuple(np.array(place) // factors) for place in np.ndindex(*after)]
    return flat([[source] for source in sources], grid)


@pytest.mark.parametrize(("layer", "grid"), LINEAR, ids=str)
@pytest.mark.parametrize("law", [GAUSSIAN, OTHER], ids=["gaussian", "other"])
def test_products_are_averages_over_pairs(layer, grid, law):
    before, rows = signal(grid, law=law), rows_of(layer, grid)
    step = layer.moments([before], 3)
    after = step.signal
    assert (after.law, after.fresh) == (law, before.fresh)
    assert after.shape == layer.shape([before.shape])
    np.testing.assert_allclose(after.mean, [before.mean[row].mean() for row in rows], atol=1e-15)
    np.testing.assert_allclose(after.same, averaged(rows, before.same), rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(after.gap, averaged(rows, before.gap), rtol=1e-12, atol=1e-13)
    # The way back is the adjoint.
    own = drawn(after.same.shape, 3)
    (back,) = step.pull(Slope(own, 0.5 * own))
    assert np.sum(slopes(back) * before.same) == pytest.approx(np.sum(own * after.same), rel=1e-10)
    np.testing.assert_allclose(back.gap, 0.5 * back.same, rtol=1e-12)


@pytest.mark.parametrize(("layer", "grid"), LINEAR, ids=str)
def test_what_needs_pairs_is_not_known_without_them(layer, grid):
    before, rows = signal(grid), rows_of(layer, grid)
    step = layer.moments([before.alone], 3)
    if len(rows[0]) > 1:
        assert isinstance(step, NoTheory)
        return
    (sources,) = zip(*rows, strict=True)
    np.testing.assert_array_equal(step.signal.same, np.diag(before.same)[list(sources)])
    np.testing.assert_array_equal(step.signal.gap, np.diag(before.gap)[list(sources)])
    # Gradients of different positions are uncorrelated, so their squares add up.
    own = np.random.default_rng(3).uniform(0.5, 2.0, len(sources))
    (back,) = step.pull(Slope(own, own))
    expected = np.zeros(len(before.mean))
    for source, part in zip(sources, own, strict=True):
        expected[source] += part
    np.testing.assert_allclose(slopes(back), expected, rtol=1e-13)
    (paired,) = layer.moments([before], 3).pull(Slope(own, own))
    np.testing.assert_allclose(slopes(paired), np.diag(expected), rtol=1e-13)


def test_gradients_of_copies_add_up_where_they_are_alike():
    """A read-out of the sum: f² of the squared gradient, against f of independent ones."""
    before = signal((3,))
    step = Upsample(4).moments([before], 2)
    (alike,) = step.pull(Slope(np.ones((12, 12)), np.ones((12, 12))))
    (independent,) = step.pull(Slope(np.eye(12), np.eye(12)))
    np.testing.assert_allclose(slopes(alike), np.full((3, 3), 16.0), rtol=1e-13)
    np.testing.assert_allclose(slopes(independent), 4.0 * np.eye(3), rtol=1e-13)


def test_too_many_positions_have_no_pairs():
    one = Signal.of_one(Shape(6, (1,)), (0.0, 1.5, 0.5), GAUSSIAN)
    assert Upsample(4096).moments([one], 2).signal.same.shape == (4096, 4096)
    step = Upsample(4097).moments([one], 2)
    np.testing.assert_array_equal(step.signal.same, np.full(4097, 1.5))
    (back,) = step.pull(Slope(np.ones(4097), np.ones(4097)))
    assert slopes(back).item() == pytest.approx(4097.0, rel=1e-13)


@pytest.mark.parametrize("layer", [MeanPool(1), GlobalMeanPool(), Flatten(), Upsample(1)], ids=str)
def test_one_position_keeps_its_law(layer):
    one = Signal.of_one(Shape(6, (1,)), (0.0, 1.5, 0.5), GAUSSIAN)
    dropped = Dropout(0.5).moments([one], 2).signal
    step = layer.moments([dropped], 2)
    assert is_masked(step.signal.law)
    assert step.signal.shape == layer.shape([one.shape])
    slope = Slope(np.ones((1, 1)), np.ones((1, 1)), excess=0.5)
    assert step.pull(slope) == (slope,)


def test_copies_of_a_masked_position_have_no_law():
    one = Signal.of_one(Shape(6, (1,)), (0.0, 1.5, 0.5), GAUSSIAN)
    dropped = Dropout(0.5).moments([one], 2).signal
    assert Upsample(2).moments([dropped], 2).signal.law == OTHER
    silent = Signal.of_one(Shape(6, (1,)), (0.0, 0.0, 0.0), ZERO)
    assert Upsample(2).moments([silent], 2).signal.law == ZERO


@pytest.mark.parametrize("pairs", [True, False])
def test_flat_units_have_the_average_over_positions(pairs):
    before = signal((3, 2), law=OTHER)
    before = before if pairs else before.alone
    step = Flatten().moments([before], 2)
    square, gap = (np.diag(own) if pairs else own for own in (before.same, before.gap))
    assert step.signal.mean[0] == pytest.approx(before.mean.mean(), rel=1e-13)
    assert step.signal.same[0, 0] == pytest.approx(square.mean(), rel=1e-13)
    assert step.signal.gap[0, 0] == pytest.approx(gap.mean(), rel=1e-13)
    (back,) = step.pull(Slope(np.array([[3.0]]), np.array([[2.0]])))
    expected = 3.0 * (np.eye(6) if pairs else np.ones(6))
    np.testing.assert_allclose(slopes(back), expected, rtol=1e-13)
    np.testing.assert_allclose(math.exp(back.log) * back.gap, expected * 2.0 / 3.0, rtol=1e-13)


@pytest.mark.parametrize("law", [GAUSSIAN, ZERO, OTHER], ids=lambda law: law.name)
def test_flat_units_keep_their_law_where_positions_are_alike(law):
    square = np.full(3, 0.0 if law == ZERO else 1.5)
    before = Signal(Shape(40, (3,)), np.zeros(3), square, 0.5 * square, law)
    after = Flatten().moments([before], 2).signal
    assert (after.law, after.fresh) == (law, before.fresh)
    for place in range(3 if law == GAUSSIAN else 0):
        one, other = square.copy(), 0.5 * square
        (one if place else other)[1] += 1e-9
        uneven = Signal(Shape(40, (3,)), np.zeros(3), one, other, law)
        found = Flatten().moments([uneven], 2).signal
        assert (found.law, PLACE in found.fresh) == (OTHER, True)
        # Groups are not alike, and nothing is known of an activation.
        assert isinstance(GroupNorm(groups=2).moments([found], 2), NoTheory)
        assert isinstance(Activation("relu").moments([found], 2), NoTheory)


# Networks on a grid of one position, whose pairs are followed.


def _mixed(width):
    """Of what is flattened, pairs are not followed; of what is pooled they are."""
    return (
        Entry(Upsample(3), (0,)),
        Entry(LayerNorm(), (1,)),
        Entry(Dense(width, "relu"), (2,)),
        Entry(Flatten(), (3,)),
        Entry(GlobalMeanPool(), (2,)),
        Entry(Concat(), (4, 5)),
    )


def _norm(width):
    """The slope of an activation has no pairs, that of copies needs them."""
    return Entry(Upsample(3)), Entry(LayerNorm()), Entry(Dense(width, "relu")), Entry(Flatten())


def _ladder(width):
    return (
        Entry(ConvTranspose(channels=width, kernel=3, stride=1, activation="relu")),
        Entry(Upsample(2)),
        Entry(Conv(channels=width, kernel=3, activation="tanh")),
        Entry(Flatten()),
        Entry(Dense(width, "relu")),
    )


def _averages(width):
    return (
        Entry(Upsample(3)),
        Entry(Conv(channels=width, kernel=2)),
        Entry(LayerNorm()),
        Entry(MeanPool(2, 1)),
        Entry(Conv(channels=width, kernel=3)),
        Entry(MeanPool(2)),
        Entry(Activation("relu")),
    )


def _classifier(width):
    """Activations on grids, whose pairs are averaged over parts of the grid and over all of it."""
    return (
        Entry(Upsample(4)),
        Entry(Conv(channels=width, kernel=3, activation="relu")),
        Entry(MeanPool(2)),
        Entry(Conv(channels=width, kernel=3, activation="selu")),
        Entry(GlobalMeanPool()),
        Entry(Dense(width, "relu")),
    )


@pytest.mark.parametrize("build", [_mixed, _norm, _ladder, _averages, _classifier])
def test_theory_of_networks_is_what_plain_simulations_tend_to(build):
    def observed(width, seed):
        return of_network(Block(build(width)), (1, 1), width, 400, seed)

    tends(observed, 5 * 4)


@pytest.mark.parametrize(
    ("layer", "shape", "words"),
    [
        *((own, Shape(4), "grid") for own in (MeanPool(2), MaxPool(2), GlobalMeanPool())),
        *((own, Shape(4), "grid") for own in (Upsample(2), Flatten())),
        (MeanPool(8), Shape(4, (7,)), "size is 8, but must be at most the 7 positions"),
        (MaxPool(3), Shape(4, (7, 2)), "try 2"),
        (MaxPool((2, 2)), Shape(4, (7,)), "size"),
        (MaxPool(2, (1, 1)), Shape(4, (7,)), "stride"),
        (Upsample((2, 2)), Shape(4, (7,)), "factor"),
        (Upsample(2**20), Shape(4, (2**10,)), "grid"),
    ],
)
def test_what_does_not_fit_is_refused(layer, shape, words):
    with pytest.raises(InvalidValueError, match=words):
        layer.shape([shape])
