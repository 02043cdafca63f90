"""How activations are found by name."""

from __future__ import annotations

import pytest

from snstat import fixed_points
from snstat.activation import ACTIVATIONS, resolve, selu_with
from snstat.errors import InvalidValueError, UnknownNameError
from snstat.stack import Stack


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_names_match_whatever_their_case(name):
    for text in (name, name.upper(), name.title(), f" {name} ", name.replace("_", "-")):
        assert resolve(text) is ACTIVATIONS[name]


def test_aliases_are_those_of_the_contract():
    assert resolve("Swish") is ACTIVATIONS["silu"]
    assert resolve("linear") is ACTIVATIONS["identity"]


def test_an_activation_stays_what_it_is():
    own = selu_with(2.0, 3.0, "own")
    assert resolve(own) is own


def test_what_is_no_name_is_told_with_the_nearest():
    with pytest.raises(UnknownNameError, match=r"last is 'reul'.*did you mean 'relu'"):
        resolve("reul", "last")
    for value in (3, None, ["relu"], ""):
        with pytest.raises(UnknownNameError, match="activation is"):
            resolve(value)


def test_an_activation_without_parameters_takes_none():
    with pytest.raises(InvalidValueError, match=r"relu alone, which takes no parameter.*leave out"):
        resolve("ReLU:3")


def test_records_hold_the_canonical_name():
    stack = Stack.build("SWISH", 3, 4, last="Linear")
    assert (stack.activation, stack.last) == ("silu", "identity")
    assert fixed_points("SELU") == fixed_points("selu")
