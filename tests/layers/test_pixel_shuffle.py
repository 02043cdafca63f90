"""Pixel shuffle: values against loops, theory against plain simulations."""

from __future__ import annotations

import math

import numpy as np
import pytest

from snstat.errors import InvalidValueError, LayerError
from snstat.layers.activation import Activation
from snstat.layers.add import Add
from snstat.layers.block import Block
from snstat.layers.concat import Concat
from snstat.layers.conv import Conv
from snstat.layers.dropout import Dropout
from snstat.layers.entry import Entry
from snstat.layers.global_mean_pool import GlobalMeanPool
from snstat.layers.law import GAUSSIAN, OTHER, ZERO
from snstat.layers.layer_norm import LayerNorm
from snstat.layers.mean_pool import MeanPool
from snstat.layers.no_theory import NoTheory
from snstat.layers.pixel_shuffle import PixelShuffle
from snstat.layers.shape import Shape
from snstat.layers.signal import PLACE, Signal, Slope
from snstat.layers.squares import diagonal
from snstat.layers.upsample import Upsample
from snstat.network.network import Network
from snstat.network.population import Population
from tests.layers.plain_theory import PLACES, compared, numbers, of_network, tends

FACTORS = [((4,), 3), ((4, 3), 2), ((4, 3), (2, 3)), ((4, 3), (1, 2)), ((2, 1), 1)]


def factors_of(grid, factor):
    return (factor,) * len(grid) if isinstance(factor, int) else factor


