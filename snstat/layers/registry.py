"""The kinds of layers by name. A kind is imported when it is first asked for."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from types import MappingProxyType
from typing import TYPE_CHECKING

from snstat.values.names import known

if TYPE_CHECKING:
    from snstat.layers.layer import Layer

# Name -> the class, in the module of that name, or of `MODULES`.
KINDS: Mapping[str, str] = MappingProxyType(
    {
        "dense": "Dense",
        "conv": "Conv",
        "depthwise_conv": "DepthwiseConv",
        "separable_conv": "SeparableConv",
        "elman": "Elman",
        "lstm": "Lstm",
        "gru": "Gru",
        "attention": "Attention",
        "dot_product_attention": "DotProductAttention",
        "conv_transpose": "ConvTranspose",
        "max_pool": "MaxPool",
        "mean_pool": "MeanPool",
        "global_mean_pool": "GlobalMeanPool",
        "upsample": "Upsample",
        "pixel_shuffle": "PixelShuffle",
        "crop": "Crop",
        "flatten": "Flatten",
        "embedding": "Embedding",
        "positions": "Positions",
        "activation": "Activation",
        "block": "Block",
        "scale": "Scale",
        "dropout": "Dropout",
        "channel_dropout": "ChannelDropout",
        "alpha_dropout": "AlphaDropout",
        "layer_norm": "LayerNorm",
        "rms_norm": "RmsNorm",
        "group_norm": "GroupNorm",
        "batch_norm": "BatchNorm",
        "instance_norm": "InstanceNorm",
        "residual": "Residual",
        "add": "Add",
        "multiply": "Multiply",
        "concat": "Concat",
        "slice": "Slice",
        "highway": "Highway",
    }
)
# `snstat.layers.residual` is a function.
MODULES = MappingProxyType({"residual": "residual_block"})


def kind(name: str) -> type[Layer]:
    """Return the kind of layers called `name`. Raises UnknownNameError with the nearest name."""
    name = known("kind", name, KINDS)
    found: type[Layer] = getattr(
        import_module(f"snstat.layers.{MODULES.get(name, name)}"), KINDS[name]
    )
    return found
