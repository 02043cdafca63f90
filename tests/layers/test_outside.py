"""Layers within containers that read layers outside: values, gradients, theory and files."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

import snstat
from snstat.engine.general.order import places
from snstat.errors import InvalidValueError, NetworkFormError
from snstat.layers.attention import Attention
from snstat.layers.block import Block
from snstat.layers.dense import Dense
from snstat.layers.entry import Entry
from snstat.layers.residual_block import Residual
from snstat.layers.shape import Shape
from snstat.network.network import Network
from snstat.network.sources import sourced
from tests.layers.plain_draw import PlainDraw

WIDTH, READ, TIMES = 6, 4, 3
CROSS = {"kind": "attention", "heads": 2, "memory": "encoded"}
NORM = {"kind": "layer_norm"}


def decoder(*layers, times=2, tokens=TIMES, width=WIDTH, read=READ):
    """A decoder block that starts from the input, and reads `encoded`."""
    attention = {**CROSS, "heads": width // 2}
    cross = {"kind": "residual", "name": "cross", "layers": [NORM, attention]}
    block = {"kind": "block", "name": "decoder", "times": times, "layers": [cross, *layers]}
    return {
        "input": {"channels": width, "grid": [tokens]},
        "layers": [
            {"kind": "dense", "width": read, "name": "encoded"},
            {"kind": "dense", "width": width, "name": "target", "input": "input"},
            block,
        ],
    }


def flat(times=2, tokens=TIMES, width=WIDTH, read=READ):
    """The same without containers: residuals as sums."""
    whole = decoder(times=times, tokens=tokens, width=width, read=read)
    layers, cross = whole["layers"][:2], whole["layers"][2]["layers"][0]["layers"][1]
    for turn in range(times):
        before = "target" if turn == 0 else f"sum{turn - 1}"
        layers += [
            {"kind": "layer_norm", "name": f"norm{turn}", "input": before},
            {**cross, "name": f"cross{turn}"},
            {"kind": "add", "name": f"sum{turn}", "inputs": [before, f"cross{turn}"]},
        ]
    return {**whole, "layers": layers}


def test_the_network_is_that_without_containers():
    """Layers have the same numbers, so that the same is drawn: values, gradients and theory."""
    keys = {"batch": 3, "trials": 2, "backward": True, "dtype": "float64"}
    nested, plain = (snstat.propagate(Network.read(form), **keys) for form in (decoder(), flat()))
    for name in ("second_moment", "gradient", "cosine"):
        found, expected = (getattr(run, name).estimate for run in (nested, plain))
        np.testing.assert_allclose(found, expected, rtol=1e-9)
    numbers = [row.sources for row in sourced(Network.read(decoder()).block)]
    assert numbers == [row.sources for row in sourced(Network.read(flat()).block)]
    found, expected = (
        [place.sources for place in places(Network.read(form).block)]
        for form in (decoder(), flat())
    )
    assert found == expected == numbers


@pytest.mark.parametrize("times", [1, 3, 40])
def test_theory_is_that_without_containers(times):
    """With many heads and tokens, theory knows attention; gradients of the memory are sums over all
    repetitions."""
    wide = decoder(times=times, tokens=40, width=64, read=32), flat(times, 40, 64, 32)
    nested, plain = map(theory_of, wide)
    np.testing.assert_allclose(nested.second_moment, plain.second_moment, rtol=1e-9)
    np.testing.assert_allclose(nested.log_gradient, plain.log_gradient, atol=1e-8)
    assert np.isfinite(nested.log_gradient).all()


@pytest.mark.parametrize("gain", [0.5, 1.0])
def test_repetitions_that_are_left_out_add_their_gradients(gain):
    """Without a residual every repetition has the state of the first, and what each adds to the
    gradient of the memory is a power of a factor."""
    form = decoder(times=30, tokens=40, width=64, read=32)
    read = {**CROSS, "heads": 32, "weight_gain": gain}
    form["layers"][2]["layers"] = [read, NORM]
    block = Network.read(form).block.entries[2].layer
    one = [read | {"memory": "encoded"}, NORM]
    plain = {**form, "layers": form["layers"][:2] + [layer for _ in range(30) for layer in one]}
    nested, expected = theory_of(form), theory_of(plain)
    assert np.isfinite(expected.log_gradient).all()
    np.testing.assert_allclose(nested.log_gradient, expected.log_gradient, atol=1e-8)
    assert block.outer == 1


def theory_of(form):
    from snstat.experiment.inputs import DrawnInputs
    from snstat.theory.walk import walk

    network = Network.read(form)
    inputs = DrawnInputs("normal", network.input.units, 4, 0.0, 1.0)
    return walk(network, 4, inputs.moments())


def test_a_container_by_itself_has_gradients_of_all_its_inputs():
    """Against central differences of every input."""
    inner = Residual((Entry(Dense(4)), Entry(Attention(heads=2), (1, -1))))
    layer = Block((Entry(inner, (0, -1)), Entry(Dense(4, "tanh"))), 2)
    assert (inner.outer, layer.outer) == (1, 1)
    random = np.random.default_rng(0)
    inputs = [random.normal(size=(4, 2, 3)), random.normal(size=(5, 2, 2))]
    found = layer.sample(inputs, PlainDraw(1))
    slope = random.normal(size=found.values.shape)
    back = found.pull(slope)
    assert [own.shape for own in back] == [own.shape for own in inputs]
    for which, own in enumerate(back):
        for place in np.ndindex(own.shape):
            moved = [x.copy() for x in inputs], [x.copy() for x in inputs]
            moved[0][which][place] += 1e-5
            moved[1][which][place] -= 1e-5
            ahead, behind = (layer.sample(x, PlainDraw(1)).values for x in moved)
            numeric = np.sum(slope * (ahead - behind)) / 2e-5
            assert own[place] == pytest.approx(numeric, abs=1e-8)
    with pytest.raises(InvalidValueError, match="inputs is 1, but must be 2"):
        layer.shape([Shape(4, (3,))])


def test_what_is_written_is_read_again():
    network = Network.read(decoder({"kind": "dense", "width": WIDTH}))
    assert Network.read(network.form()) == network
    # A name that is nearer means another layer.
    near = replace(network.block.entries[2].layer.entries[0], name="encoded")
    block = replace(network.block.entries[2].layer, entries=(near,))
    wrong = (*network.block.entries[:2], replace(network.block.entries[2], layer=block))
    assert Network.read(Network(network.input, Block(wrong)).form()).block == Block(wrong)


@pytest.mark.parametrize(
    ("memory", "words"),
    [
        ("encodd", "did you mean 'encoded'?"),
        ("later", "a layer before it, in the same container or in one around it"),
        ("decoder", "unknown memory 'decoder'"),
        ("cross", "a layer before it"),
        (3, "a layer before it"),
    ],
)
def test_other_layers_are_refused_with_their_path(memory, words):
    form = decoder()
    form["layers"][2]["layers"][0]["layers"][1] = CROSS | {"memory": memory}
    form["layers"].append({"kind": "dense", "width": 3, "name": "later"})
    with pytest.raises(NetworkFormError) as caught:
        Network.read(form)
    assert words in str(caught.value)
    assert "layers.2.block.layers.0.residual.layers.1.attention" in str(caught.value)


def test_the_nearest_layer_of_a_name_is_read():
    own = {"kind": "dense", "width": 5, "name": "encoded"}
    inner = {"kind": "dense", "width": WIDTH}
    form = decoder()
    form["layers"][2]["layers"] = [own, inner, *form["layers"][2]["layers"]]
    rows = [row for row in Network.read(form).rows() if row.layer.kind == "attention"]
    assert [row.before[1].channels for row in rows] == [5, 5]
    assert math.prod(Network.read(decoder()).block.shape([Shape(WIDTH, (TIMES,))]).grid) == TIMES
