"""What theory knows of layers after others, or at several positions, against plain simulations.

Every kind alone, after Gaussian units, is in test_every_kind.py.
"""

from __future__ import annotations

import pytest

from snstat.layers.activation import Activation
from snstat.layers.alpha_dropout import AlphaDropout
from snstat.layers.batch_norm import BatchNorm
from snstat.layers.block import Block
from snstat.layers.channel_dropout import ChannelDropout
from snstat.layers.dense import Dense
from snstat.layers.dropout import Dropout
from snstat.layers.entry import Entry
from snstat.layers.group_norm import GroupNorm
from snstat.layers.layer_norm import LayerNorm
from snstat.layers.residual_block import Residual
from snstat.layers.rms_norm import RmsNorm
from snstat.layers.scale import Scale
from tests.layers.plain_theory import OF_ONE_PLACE, OF_PLACES, ONE_PLACE, PLACES, compared


def chain(*layers, times=1):
    return Block(tuple(Entry(layer) for layer in layers), times)


def relu(*layers):
    return chain(Activation("relu"), *layers)


# Width -> the layer after a dense one of this width.
CASES = {
    "block of relu": lambda width: chain(Dense(width, "relu"), times=2),
    "scale after relu": lambda _: relu(Scale(-1.5)),
    "activation that is linear": lambda _: chain(Activation("identity"), Activation("selu")),
    "dropout after relu": lambda _: relu(Dropout(0.3)),
    "dropout before φ": lambda _: chain(Dropout(0.3), Activation("sigmoid")),
    "dropout, then a number": lambda _: chain(Dropout(0.3), Scale(-2.0), Activation("selu")),
    "channel_dropout after relu": lambda _: relu(ChannelDropout(0.3)),
    "alpha_dropout after relu": lambda _: relu(AlphaDropout(0.3)),
    "alpha_dropout before φ": lambda _: chain(AlphaDropout(0.3), Activation("selu")),
    "alpha_dropout, then a norm": lambda _: chain(
        AlphaDropout(0.3), LayerNorm(epsilon=0.1), Scale(-1.5), Activation("sigmoid")
    ),
    "layer_norm after relu": lambda _: relu(LayerNorm(epsilon=0.1)),
    "layer_norm before φ": lambda _: chain(LayerNorm(epsilon=0.1), Activation("tanh")),
    "rms_norm after relu": lambda _: relu(RmsNorm(epsilon=0.1)),
    "rms_norm before φ": lambda _: chain(RmsNorm(), Activation("tanh")),
    "group_norm after relu": lambda _: relu(GroupNorm(groups=1, epsilon=0.1)),
    "batch_norm without ε": lambda _: BatchNorm(epsilon=0.0),
    "batch_norm before φ": lambda _: chain(BatchNorm(epsilon=0.5), Activation("tanh")),
    "batch_norm before relu": lambda _: chain(BatchNorm(epsilon=0.0), Activation("relu")),
    "residual of relu": lambda width: Residual((Dense(width, "relu"), Dense(width))),
    "batch_norm, then a number": lambda _: chain(
        BatchNorm(epsilon=0.2), Scale(-2.0), RmsNorm(), Activation("relu6")
    ),
}
# Those whose theory holds for pairs of positions.
ON_GRIDS = {
    "dense": lambda width: Dense(width, bias_std=0.3),
    "scale": lambda _: Scale(2.0),
    "dropout": lambda _: Dropout(0.3),
    "channel_dropout": lambda _: ChannelDropout(0.3),
    "alpha_dropout": lambda _: AlphaDropout(0.3),
    "layer_norm": lambda _: LayerNorm(epsilon=0.1),
    "rms_norm": lambda _: RmsNorm(epsilon=0.1),
    "group_norm": lambda _: GroupNorm(groups=1, epsilon=0.1),
}
COMPARISONS = OF_ONE_PLACE * len(CASES) + OF_PLACES * len(ON_GRIDS)


@pytest.mark.parametrize("name", CASES)
def test_theory_is_what_plain_simulations_tend_to(name):
    compared(CASES[name], ONE_PLACE, (), COMPARISONS)


@pytest.mark.parametrize("name", ON_GRIDS)
def test_theory_of_pairs_of_positions_is_too(name):
    compared(ON_GRIDS[name], PLACES, (2,), COMPARISONS)
