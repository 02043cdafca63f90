"""The table of kinds: every kind, asked the same."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import fields

import pytest

from snstat.errors import UnknownNameError
from snstat.layers.activation import Activation
from snstat.layers.add import Add
from snstat.layers.alpha_dropout import AlphaDropout
from snstat.layers.batch_norm import BatchNorm
from snstat.layers.block import Block
from snstat.layers.channel_dropout import ChannelDropout
from snstat.layers.concat import Concat
from snstat.layers.dense import Dense
from snstat.layers.dropout import Dropout
from snstat.layers.entry import Entry
from snstat.layers.group_norm import GroupNorm
from snstat.layers.highway import Highway
from snstat.layers.layer_norm import LayerNorm
from snstat.layers.multiply import Multiply
from snstat.layers.registry import KINDS, kind
from snstat.layers.residual_block import Residual
from snstat.layers.rms_norm import RmsNorm
from snstat.layers.scale import Scale
from snstat.layers.shape import Shape
from snstat.values.option import options_of

# One layer of every kind.
LAYERS = {
    "dense": Dense(5, "tanh"),
    "activation": Activation("relu"),
    "block": Block((Entry(Dense(5)),), 3),
    "scale": Scale(2.0),
    "dropout": Dropout(0.3),
    "channel_dropout": ChannelDropout(0.3),
    "alpha_dropout": AlphaDropout(0.3),
    "layer_norm": LayerNorm(epsilon=0.1),
    "rms_norm": RmsNorm(epsilon=0.1),
    "group_norm": GroupNorm(groups=1, epsilon=0.1),
    "batch_norm": BatchNorm(epsilon=0.1),
    "residual": Residual((Dense(5, "tanh"), Dense(5)), 0.5, (Dense(5),)),
    "add": Add(),
    "multiply": Multiply(),
    "concat": Concat(),
    "highway": Highway("tanh", bias_std=0.5),
}
# The number of layers that a kind starts from, where it is not 1.
INPUTS = {"add": 3, "multiply": 3, "concat": 2}


def test_every_kind_is_tested():
    assert LAYERS.keys() == KINDS.keys()


@pytest.mark.parametrize("name", KINDS)
def test_a_kind_is_found_by_its_name(name):
    assert type(LAYERS[name]) is kind(name)
    assert kind(name).kind == name


@pytest.mark.parametrize("name", KINDS)
def test_all_fields_of_a_kind_are_options(name):
    assert list(options_of(kind(name))) == [entry.name for entry in fields(kind(name))]
    assert all(option.help for option in options_of(kind(name)).values())
    assert kind(name).__doc__


@pytest.mark.parametrize("name", KINDS)
def test_a_kind_takes_its_inputs_at_any_position(name):
    count, channels = INPUTS.get(name, 1), 10 if name == "concat" else 5
    for grid in ((), (7,), (3, 2)):
        assert LAYERS[name].shape([Shape(5, grid)] * count) == Shape(channels, grid)
    others, words = ([0, 1], "two layers") if count > 1 else ([0, 2], "one layer")
    for wrong in others:
        with pytest.raises(ValueError, match=words):
            LAYERS[name].shape([Shape(5)] * wrong)


def test_the_nearest_kind_is_suggested():
    with pytest.raises(UnknownNameError, match="did you mean 'dense'"):
        kind("dens")


def test_kinds_are_lazy_and_load_no_numba():
    program = (
        "import sys\nfrom snstat.layers.registry import KINDS, kind\n"
        "early = [n for n in KINDS if f'snstat.layers.{n}' in sys.modules]\n"
        "for name in KINDS: kind(name)\n"
        "sys.exit(bool(early) or 'numba' in sys.modules)"
    )
    result = subprocess.run([sys.executable, "-c", program], check=False, timeout=60)
    assert result.returncode == 0
