"""Activations are found by name."""

from __future__ import annotations

import numpy as np
import pytest

from snstat import fixed_points
from snstat.activation import ACTIVATIONS, PARAMETERS, resolve, selu_with
from snstat.errors import InvalidValueError, UnknownNameError
from snstat.network.stack import Stack


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_names_ignore_case(name):
    for text in (name, name.upper(), name.title(), f" {name} ", name.replace("_", "-")):
        assert resolve(text) is ACTIVATIONS[name]


def test_aliases_match_the_contract():
    assert resolve("Swish") is ACTIVATIONS["silu"]
    assert resolve("linear") is ACTIVATIONS["identity"]


def test_an_activation_resolves_to_itself():
    own = selu_with(2.0, 3.0, "own")
    assert resolve(own) is own


def test_unknown_names_suggest_the_nearest():
    with pytest.raises(UnknownNameError, match=r"last is 'reul'.*did you mean 'relu'"):
        resolve("reul", "last")
    for value in (3, None, ""):
        with pytest.raises(UnknownNameError, match="activation is"):
            resolve(value)
    # A list may hold a pair of functions, but this one holds a name.
    with pytest.raises(InvalidValueError, match=r"activation is \['relu'\].*two functions"):
        resolve(["relu"])


def test_a_parameter_is_refused_where_the_activation_has_none():
    with pytest.raises(InvalidValueError, match=r"relu without a parameter.*leave out"):
        resolve("ReLU:3")


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Leaky-ReLU:1/5", "leaky_relu:0.2"),
        ("leaky_relu:0.01", "leaky_relu"),
        ("leaky_relu:0", "relu"),
        ("leaky_relu:1", "identity"),
        ("ELU:.5", "elu:0.5"),
        ("elu:1", "elu"),
        ("swish:1e0", "silu"),
        ("softplus:3.0", "softplus:3"),
        ("hard_tanh:sqrt(2)", "hard_tanh:1.4142135623730951"),
        ("sine:3e1", "sine:30"),
    ],
)
def test_equal_activations_have_one_name(text, name):
    assert resolve(text).name == name
    assert resolve(name) is resolve(text)
    assert Stack.build(text, 3, 4) == Stack.build(name, 3, 4)


@pytest.mark.parametrize("text", ["elu:", "elu:x", "elu:-1", "sine:0", "sine:nan", "silu:1:2"])
def test_errors_of_parameters_state_the_bounds(text):
    family = text.partition(":")[0]
    with pytest.raises(InvalidValueError, match=rf"must be {family}:N with \w+ N from .* to"):
        resolve(text)


def test_bounds_of_parameters_are_inclusive():
    for family, parameter in PARAMETERS.items():
        for value in (parameter.low, parameter.high):
            assert resolve(f"{family}:{value!r}").name


@pytest.mark.parametrize(("family", "value"), [("silu", 4.0), ("softplus", 0.25)])
def test_a_rate_scales_argument_and_value(family, value):
    x = np.linspace(-9, 9, 37)
    base, scaled = resolve(family), resolve(f"{family}:{value}")
    np.testing.assert_allclose(scaled(x), base(value * x) / value, rtol=1e-15)
    np.testing.assert_allclose(scaled.derivative(x), base.derivative(value * x), rtol=1e-15)
    assert scaled.pole_distance == base.pole_distance / value


def test_records_hold_the_canonical_name():
    stack = Stack.build("SWISH", 3, 4, last="Linear")
    assert (stack.activation, stack.last) == ("silu", "identity")
    assert fixed_points("SELU") == fixed_points("selu")
