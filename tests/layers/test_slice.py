"""Slices of channels: values and moments by loops, what two of them have in common, gates."""

from __future__ import annotations

import math

import numpy as np
import pytest

from snstat.errors import InvalidValueError, LayerError
from snstat.layers.activation import Activation
from snstat.layers.add import Add
from snstat.layers.block import Block
from snstat.layers.concat import Concat
from snstat.layers.dense import Dense
from snstat.layers.entry import Entry
from snstat.layers.law import GAUSSIAN
from snstat.layers.multiply import Multiply
from snstat.layers.no_theory import NoTheory
from snstat.layers.shape import Shape
from snstat.layers.signal import Signal, Slope
from snstat.layers.slice import Slice
from snstat.network.network import Network
from snstat.network.population import Population
from tests.layers.plain_theory import of_network, tends


def signal(grid=(3,), channels=12):
    count, random = math.prod(grid), np.random.default_rng(3)
    gap, shared = (own @ own.T for own in random.normal(size=(2, count, count)))
    return Signal(Shape(channels, grid), random.normal(size=count), gap + shared, gap, GAUSSIAN)


def test_units_are_those_between_start_and_stop():
    x = np.random.default_rng(0).normal(size=(7, 2, 3))
    found = Slice(2, 5).sample([x], None)
    assert found.values.shape == (3, 2, 3)
    for unit in range(3):
        np.testing.assert_array_equal(found.values[unit], x[2 + unit])
    (back,) = found.pull(found.values)
    for unit in range(7):
        np.testing.assert_array_equal(back[unit], x[unit] if 2 <= unit < 5 else 0.0 * x[unit])


def test_moments_are_those_before_and_gradients_the_share_of_the_units():
    before = signal()
    step = Slice(3, 6).moments([before], 2)
    after = step.signal
    assert (after.shape, after.law) == (Shape(3, (3,)), GAUSSIAN)
    for name in ("mean", "same", "gap"):
        np.testing.assert_array_equal(getattr(after, name), getattr(before, name))
    own = np.eye(3)
    (slope,) = step.pull(Slope(own, 0.5 * own))
    np.testing.assert_allclose(math.exp(slope.log) * slope.same, 0.25 * own, rtol=1e-15)
    np.testing.assert_allclose(math.exp(slope.log) * slope.gap, 0.125 * own, rtol=1e-15)
    assert Slice(0, 12).moments([before], 2).signal is before


def sliced(before, *bounds):
    for start, stop in bounds:
        before = Slice(start, stop).moments([before], 2).signal
    return before


@pytest.mark.parametrize(
    ("one", "other", "apart"),
    [
        ([(0, 4)], [(4, 8)], True),
        ([(0, 4)], [(1, 5)], True),  # unit i of one is unit i + 1 of the other
        ([(2, 6)], [(2, 6)], False),
        ([(2, 8), (1, 5)], [(3, 7)], False),  # the same units, found in two ways
        ([(2, 8), (1, 5)], [(1, 8), (2, 6)], False),
        ([(2, 8), (1, 5)], [(2, 6)], True),
        ([(0, 4)], [(0, 8), (0, 4)], False),
    ],
)
def test_two_slices_share_draws_where_the_same_unit_does(one, other, apart):
    before = signal()
    parts = [sliced(before, *bounds) for bounds in (one, other)]
    assert isinstance(Add().moments(parts, 2), NoTheory) != apart
    assert isinstance(Multiply().moments(parts, 2), NoTheory) != apart


def test_the_first_units_depend_on_what_all_units_do():
    before = signal(channels=4)
    wide = Slice(0, 4).moments([before], 2).signal
    narrow = Slice(0, 2).moments([before], 2).signal
    assert wide.fresh == narrow.fresh == before.fresh
    assert not Slice(1, 3).moments([before], 2).signal.fresh & before.fresh


def gate(name):
    """A fused gate, in front of weights: a · φ(b) of the halves a and b of one layer."""

    def build(width):
        return Block((
            Entry(Dense(2 * width, bias_std=0.3)),
            Entry(Slice(0, width), (1,)),
            Entry(Slice(width, 2 * width), (1,)),
            Entry(Activation(name), (3,)),
            Entry(Multiply(), (2, 4)),
            Entry(Dense(width, "relu")),
        ))  # fmt: skip

    return build


def reused(width):
    """A layer that is taken apart, and put together again in another order."""
    return Block((
        Entry(Dense(2 * width)),
        Entry(Slice(0, width), (1,)),
        Entry(Slice(width, 2 * width), (1,)),
        Entry(Activation("tanh"), (3,)),
        Entry(Concat(), (4, 2)),
        Entry(Dense(width)),
    ))  # fmt: skip


@pytest.mark.parametrize("build", [gate("sigmoid"), gate("gelu"), reused])
def test_theory_of_networks_is_what_plain_simulations_tend_to(build):
    def observed(width, seed):
        return of_network(build(width), (2,), width, 300, seed)

    tends(observed, 3 * 4)


@pytest.mark.parametrize(
    ("layer", "words"),
    [
        (Slice(0, 8), "stop is 8, but must be at most 7, the channels before it"),
        (Slice(3, 3), "start is 3, but must be below stop, which is 3"),
        (Slice(5, 2), "start is 5, but must be below stop, which is 2"),
    ],
)
def test_units_that_are_not_there_are_refused(layer, words):
    with pytest.raises(InvalidValueError, match=words):
        layer.shape([Shape(7)])


def test_units_of_a_concatenation_are_not_known():
    entries = Entry(Activation("relu"), (0,)), Entry(Concat(), (0, 1)), Entry(Slice(0, 3), (2,))
    assert not Block(entries).moments([signal()], 2).signal.known


@pytest.mark.parametrize("stop", [4, 8])
def test_a_population_does_not_stand_for_it(stop):
    network = Network(Shape(8), Block((Entry(Dense(8)), Entry(Slice(0, stop)))))
    words = f"left out: it picks units by their numbers, 0 to {stop - 1}"
    with pytest.raises(LayerError, match=words):
        Population.of(network, 64)
