"""Descriptions of networks: defaults, variances, validation."""

from __future__ import annotations

import math
import subprocess
import sys

import pytest

import snstat
from snstat.activation import ACTIVATIONS
from snstat.errors import InvalidValueError, UnknownNameError
from snstat.layers.initialisers import INITIALISERS
from snstat.network.stack import Stack


def test_defaults_follow_the_literature():
    defaults = {name: Stack.build(name).init for name in ACTIVATIONS}
    assert {name for name, init in defaults.items() if init == "he_normal"} == {
        "relu",
        "leaky_relu",
        "relu6",
        "relu_squared",
    }
    assert (defaults["softsign"], defaults["sine"]) == ("glorot_uniform", "he_uniform")
    assert len(set(defaults.values())) == 4


@pytest.mark.parametrize(
    ("init", "first", "later"),
    [
        ("lecun_normal", 1.0, 1.0),
        ("lecun_uniform", 1.0, 1.0),
        ("he_normal", 2.0, 2.0),
        ("he_uniform", 2.0, 2.0),
        ("glorot_normal", 2 * 30 / (30 + 10), 1.0),
        ("glorot_uniform", 2 * 30 / (30 + 10), 1.0),
        ("lecun_truncated", 1.0, 1.0),
        ("he_truncated", 2.0, 2.0),
        ("glorot_truncated", 2 * 30 / (30 + 10), 1.0),
        ("orthogonal", 1.0, 1.0),
        ("torch_default", 1 / 3, 1 / 3),
    ],
)
def test_square_gains(init, first, later):
    stack = Stack.build(depth=3, width=10, init=init, input_width=30)
    layers = list(stack.layers())
    assert [layer.fan_in for layer in layers] == [30, 10, 10]
    assert [layer.square_gain for layer in layers] == [first, later, later]
    assert stack.repeated_gain == pytest.approx(math.sqrt(later), rel=1e-15)
    explicit = Stack.build(depth=3, width=10, init=init, input_width=30, weight_gain=1.5)
    assert {layer.square_gain for layer in explicit.layers()} == {2.25}


@pytest.mark.parametrize(("fan_in", "fan_out"), [(17, 64), (64, 17), (30, 30)])
def test_orthogonal_layers_have_the_rank_of_their_smaller_side(fan_in, fan_out):
    for gain in (None, 1.0, 1.5):
        stack = Stack.build(
            depth=1, width=fan_out, init="orthogonal", weight_gain=gain, input_width=fan_in
        )
        # The squares of min(fan_in, fan_out) singular values, distributed over all entries.
        square = (gain or 1.0) ** 2 * min(fan_in, fan_out) / (fan_in * fan_out)
        assert stack.layer(1).square_gain == pytest.approx(square * fan_in, rel=1e-15)


def test_an_explicit_bias_std_replaces_the_biases_of_torch_default():
    own = Stack.build(depth=2, width=12, init="torch_default", input_width=3)
    assert [layer.bias_distribution for layer in own.layers()] == ["uniform", "uniform"]
    assert [layer.bias_std for layer in own.layers()] == [1 / 3, 1 / 6]
    asked = Stack.build(depth=2, width=12, init="torch_default", bias_std=0.5)
    assert {(layer.bias_distribution, layer.bias_std) for layer in asked.layers()} == {
        ("normal", 0.5)
    }
    assert INITIALISERS["torch_default"].bias_square_gain == 1 / 3


@pytest.mark.parametrize("value", [0, -1, 1.5, "8", True, 10**12])
def test_depth_must_be_a_whole_number_in_range(value):
    with pytest.raises(InvalidValueError) as caught:
        Stack.build(depth=value)
    assert caught.value.name == "depth"
    assert caught.value.value is value


@pytest.mark.parametrize("value", [math.nan, math.inf, -0.1, "x", 10**400])
def test_gains_must_be_finite_and_non_negative(value):
    with pytest.raises(InvalidValueError):
        Stack.build(weight_gain=value)


def test_unknown_names_suggest_the_nearest():
    with pytest.raises(UnknownNameError, match="did you mean 'selu'") as caught:
        snstat.propagate("sellu", 2)
    assert caught.value.suggestions == ["selu"]
    with pytest.raises(UnknownNameError, match="lecun_normal"):
        Stack.build(init="lecun_gaussian")
    for options in ({"dtype": "float16"}, {"sampler": "sparse"}):
        with pytest.raises(UnknownNameError):
            snstat.propagate(depth=1, **options)


def test_the_public_names_exist_and_no_others():
    for name in snstat.__all__:
        assert getattr(snstat, name) is not None
    assert set(snstat.__all__) <= set(dir(snstat))
    with pytest.raises(AttributeError):
        _ = snstat.median


def test_no_submodule_has_a_public_name():
    """Importing a submodule with the name of a public object would replace that object."""
    program = (
        "import snstat, types; snstat.ensemble_map('selu', 0, 1);"
        "snstat.propagate(depth=1, width=2);"
        "assert snstat.activations['selu'](0.0) == 0;"
        "assert not [n for n in snstat.__all__ if isinstance(getattr(snstat, n), types.ModuleType)]"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_a_stack_answers_what_its_layers_are():
    plain, ends = Stack.build("relu", 4, 8), Stack.build("relu", 4, 8, last="linear")
    assert (plain.read_out, plain.activations) == (None, ("relu",))
    assert (ends.read_out, ends.activations) == (ends.layer(4), ("relu", "identity"))
    assert ends.repeated == plain.repeated == plain.layer(4)


def test_knobs_are_turned_one_by_one():
    stack = Stack.build("leaky_relu:0.2", 4, 8)
    assert stack.turned("depth", 6) == Stack.build("leaky_relu:0.2", 6, 8)
    assert stack.turned("bias_std", 0.5) == Stack.build("leaky_relu:0.2", 4, 8, bias_std=0.5)
    narrow = stack.turned("weight_std", 0.1)
    assert narrow == Stack.build("leaky_relu:0.2", 4, 8, init="he_normal", weight_std=0.1)
    gain = narrow.turned("weight_gain", 1.5)
    assert gain == Stack.build("leaky_relu:0.2", 4, 8, init="he_normal", weight_gain=1.5)
    assert (stack.own_gain, gain.own_gain) == (True, False)
    # The input follows a width that it has.
    assert stack.turned("width", 9) == Stack.build("leaky_relu:0.2", 4, 9)
    fed = stack.fed(5)
    assert fed.turned("width", 9) == Stack.build("leaky_relu:0.2", 4, 9, input_width=5)
    assert Stack.build(widths="5,6,7").turned("width", 9) is None
    assert stack.turned("rate", 0.1) is None
