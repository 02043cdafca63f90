"""Rows of chosen layers, and numbers of parameters, against networks that are written out."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snstat.engine.general.order import places
from snstat.errors import InvalidValueError
from snstat.layers.block import Block
from snstat.layers.container import Container
from snstat.layers.dense import Dense
from snstat.layers.entry import Entry
from snstat.layers.residual_block import Residual
from snstat.layers.scale import Scale
from snstat.layers.shape import Shape
from snstat.network.network import Network
from tests.network.networks import networks


def written_out(block, shape, path=()):
    """Yield name, layer and shapes of every layer, in a plain loop."""
    for turn in range(block.repetitions):
        here = path if block.times is None else (*path, str(turn))
        shapes = [shape]
        for place, entry in enumerate(block.parts):
            before = [shapes[n] for n in entry.inputs or (place,)]
            # Layers of a branch have no name between those of the residual and their own.
            inner = (*here, block.labels[place]) if block.labels[place] else here
            if isinstance(entry.layer, Container):
                yield from written_out(entry.layer, before[0], inner)
            else:
                yield ".".join(inner), entry.layer, tuple(before), entry.layer.shape(before)
            shapes.append(entry.layer.shape(before))
        shape = shapes[-1]


@given(networks(), st.sets(st.integers(0, 60)))
def test_rows_of_some_numbers_are_those_of_the_whole(network, some):
    plain = list(written_out(network.block, network.input))
    rows = list(network.rows())
    assert [(row.name, row.layer, row.before, row.after) for row in rows] == plain
    assert [row.number for row in rows] == list(range(1, len(plain) + 1))
    numbers = sorted(1 + n for n in some if n < len(plain))
    assert list(network.rows(numbers)) == [rows[n - 1] for n in numbers]


@pytest.mark.parametrize(
    ("times", "name"),
    [(None, "body.half"), (1, "body.0.half"), (2, "body.0.half")],
)
def test_a_block_that_has_times_names_the_repetition_even_of_one(times, name):
    block = Block((Entry(Scale(0.5), (), "half"),), times)
    network = Network(Shape(3), Block((Entry(block, (), "body"),)), name="one")
    assert next(network.rows()).name == name
    assert ".".join(next(places(network.block)).path) == name
    again = Network.read(network.form())
    assert again == network
    assert next(again.rows()).name == name


@given(networks())
def test_parameters_are_those_of_all_rows(network):
    total = sum(row.layer.parameters(row.before) for row in network.rows())
    assert network.parameters == total


def test_parameters_of_dense_layers_are_weights_and_biases():
    assert Dense(5).parameters([Shape(3, (7, 7))]) == 3 * 5 + 5
    assert Scale(2.0).parameters([Shape(3)]) == 0


def test_a_billion_layers_cost_nothing():
    block = Block((Entry(Dense(8)), Entry(Block((Entry(Scale(0.5), (), "half"),), 4))), 2 * 10**8)
    network = Network(Shape(3), block)
    began = time.perf_counter()
    rows = list(network.rows([1, 5, 6, 10**9]))
    assert network.parameters == 4 * 8 + 9 * 8 * (2 * 10**8 - 1)
    assert time.perf_counter() - began < 1
    assert [row.name for row in rows] == ["0.0", "0.1.3.half", "1.0", "199999999.1.3.half"]
    assert [row.before[0].channels for row in rows] == [3, 8, 8, 8]


def test_numbers_of_no_layer_are_refused():
    network = Network(Shape(3), Block((Entry(Scale(2.0)),), 3))
    words = "number of a layer is .+, but must be a whole number from 1 to 3"
    for numbers in ([0], [4], [1, 2, 4], [1.5], ["1"], [True]):
        with pytest.raises(InvalidValueError, match=words):
            network.rows(numbers)
    assert list(network.rows([])) == []


def test_numbers_that_do_not_ascend_are_refused():
    """At once, and not where the rows are first asked for."""
    network = Network(Shape(3), Block((Entry(Scale(2.0)),), 3))
    words = "number of a layer is 1, but must be at least 3, which is given before it; sort"
    for numbers in ([3, 1], [2, 3, 1, 3]):
        with pytest.raises(InvalidValueError, match=words):
            network.rows(numbers)
    assert [row.number for row in network.rows([1, 1, 3, 3])] == [1, 3]


def test_shapes_of_repeated_containers_are_worked_out_once(monkeypatch):
    asked = []
    shapes = Container.shapes
    monkeypatch.setattr(
        Container, "shapes", lambda self, *given: asked.append(1) or shapes(self, *given)
    )
    inner = Residual((Entry(Block((Entry(Dense(3)),), 5)),))
    network = Network(Shape(3), Block((Entry(inner), Entry(inner)), 1000))
    asked.clear()
    assert sum(1 for _ in network.rows()) == 12_000
    assert len(asked) < 20
