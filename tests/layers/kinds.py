"""A layer of every kind, for the tests that ask all kinds the same (test_every_kind.py).

A kind joins by one line of `LAYERS`, and one of `INPUTS` if it starts from several layers. What
needs PyTorch, its twin, is one line of tests/peers/kinds.py.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

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
from snstat.layers.layer import Layer
from snstat.layers.layer_norm import LayerNorm
from snstat.layers.multiply import Multiply
from snstat.layers.residual_block import Residual
from snstat.layers.rms_norm import RmsNorm
from snstat.layers.scale import Scale

# From the channels of its inputs to a layer that has as many.
LAYERS: Mapping[str, Callable[[int], Layer]] = {
    "dense": lambda width: Dense(width, "tanh", bias_std=0.3),
    "activation": lambda _: Activation("relu"),
    "block": lambda width: Block((Entry(Dense(width)),), 3),
    "scale": lambda _: Scale(2.0),
    "dropout": lambda _: Dropout(0.3),
    "channel_dropout": lambda _: ChannelDropout(0.3),
    "alpha_dropout": lambda _: AlphaDropout(0.3),
    "layer_norm": lambda _: LayerNorm(epsilon=0.1),
    "rms_norm": lambda _: RmsNorm(epsilon=0.1),
    "group_norm": lambda _: GroupNorm(groups=1, epsilon=0.1),
    "batch_norm": lambda _: BatchNorm(epsilon=0.1),
    "residual": lambda width: Residual((Dense(width, "tanh"), Dense(width)), 0.5, (Dense(width),)),
    "add": lambda _: Add(),
    "multiply": lambda _: Multiply(),
    "concat": lambda _: Concat(),
    "highway": lambda _: Highway("tanh", bias_std=0.5),
}
# The number of layers that a kind starts from, where it is not 1.
INPUTS = {"add": 3, "multiply": 3, "concat": 2}


def layer_of(name: str, width: int = 5) -> Layer:
    """Return the layer of a kind. Raises LookupError for a kind without one."""
    if name not in LAYERS:
        raise LookupError(f"no layer of kind {name!r} to test: add one in tests/layers/kinds.py")
    return LAYERS[name](width)


def fed(name: str, width: int = 5) -> Block:
    """Return the layer of a kind after as many dense layers as it starts from beside the input.

    Raises LookupError for a kind without one.
    """
    count = INPUTS.get(name, 1)
    others = [Entry(Dense(width, "tanh"), (0,)) for _ in range(count - 1)]
    return Block((*others, Entry(layer_of(name, width), tuple(range(count)))))
