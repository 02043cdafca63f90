"""Stacks of layers that differ in width: their text form and their layers."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from snstat.errors import InvalidValueError, UnknownNameError
from snstat.layers.dense_layer import DenseLayer
from snstat.network.stack import Stack
from snstat.network.widths import (
    MAX_DEPTH,
    MAX_RUNS,
    MAX_WIDTH,
    parse_widths,
    shortened,
    write_widths,
)

INITS = ("lecun_normal", "he_uniform", "glorot_normal", "orthogonal", "torch_default")
units_lists = st.lists(st.integers(1, 9), min_size=2, max_size=12)


def plain_layers(widths, activation, last, init, gain, bias):
    """Return every layer as the single layer of a uniform stack."""
    found = []
    for number, (fan_in, fan_out) in enumerate(pairwise(widths), start=1):
        final = number == len(widths) - 1 and last is not None
        name = {"linear": "identity"}.get(last, last) if final else activation
        alone = Stack.build(
            name, 1, fan_out, init=init, weight_gain=gain, bias_std=bias, input_width=fan_in
        )
        found.append(alone.layer(1))
    return found


@given(units_lists)
def test_text_and_list_give_the_units_of_each_layer(units):
    text = ",".join(map(str, units))
    inputs, runs = parse_widths(units)
    assert parse_widths(text) == parse_widths(np.array(units)) == (inputs, runs)
    assert [inputs, *(n for n, times in runs for _ in range(times))] == units
    assert all(a != b for (a, _), (b, _) in pairwise(runs))
    assert parse_widths(write_widths(inputs, runs)) == (inputs, runs)


def test_repetition_equals_the_full_list():
    assert parse_widths(" 784, 512 * 3 ,10") == (784, ((512, 3), (10, 1)))
    assert parse_widths("100*20") == (100, ((100, 19),))
    assert parse_widths("1e3,2**9*2, 1_0") == (1000, ((512, 2), (10, 1)))
    assert parse_widths("7*2,7,5*2,5") == (7, ((7, 2), (5, 3)))
    assert write_widths(784, ((512, 3), (10, 1))) == "784,512*3,10"
    assert write_widths(100, ((100, 19),)) == "100*20"


@given(
    units_lists,
    st.sampled_from(INITS),
    st.sampled_from([None, "linear", "tanh", "relu"]),
    st.sampled_from([None, 1.5]),
    st.sampled_from([None, 0.0, 0.25]),
)
def test_each_layer_equals_a_stack_of_one_layer(units, init, last, gain, bias):
    stack = Stack.build("relu", widths=units, init=init, last=last, weight_gain=gain, bias_std=bias)
    expected = plain_layers(units, "relu", last, init, gain, bias)
    assert list(stack.layers()) == expected
    assert [stack.layer(n) for n in range(1, len(units))] == expected
    assert [stack.width_of(n) for n in range(len(units))] == units
    assert (stack.depth, stack.input_width) == (len(units) - 1, units[0])
    assert stack.width == max(units[1:])
    unrolled = [layer for _, count, layer in stack.equal_layers() for _ in range(count)]
    assert unrolled == expected
    for first in range(1, stack.depth + 1):
        for count in range(1, stack.depth + 2 - first):
            parts = list(stack.stretches(first, count))
            found = [layer for p in parts for layer in (p.leading, *[p.later] * (p.count - 1))]
            assert found == expected[first - 1 : first - 1 + count]
            assert [p.first for p in parts] == [
                first + sum(q.count for q in parts[:i]) for i in range(len(parts))
            ]
    # A shortened stack ends with the activation of the last layer.
    for depth in range(1, stack.depth):
        short = stack.of_depth(depth)
        assert list(short.layers()) == plain_layers(
            units[: depth + 1], "relu", last, init, gain, bias
        )


@given(units_lists, units_lists, st.sampled_from([None, "linear", "relu"]), st.booleans())
def test_stacks_are_equal_if_and_only_if_their_layers_are_equal(first, second, last, same):
    """A network has one description, whichever options were used."""
    if same:
        second = first
    a = Stack.build("relu", widths=first, last=last)
    b = Stack.build("relu", widths=second, last=last)
    assert (a == b) == (list(a.layers()) == list(b.layers()))
    if len(set(first[1:])) == 1:
        uniform = Stack.build("relu", len(first) - 1, first[1], input_width=first[0], last=last)
        assert a == uniform
        assert a.widths is None


def test_a_last_layer_like_the_others_does_not_change_the_description():
    assert Stack.build("relu", 3, 8, last="relu") == Stack.build("relu", 3, 8)
    assert Stack.build("identity", 3, 8, last="linear") == Stack.build("identity", 3, 8)
    alone = Stack.build("relu", 1, 8, last="linear")
    assert alone == Stack.build("identity", 1, 8, init="he_normal")


def test_depth_costs_neither_time_nor_memory():
    """A loop over a thousand million layers would take minutes, a list of them all memory."""
    stack = Stack.build(widths=f"784,512*{MAX_DEPTH - 2},20,10", last="linear")
    layers = [stack.layer(n) for n in (1, 2, 10**8, MAX_DEPTH - 1, MAX_DEPTH)]
    assert [layer.fan_out for layer in layers] == [512, 512, 512, 20, 10]
    assert [count for _, count, _ in stack.equal_layers()] == [1, MAX_DEPTH - 3, 1, 1]
    assert stack.of_depth(10**8).depth == 10**8


def test_a_stack_continues_with_its_last_hidden_layer():
    funnel = Stack.build("tanh", widths="30,20,10", init="torch_default", last="linear")
    square = DenseLayer(20, 20, "uniform", 1 / 3, "uniform", math.sqrt(1 / 3 / 20), "tanh")
    assert funnel.repeated == square == funnel.layer(3)
    assert funnel.repeated_bias_std == square.bias_std
    longer = Stack.build("tanh", widths="30,20,10").of_depth(5)
    assert [longer.width_of(n) for n in range(6)] == [30, 20, 10, 10, 10, 10]


@pytest.mark.parametrize(
    "widths",
    [
        "", "5", ",", "5,", "5,x", "5,-3", "5,0", "5*0,3", "0,3", "5.5,3", "5*2*3,3", "_5,3",
        "*5,3", "5*,3", "5,1e3.5", [5], [], [5, 0], b"5,3", np.ones((2, 2), int), [5, True],
        [5, 2.5], [5, "3"], 5, None.__class__, {"a": 1}, f"{MAX_WIDTH + 1},3",
        f"3,{MAX_WIDTH + 1}", f"3*{MAX_DEPTH + 2}", f"3,4*{MAX_DEPTH},5", [[3, 4], [5, 6]],
        ",".join(str(1 + n % 2) for n in range(MAX_RUNS + 2)), "9" * 5000,
    ],
    ids=lambda value: str(value)[:12],
)  # fmt: skip
def test_invalid_widths_are_refused_in_one_line(widths):
    with pytest.raises(InvalidValueError) as caught:
        Stack.build(widths=widths)
    assert caught.value.name == "widths"
    assert len(str(caught.value)) < 300
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("given", [{"depth": 3}, {"width": 20}, {"input_width": 20}])
def test_widths_exclude_depth_and_width(given):
    with pytest.raises(InvalidValueError, match="widths") as caught:
        Stack.build(widths="5,4", **given)
    assert caught.value.name in given


def test_the_last_layer_needs_a_known_activation():
    assert Stack.build("selu", 2, 8, last="linear").layer(2).activation == "identity"
    with pytest.raises(UnknownNameError):
        Stack.build("selu", 2, 8, last="linearr")


@given(units_lists.map(lambda units: parse_widths(units)[1]), st.data())
def test_a_shortened_stack_keeps_its_first_widths(runs, data):
    every = [units for units, times in runs for _ in range(times)]
    depth = data.draw(st.integers(1, len(every)))
    found = shortened(runs, depth)
    assert [units for units, times in found for _ in range(times)] == every[:depth]
