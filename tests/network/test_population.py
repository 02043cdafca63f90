"""Networks in the limit of infinite width: what gets wide, what stays, what is refused."""

from __future__ import annotations

import math

import pytest

from snstat.errors import InvalidValueError, LayerError
from snstat.network.network import Network
from snstat.network.population import Population


def network_of(*layers, channels=6, grid=()):
    return Network.read({"input": {"channels": channels, "grid": list(grid)}, "layers": layers})


def dense(width, **options):
    return {"kind": "dense", "width": width, **options}


def conv(channels, **options):
    return {"kind": "conv", "channels": channels, "kernel": 3, **options}


RESIDUAL = {"kind": "residual", "layers": [dense(24), dense(6)]}


def shapes(population):
    return [row.after.sizes for row in population.wide.rows()]


def test_layers_with_weights_get_wide_and_inputs_stay():
    network = network_of(
        conv(4), {"kind": "max_pool", "size": 2}, {"kind": "flatten"}, dense(10), grid=(8,)
    )
    found = Population.of(network, 100)
    assert shapes(found) == [(8, 100), (4, 100), (400,), (100,)]
    assert found.copies == 1
    assert found.wide.input == network.input


@pytest.mark.parametrize("layers", [[RESIDUAL], [{"kind": "highway", "activation": "tanh"}]])
def test_units_of_the_input_that_go_on_stand_in_copies(layers):
    found = Population.of(network_of(*layers), 60)
    assert found.copies == 10
    assert set(shapes(found)) == {(60,)}
    for units, least in ((64, 66), (8, 12)):
        words = f"is {units}, but must be a multiple of the 6 channels .* {least}$"
        with pytest.raises(LayerError, match=words):
            Population.of(network_of(*layers), units)


def test_what_only_passes_the_input_on_needs_no_copies():
    found = Population.of(network_of({"kind": "layer_norm"}, dense(5)), 64)
    assert shapes(found) == [(6,), (64,)]
    assert found.copies == 1


@pytest.mark.parametrize(
    ("options", "gains"),
    [
        # Var w is 2/(fan-in + fan-out), and G² that times the fan-in.
        ({"init": "glorot_normal"}, [2.0 * 6 / 14, 2.0 * 8 / 20]),
        ({"weight_std": 0.5}, [6 * 0.25, 8 * 0.25]),
    ],
)
def test_gains_are_those_of_the_own_widths(options, gains):
    found = Population.of(network_of(dense(8, **options), dense(12, **options)), 64)
    for layer, gain in zip(found.layers, gains, strict=True):
        assert layer.matrices[0].square_gain == pytest.approx(gain, rel=1e-14)
    assert not found.alike
    assert Population.of(network_of(dense(8), dense(12)), 64).alike
    assert not Population.of(network_of(RESIDUAL), 12).alike
    attention = dense(8), {"kind": "attention", "heads": 2}
    assert not Population.of(network_of(*attention, grid=(4,)), 64).alike


def test_biases_are_those_of_the_own_widths():
    found = Population.of(network_of(dense(8, init="torch_default")), 64)
    assert found.layers[0].matrices[0].bias_std == pytest.approx(math.sqrt(1.0 / 18.0))


def concat(*widths):
    parts = [dense(width, name=f"p{number}", input="input") for number, width in enumerate(widths)]
    names = [part["name"] for part in parts]
    return [*parts, {"kind": "concat", "name": "all", "inputs": names}]


def test_parts_of_equal_width_are_put_together():
    assert shapes(Population.of(network_of(*concat(7, 7)), 32))[-1] == (64,)


def test_parts_of_other_widths_keep_their_proportions():
    layers = [*concat(4, 6), dense(10), dense(2)]
    assert shapes(Population.of(network_of(*layers), 32)) == [(32,), (48,), (80,), (80,), (32,)]


def test_dense_blocks_keep_their_proportions():
    grown = [
        dense(4, name="new", input="input"),
        {"kind": "concat", "name": "all", "inputs": ["input", "new"]},
    ]
    layers = [dense(8), {"kind": "block", "times": 3, "layers": grown}]
    found = Population.of(network_of(*layers), 40)
    assert shapes(found)[2::2] == [(120,), (160,), (200,)]
    # With the input as a part, it has its share too.
    found = Population.of(network_of(*grown), 20)
    assert (shapes(found), found.copies) == ([(20,), (50,)], 5)


TRANSPOSED = {"kind": "conv_transpose", "channels": 4, "kernel": 2, "stride": 2}


@pytest.mark.parametrize(
    ("layers", "words"),
    [
        (concat(7, 8), "layer all: infinite_width is 32.*a multiple of the 7 channels .* try 35"),
        ([conv(6, groups=6)], "layer 0: infinite_width is 32.*depthwise_conv"),
        ([{**TRANSPOSED, "init": "torch_default"}], "bias_std = 0.204124"),
        (
            [dense(12), {"kind": "attention", "heads": 3}],
            "a multiple of its 3 heads and of their 4 units; try 36",
        ),
        ([dense(10), {"kind": "group_norm", "groups": 5}], "a multiple of its 5 groups; try 35"),
    ],
)
def test_layers_without_such_a_limit_are_named(layers, words):
    with pytest.raises(LayerError, match=words):
        Population.of(network_of(*layers, grid=(4,)), 32)


def test_given_biases_of_transposed_convolutions_are_kept():
    layer = {**TRANSPOSED, "init": "torch_default", "bias_std": 0.1}
    assert shapes(Population.of(network_of(layer, grid=(4,)), 32)) == [(8, 32)]


def test_more_units_than_there_may_be_are_refused():
    words = r"infinite_width is 200000000.*at most 268,435,456"
    with pytest.raises(InvalidValueError, match=words):
        Population.of(network_of(conv(4), grid=(8,)), 200_000_000)
