"""What `snstat.propagate` and `snstat.check` take, and what they say of what is nearly that."""

from __future__ import annotations

from pathlib import Path

import pytest

import snstat
from snstat import Network
from snstat import layers as L  # noqa: N812  # as users write it
from snstat.errors import InvalidValueError

SAMPLING = {"batch": 4, "trials": 2}
LAYERS = L.chain(L.Dense(8, "relu"), L.residual(L.Dense(8)))
NETWORK = Network(8, LAYERS, name="net")
FULL = "an activation, a network or the path of its file"


@pytest.fixture(scope="module")
def run():
    return snstat.propagate(NETWORK, **SAMPLING)


@pytest.mark.parametrize(
    "layers",
    [LAYERS, LAYERS.entries, [L.Dense(8)], (L.Dense(8), L.Dense(8)), L.named("a", L.Dense(8))],
)
@pytest.mark.parametrize("call", [snstat.propagate, snstat.check, snstat.testing.assert_propagates])
def test_layers_without_an_input_are_no_network(call, layers):
    words = r"must be a network; say how many units enter them: Network\(512, [a-z.()]+\)$"
    with pytest.raises(InvalidValueError, match=words):
        call(layers, **SAMPLING)


@pytest.mark.parametrize(
    ("subject", "words"),
    [
        ("run.json", f"'a run', but must be {FULL}; snstat.check judges it"),
        (Path("run.JSON"), f"'a run', but must be {FULL}; snstat.check judges it"),
        (NETWORK.form(), f"'plain data', but must be {FULL}; pass Network.read(...) of them"),
    ],
)
def test_what_is_nearly_a_subject_is_named(subject, words):
    with pytest.raises(InvalidValueError) as error:
        snstat.propagate(subject)
    assert str(error.value) == f"activation is {words}"


def test_runs_are_not_simulated_again(run):
    with pytest.raises(InvalidValueError, match=r"'a run', but .*; snstat.check judges it$"):
        snstat.propagate(run)
    for call in (snstat.propagate, snstat.check):
        with pytest.raises(InvalidValueError, match=r"'several runs', but .* one at a time$"):
            call([run, run])


def test_a_stack_is_a_network():
    stack = snstat.Stack.build("relu", 3, 8)
    assert snstat.propagate(stack, **SAMPLING) == snstat.propagate("relu", 3, 8, **SAMPLING)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Network(8, (L.Dense(8), L.Dense(8))), r"give them one by one: chain\(\*layers\)"),
        (lambda: Network(8, "relu"), r"block is 'relu', but must be a layer, such as Dense\(512\)"),
        (lambda: Network(8, None), "block is None, but must be a layer"),
        (lambda: Network(8, L.Dense(8), name=8), "name is 8, but must be text"),
        (lambda: L.Block("relu"), "entries is 'relu', but must be a list of layers"),
        (lambda: L.Block(L.Dense(8)), "but must be a list of layers"),
        (lambda: L.Block((L.Dense(8), 8)), "layer 1 is 8, but must be a layer"),
        (lambda: L.chain([L.Dense(8)]), r"layer 0 is .*give them one by one: chain\(\*layers\)"),
    ],
)
def test_what_is_no_layer_is_named(make, words):
    with pytest.raises(InvalidValueError, match=words):
        make()


def test_a_shortcut_may_be_one_layer():
    one = L.residual(L.Dense(8), shortcut=L.Dense(8, "relu"))
    assert one == L.residual(L.Dense(8), shortcut=[L.Dense(8, "relu")])