def moved(grid, factor):
    """Return for each position after the position before and its place, both row by row."""
    factors = factors_of(grid, factor)
    after = [n * f for n, f in zip(grid, factors, strict=True)]
    rows = []
    for place in np.ndindex(*after):
        before = [a // f for a, f in zip(place, factors, strict=True)]
        within = [a % f for a, f in zip(place, factors, strict=True)]
        rows.append((np.ravel_multi_index(before, grid), np.ravel_multi_index(within, factors)))
    return [(int(u), int(k)) for u, k in rows]


@pytest.mark.parametrize(("grid", "factor"), FACTORS, ids=str)
def test_channels_become_positions(grid, factor):
    places = math.prod(factors_of(grid, factor))
    x, layer = np.random.default_rng(0).normal(size=(3 * places, 2, *grid)), PixelShuffle(factor)
    found = layer.sample([x], None)
    shape = layer.shape([Shape(3 * places, grid)])
    assert shape.channels == 3
    assert found.values.shape == (3, 2, *shape.grid)
    flat, before = found.values.reshape(3, 2, -1), x.reshape(3 * places, 2, -1)
    for position, (u, k) in enumerate(moved(grid, factor)):
        np.testing.assert_array_equal(flat[..., position], before[k::places, :, u])
    # Numbers move, so the way back is the way there.
    np.testing.assert_array_equal(found.pull(found.values)[0], x)


def signal(grid, law=OTHER, channels=36):
    count, random = math.prod(grid), np.random.default_rng(3)
    gap, shared = (own @ own.T for own in random.normal(size=(2, count, count)))
    mean = random.normal(size=count) if law == OTHER else np.zeros(count)
    return Signal(Shape(channels, grid), mean, gap + shared, gap, law)


@pytest.mark.parametrize(("grid", "factor"), FACTORS, ids=str)
def test_moments_are_those_of_independent_units(grid, factor):
    before = signal(grid)
    step = PixelShuffle(factor).moments([before], 3)
    rows, after = moved(grid, factor), step.signal
    same, gap, places = np.empty_like(after.same), np.empty_like(after.gap), 1 + max(rows)[1]
    back = np.zeros_like(before.same)
    own = np.random.default_rng(4).normal(size=after.same.shape)
    for a, (u, k) in enumerate(rows):
        assert after.mean[a] == before.mean[u]
        for b, (v, m) in enumerate(rows):
            alike = k == m
            same[a, b] = before.same[u, v] if alike else before.mean[u] * before.mean[v]
            gap[a, b] = before.gap[u, v] if alike else 0.0
            back[u, v] += own[a, b] / places if alike else 0.0
    np.testing.assert_array_equal(after.same, same)
    np.testing.assert_array_equal(after.gap, gap)
    (slope,) = step.pull(Slope(own, 0.5 * own))
    np.testing.assert_allclose(math.exp(slope.log) * slope.same, back, rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(math.exp(slope.log) * slope.gap, 0.5 * back, rtol=1e-12, atol=1e-14)
    # A read-out of every position by itself keeps the mean square.
    (slope,) = step.pull(Slope(np.ones(len(rows)), np.ones(len(rows))))
    np.testing.assert_allclose(math.exp(slope.log) * diagonal(slope.same), 1.0)


@pytest.mark.parametrize("law", [GAUSSIAN, ZERO, OTHER], ids=lambda law: law.name)
def test_the_law_stays_where_units_are_alike(law):
    before = signal((3,), law)
    after = PixelShuffle(2).moments([before], 2).signal
    assert (after.law, after.fresh) == (law, before.fresh)
    placed = Signal(before.shape, before.mean, before.same, before.gap, law, frozenset((PLACE,)))
    assert isinstance(PixelShuffle(2).moments([placed], 2), NoTheory)
    assert PixelShuffle(1).moments([placed], 2).signal is placed


def test_the_same_units_at_other_places_are_no_independent_summand():
    start = signal((2, 2))
    one, two = (PixelShuffle(f).moments([start], 2).signal for f in ((2, 1), (1, 2)))
    one, two = (
        PixelShuffle(f).moments([own], 2).signal for f, own in (((1, 2), one), ((2, 1), two))
    )
    assert one.shape == two.shape
    assert isinstance(Add().moments([one, two], 2), NoTheory)


def test_too_many_positions_have_no_pairs():
    one = Signal.of_one(Shape(4100, (1,)), (0.0, 1.5, 0.5), GAUSSIAN)
    assert PixelShuffle(4100).moments([one], 2).signal.same.shape == (4100,)
    assert PixelShuffle(1025).moments([one], 2).signal.same.shape == (1025, 1025)
    step = PixelShuffle(4100).moments([one], 2)
    np.testing.assert_array_equal(step.signal.gap, np.full(4100, 0.5))
    (back,) = step.pull(Slope(np.full(4100, 3.0), np.full(4100, 2.0)))
    assert math.exp(back.log) * back.same.item() == pytest.approx(3.0)
    assert math.exp(back.log) * back.gap.item() == pytest.approx(2.0)


def chain(*layers):
    return Block(tuple(Entry(layer) for layer in layers))


CASES = {
    # The mean is not 0, so different units have a product.
    "after relu": lambda _: chain(Activation("relu"), PixelShuffle(2)),
    "in front of φ": lambda _: chain(PixelShuffle(3), Activation("selu")),
    "twice": lambda _: chain(PixelShuffle(2), Activation("relu"), PixelShuffle(2)),
    "after dropout": lambda _: chain(Activation("relu"), Dropout(0.3), PixelShuffle(2)),
}
AFTER = {"after relu": 4, "in front of φ": 6, "twice": 8, "after dropout": 4}
COMPARISONS = sum(numbers(2, after) for after in AFTER.values())


@pytest.mark.parametrize("name", CASES)
def test_theory_is_what_plain_simulations_tend_to(name):
    compared(CASES[name], PLACES, (2,), COMPARISONS)


def _super_resolution(width):
    """The end of ESPCN (arXiv:1609.05158), and a head that needs pairs of positions."""
    return (
        Entry(Conv(channels=width, kernel=3, activation="tanh")),
        Entry(Conv(channels=4 * width, kernel=3)),
        Entry(PixelShuffle(2)),
        Entry(Conv(channels=width, kernel=3, activation="relu")),
        Entry(MeanPool(2)),
    )


def _twice(width):
    return (
        Entry(Conv(channels=16 * width, kernel=2, activation="relu")),
        Entry(PixelShuffle((2, 1))),
        Entry(LayerNorm()),
        Entry(PixelShuffle(2)),
        Entry(Conv(channels=width, kernel=3, activation="selu")),
        Entry(GlobalMeanPool()),
    )


@pytest.mark.parametrize("build", [_super_resolution, _twice])
def test_theory_of_networks_is_what_plain_simulations_tend_to(build):
    def observed(width, seed):
        return of_network(Block(build(width // 4)), (2, 2), width, 300, seed)

    tends(observed, 2 * 4)


@pytest.mark.parametrize(
    ("layer", "shape", "words"),
    [
        (PixelShuffle(2), Shape(4), "grid"),
        (PixelShuffle((2, 2)), Shape(4, (7,)), "one number on a grid of one axis"),
        (PixelShuffle(2), Shape(6, (3, 3)), "product 4 divides the 6 channels.*try 8 channels"),
        (PixelShuffle(3), Shape(2, (3,)), "product 3 divides the 2 channels.*try 3 channels"),
        (PixelShuffle((2**15, 2**15)), Shape(2, (3, 3)), "divides"),
    ],
)
def test_what_does_not_fit_is_refused(layer, shape, words):
    with pytest.raises(InvalidValueError, match=words):
        layer.shape([shape])


def test_a_population_does_not_stand_for_it():
    """Copies of a unit of the input would be positions that are alike."""
    network = Network(Shape(8, (3,)), chain(Conv(channels=8, kernel=3), PixelShuffle(2)))
    with pytest.raises(LayerError, match="left out: 2 channels become 1"):
        Population.of(network, 64)
    one = Network(Shape(8, (3,)), chain(Conv(channels=8, kernel=3), PixelShuffle(1)))
    assert Population.of(one, 64).alike


def test_units_of_a_concatenation_are_not_known():
    entries = (
        Entry(Upsample(1)),
        Entry(Activation("relu"), (0,)),
        Entry(Concat(), (0, 2)),
        Entry(PixelShuffle(2), (3,)),
    )
    start = signal((3,), GAUSSIAN)
    step = Block(entries).moments([start], 2)
    assert not step.signal.known
