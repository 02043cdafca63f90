"""Networks of layers, and the uniform stack as one of them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from snstat.errors import InvalidValueError, LayerError
from snstat.layers.activation import Activation
from snstat.layers.block import Block
from snstat.layers.dense import Dense
from snstat.layers.entry import Entry
from snstat.layers.shape import Shape
from snstat.limits import MAX_DEPTH
from snstat.network.description import summary_of
from snstat.network.network import Network
from snstat.network.stack import Stack
from tests.network.stacks import stacks


def chain(*layers, times=None):
    return Block(tuple(Entry(layer) for layer in layers), times)


def network(*layers, channels=3, grid=()):
    return Network(Shape(channels, grid), chain(*layers))


@example(Stack.build("leaky_relu:0.2", 3, 5))  # whose default gain nobody gave
@example(Stack.build("leaky_relu:0.2", 3, 5, last="tanh"))
@example(Stack.build("leaky_relu:0.2", 1, 5, last="tanh"))
@example(Stack.build("sine", widths="3,4,5"))
@given(stacks())
def test_a_stack_comes_back_from_its_network(stack):
    found = Network.of(stack).uniform()
    assert found == stack
    # Nor does the description change: it tells which settings were given.
    assert summary_of(found) == summary_of(stack)
    assert summary_of(found).given == summary_of(stack).given


@given(stacks())
def test_the_rows_are_the_layers_of_the_stack(stack):
    rows = list(Network.of(stack).rows())
    assert [row.number for row in rows] == list(range(1, stack.depth + 1))
    assert [row.layer.at(row.before[0].channels) for row in rows] == list(stack.layers())
    assert [row.after for row in rows] == [Shape(n.fan_out) for n in stack.layers()]
    assert len({row.name for row in rows}) == stack.depth


@given(stacks())
def test_a_network_written_layer_by_layer_is_the_same_stack(stack):
    layers = [row.layer for row in Network.of(stack).rows()]
    assert Network(Shape(stack.input_width), chain(*layers)).uniform() == stack
    alone = Network(Shape(stack.input_width), chain(chain(chain(*layers))))
    assert alone.uniform() == stack


@given(stacks(), st.sampled_from(["weight_gain", "weight_std", "bias_std"]), st.booleans())
def test_a_turned_network_is_the_turned_stack(stack, knob, zero):
    value = 0.0 if zero else 0.75
    other = {"weight_gain": "weight_std", "weight_std": "weight_gain"}.get(knob)
    changes = {knob: value} | ({other: None} if other else {})
    # Without the default gain of an activation, whose initialiser would be another one's too.
    layers = [
        replace(row.layer, init=stack.init, weight_gain=stack.weight_gain)
        for row in Network.of(stack).rows()
    ]
    turned = Network(Shape(stack.input_width), chain(*layers)).turned(knob, value)
    assert turned.uniform() == replace(stack, **changes)


def test_no_layer_has_an_unknown_knob():
    assert network(Dense(4)).turned("rate", 0.1) is None
    assert network(Dense(4), Activation("relu")).turned("bias_std", 0.5) == network(
        Dense(4, bias_std=0.5), Activation("relu")
    )


DENSE = Dense(4, "relu")


@pytest.mark.parametrize(
    "other",
    [
        network(DENSE, Activation("relu")),
        network(DENSE, Dense(4, "relu", weight_gain=1.0)),
        network(DENSE, Dense(4, "relu", bias_std=0.5)),
        network(DENSE, Dense(4, "relu", init="lecun_normal")),
        network(Dense(4, "relu", weights="normalized")),
        network(DENSE, Dense(4, "relu", weights="standardized")),
        network(DENSE, Dense(4, "tanh", init="he_normal"), DENSE),
        network(DENSE, chain(Dense(4, "tanh", init="he_normal"), times=2)),
        network(DENSE, Dense(4, "tanh")),  # which has another initialiser by default
        network(DENSE, grid=(5,)),
        Network(Shape(3), Block((Entry(DENSE), Entry(DENSE, (0,))))),
        network(chain(Dense(4, "relu"), Dense(5, "relu"), times=10**6)),
    ],
)
def test_other_networks_are_no_stacks(other):
    assert other.uniform() is None


def test_what_a_default_means_is_told_by_the_layer():
    assert network(DENSE, Dense(2, "tanh", init="he_normal")).uniform() == Stack.build(
        "relu", widths=(3, 4, 2), last="tanh"
    )
    assert network(Dense(4), Dense(4)).uniform() == Stack.build("identity", widths=(3, 4, 4))
    explicit = Block((Entry(DENSE, (0,)), Entry(DENSE, (1,))))
    assert Network(Shape(3), explicit).uniform() == Stack.build("relu", widths="3,4*2")


def test_depth_costs_neither_time_nor_memory():
    stack = Stack.build(widths=f"784,512*{MAX_DEPTH - 2},20,10", last="linear")
    deep = Network.of(stack)
    assert deep.depth == MAX_DEPTH
    assert deep.uniform() == stack
    rows = deep.rows()
    assert [next(rows).name for _ in range(3)] == ["0.0.0", "0.1.0", "0.2.0"]
    nested = network(chain(chain(chain(DENSE, times=1000), times=1000), times=1000))
    assert nested.uniform() == Stack.build("relu", 10**9, 4, input_width=3)
    with pytest.raises(InvalidValueError, match="1,000,000,000"):
        network(chain(chain(DENSE, DENSE), times=10**9))


@pytest.mark.parametrize(("nestings", "times"), [(60, 1), (28, 2)])
def test_nested_blocks_are_looked_at_once(nestings, times):
    """Twice at each nesting would be 2⁶⁰ times."""
    nested = chain(DENSE, Dense(5, "relu"))
    for _ in range(nestings):
        nested = chain(nested, times=times)
    found = network(nested).uniform()
    # More runs of equal layers than a stack may have.
    assert found == (Stack.build("relu", widths=(3, 4, 5)) if times == 1 else None)


def test_errors_name_the_path():
    both = Entry(DENSE, (0, 1), "head")
    inner = Block((Entry(DENSE), both))
    with pytest.raises(LayerError, match=r"layer encoder\.head: inputs .*one layer") as caught:
        Network(Shape(3), Block((Entry(DENSE), Entry(inner, (), "encoder"))))
    assert caught.value.path == ("encoder", "head")
    with pytest.raises(LayerError, match=r"layer 1\.0: shape") as caught:
        network(DENSE, chain(Dense(2**20)), grid=(2**10,))
    assert caught.value.path == ("1", "0")


@pytest.mark.parametrize(
    ("build", "name"),
    [
        (lambda: Dense(0), "width"),
        (lambda: Dense(4, "reluu"), "activation"),
        (lambda: Dense(4, init="he"), "init"),
        (lambda: Dense(4, weight_gain=1.0, weight_std=1.0), "weight_std"),
        (lambda: Dense(4, bias_std=np.nan), "bias_std"),
        (lambda: Activation(None), "activation"),
        (lambda: Block(()), "entries"),
        (lambda: Block((Entry(DENSE, (1,)),)), "inputs of layer 0"),
        (lambda: chain(DENSE, times=0), "times"),
        (lambda: Shape(0), "channels"),
        (lambda: Shape(2, (2, 2, 2)), "grid"),
        (lambda: Shape(2**20, (2**20,)), "shape"),
    ],
)
def test_what_no_layer_can_be_is_refused(build, name):
    with pytest.raises(InvalidValueError) as caught:
        build()
    assert caught.value.name == name
