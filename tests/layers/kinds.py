"""A layer of every kind, for the tests that ask all kinds the same (test_every_kind.py).

A kind joins by one line of `LAYERS`, one of `INPUTS` if it starts from several layers, and of
`LINEAR` if these must be weights, one of `ON_GRIDS` if it takes no vectors, one of `TOKENS` if it
takes only tokens, one of `CHANNELS_OF` if it does not take 5 channels, and one of `AFTER` if it
changes the shape. What needs PyTorch, its twin, is one line of tests/peers/kinds.py.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from snstat.layers.activation import Activation
from snstat.layers.add import Add
from snstat.layers.alpha_dropout import AlphaDropout
from snstat.layers.attention import Attention
from snstat.layers.batch_norm import BatchNorm
from snstat.layers.block import Block
from snstat.layers.channel_dropout import ChannelDropout
from snstat.layers.concat import Concat
from snstat.layers.conv import Conv
from snstat.layers.conv_transpose import ConvTranspose
from snstat.layers.crop import Crop
from snstat.layers.dense import Dense
from snstat.layers.depthwise_conv import DepthwiseConv
from snstat.layers.dot_product_attention import DotProductAttention
from snstat.layers.dropout import Dropout
from snstat.layers.elman import Elman
from snstat.layers.embedding import Embedding
from snstat.layers.entry import Entry
from snstat.layers.flatten import Flatten
from snstat.layers.global_mean_pool import GlobalMeanPool
from snstat.layers.group_norm import GroupNorm
from snstat.layers.gru import Gru
from snstat.layers.highway import Highway
from snstat.layers.instance_norm import InstanceNorm
from snstat.layers.layer import Layer
from snstat.layers.layer_norm import LayerNorm
from snstat.layers.lstm import Lstm
from snstat.layers.max_pool import MaxPool
from snstat.layers.mean_pool import MeanPool
from snstat.layers.multiply import Multiply
from snstat.layers.pixel_shuffle import PixelShuffle
from snstat.layers.positions import Positions
from snstat.layers.residual_block import Residual
from snstat.layers.rms_norm import RmsNorm
from snstat.layers.scale import Scale
from snstat.layers.separable_conv import SeparableConv
from snstat.layers.shape import Shape
from snstat.layers.slice import Slice
from snstat.layers.upsample import Upsample

# From the channels of its inputs to a layer that has as many.
LAYERS: Mapping[str, Callable[[int], Layer]] = {
    "dense": lambda width: Dense(width, "tanh", bias_std=0.3),
    "conv": lambda width: Conv(channels=width, kernel=3, bias_std=0.3),
    "depthwise_conv": lambda _: DepthwiseConv(kernel=3, bias_std=0.3),
    "separable_conv": lambda width: SeparableConv(channels=width, kernel=3, bias_std=0.3),
    "elman": lambda width: Elman(width=width, bias_std=0.3),
    "lstm": lambda width: Lstm(width=width, bias_std=0.3),
    "gru": lambda width: Gru(width=width, bias_std=0.3),
    "attention": lambda width: Attention(heads=max(width // 8, 1), dropout=0.2, bias_std=0.3),
    "dot_product_attention": lambda w: DotProductAttention(heads=max(w // 8, 1), dropout=0.2),
    "conv_transpose": lambda width: ConvTranspose(channels=width, kernel=3, stride=2, bias_std=0.3),
    "max_pool": lambda _: MaxPool(2, 1),
    "mean_pool": lambda _: MeanPool(2),
    "global_mean_pool": lambda _: GlobalMeanPool(),
    "upsample": lambda _: Upsample(2),
    "pixel_shuffle": lambda _: PixelShuffle(2),
    "crop": lambda _: Crop(0, 2),
    "flatten": lambda _: Flatten(),
    "embedding": lambda width: Embedding(width, 1.5),
    # Theory of sinusoids depends on the width: see test_positions.py.
    "positions": lambda _: Positions("normal"),
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
    "instance_norm": lambda _: InstanceNorm(epsilon=0.1),
    "residual": lambda width: Residual((Dense(width, "tanh"), Dense(width)), 0.5, (Dense(width),)),
    "add": lambda _: Add(),
    "multiply": lambda _: Multiply(),
    "concat": lambda _: Concat(),
    "slice": lambda width: Slice(width // 4, 3 * width // 4),
    "highway": lambda _: Highway("tanh", bias_std=0.5),
}
# The number of layers that a kind starts from, where it is not 1.
INPUTS = {"add": 3, "multiply": 3, "concat": 2, "dot_product_attention": 3}
# Those whose inputs are all behind weights, with nothing in between.
LINEAR = frozenset({"dot_product_attention"})
# The most layers that a kind starts from, where it may be more than that.
MOST_INPUTS = {"attention": 2}
# The grids that kinds are tried on: none, of one axis, of two.
ALL_GRIDS = ((), (7,), (3, 2))
TIME = ALL_GRIDS[1:2]
# Kinds that take no vectors.
ON_GRIDS = (
    "conv",
    "depthwise_conv",
    "separable_conv",
    "instance_norm",
    "conv_transpose",
    "max_pool",
    "mean_pool",
    "global_mean_pool",
    "upsample",
    "pixel_shuffle",
    "crop",
    "flatten",
)
# Kinds whose weights act at several times, so that gradients of them are no product of two moments.
SHARED = frozenset({"elman", "lstm", "gru", "attention"})
# The grids of kinds that do not take all of them.
GRIDS: Mapping[str, tuple[tuple[int, ...], ...]] = dict.fromkeys(
    ON_GRIDS, ALL_GRIDS[1:]
) | dict.fromkeys((*SHARED, "dot_product_attention", "positions"), TIME)
# The channels of the input that a kind is tried on, and their number where it must divide another.
CHANNELS, CHANNELS_OF = 5, {"pixel_shuffle": 8}
# Kinds that take numbers of tokens alone, and how many of these there are.
TOKENS = {"embedding": 7}
# The shape after a layer of a kind, where it is not that of its first input.
AFTER: Mapping[str, Callable[[Shape], Shape]] = {
    "conv_transpose": lambda x: Shape(x.channels, tuple(2 * n + 1 for n in x.grid)),
    "max_pool": lambda x: Shape(x.channels, tuple(n - 1 for n in x.grid)),
    "mean_pool": lambda x: Shape(x.channels, tuple(n // 2 for n in x.grid)),
    "global_mean_pool": lambda x: Shape(x.channels),
    "upsample": lambda x: Shape(x.channels, tuple(2 * n for n in x.grid)),
    "pixel_shuffle": lambda x: Shape(x.channels // 2 ** len(x.grid), tuple(2 * n for n in x.grid)),
    "crop": lambda x: Shape(x.channels, tuple(2 for _ in x.grid)),
    "flatten": lambda x: Shape(x.channels * x.positions),
    "embedding": lambda x: Shape(5, x.grid),
    "concat": lambda x: Shape(2 * x.channels, x.grid),
    "slice": lambda x: Shape(3 * x.channels // 4 - x.channels // 4, x.grid),
}


def layer_of(name: str, width: int = 5) -> Layer:
    """Return the layer of a kind. Raises LookupError for a kind without one."""
    if name not in LAYERS:
        raise LookupError(f"no layer of kind {name!r} to test: add one in tests/layers/kinds.py")
    return LAYERS[name](width)


def grids_of(name: str) -> tuple[tuple[int, ...], ...]:
    """Return the grids that a kind is tried on."""
    return GRIDS.get(name, ALL_GRIDS)


def shape_of(name: str, grid: tuple[int, ...]) -> Shape:
    """Return the shape of an input that a kind is tried on."""
    if name in TOKENS:
        return Shape.of_tokens(TOKENS[name], grid)
    return Shape(CHANNELS_OF.get(name, CHANNELS), grid)


def fed(name: str, width: int = 5) -> Block:
    """Return the layer of a kind after as many dense layers as it starts from, beside the input
    unless that will not do.

    Raises LookupError for a kind without one.
    """
    count = INPUTS.get(name, 1)
    first, activation = (1, None) if name in LINEAR else (0, "tanh")
    others = [Entry(Dense(width, activation), (0,)) for _ in range(first + count - 1)]
    return Block((*others, Entry(layer_of(name, width), tuple(range(first, first + count)))))
