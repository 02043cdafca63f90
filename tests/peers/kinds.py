"""The PyTorch module of every kind of layer, with the weights and masks that a layer drew.

A kind without others in it has one entry in `MODULES`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial, reduce
from operator import mul
from typing import Any

import numpy as np
import torch
from torch import nn

from snstat.layers.biases import biases_from
from snstat.layers.shape import Shape
from tests.peers.modules import (
    AlphaMasked,
    Attention,
    Called,
    Highway,
    LearnedPositions,
    Masked,
    OverChannels,
    Recurrent,
    SinusoidalPositions,
    TokenEmbedding,
    activation,
    attended,
    convolution,
    linear,
    transposed,
)
from tests.peers.recorder import Recorder


@dataclass(frozen=True)
class Part:
    """A layer of a network, the shapes of its inputs, and what it drew."""

    layer: Any
    shapes: Sequence[Shape]
    drawn: Recorder

    @property
    def channels(self) -> int:
        """The channels of its first input."""
        return self.shapes[0].channels

    @property
    def axes(self) -> int:
        """The axes of the grid of its first input."""
        return len(self.shapes[0].grid)


Make = Callable[[Part], nn.Module]


def module_of(part: Part) -> nn.Module:
    """Return the module of a layer. Raises LookupError for a kind without one."""
    kind = part.layer.kind
    if kind not in MODULES:
        raise LookupError(
            f"{kind} has no twin in PyTorch: add it to MODULES of tests/peers/kinds.py"
        )
    return MODULES[kind](part)


def _activated(module: nn.Module, name: str | None) -> nn.Module:
    return module if name is None else nn.Sequential(module, activation(name))


def _dense(part: Part) -> nn.Module:
    (matrix,) = part.drawn.matrices
    return _activated(linear(matrix), part.layer.activation)


def _conv(part: Part) -> nn.Module:
    return _activated(
        convolution(
            part.layer,
            part.shapes[0],
            part.drawn.matrices,
            channels=part.layer.channels,
            groups=part.layer.groups,
        ),
        part.layer.activation,
    )


def _depthwise(part: Part) -> nn.Module:
    return _activated(_by_channel(part, part.layer.multiplier), part.layer.activation)


def _separable(part: Part) -> nn.Module:
    pointwise = linear(part.drawn.matrices[1])
    return _activated(nn.Sequential(_by_channel(part, 1), pointwise), part.layer.activation)


def _by_channel(part: Part, many: int) -> nn.Module:
    """Return the convolution of each channel by itself, to `many` channels."""
    count, matrices = part.channels, part.drawn.matrices[:1]
    return convolution(part.layer, part.shapes[0], matrices, channels=many * count, groups=count)


def _recurrent(make: Callable[..., nn.RNNBase]) -> Make:
    """Return what makes a recurrent kind: PyTorch's module with the weights that were drawn."""

    def made(part: Part) -> nn.Module:
        module = make(part.layer, part.channels, part.layer.width)
        return Recurrent(module, part.drawn.matrices, last=part.layer.output == "last")

    return made


def _lstm(part: Part) -> nn.Module:
    """Return PyTorch's LSTM. Its gates are i, f, g and o."""
    width, drawn = part.layer.width, part.drawn.matrices
    module = nn.LSTM(part.channels, width, batch_first=True)
    found = Recurrent(module, drawn, last=part.layer.output == "last")
    with torch.no_grad():
        module.bias_ih_l0[width : 2 * width] += part.layer.forget_bias
    return found


def _elman(layer: Any, channels: int, width: int) -> nn.RNNBase:
    return nn.RNN(channels, width, nonlinearity=layer.activation, batch_first=True)


def _attention(part: Part) -> nn.Module:
    layer, (mask,) = part.layer, part.drawn.masks or [None]
    keys = {"causal": layer.causal, "rate": layer.dropout}
    mask = None if mask is None else mask.swapaxes(0, 1).copy()
    return Attention(part.drawn.matrices, layer.heads, mask=mask, **keys)


def _dot_product_attention(part: Part) -> nn.Module:
    layer, (mask,) = part.layer, part.drawn.masks or [None]
    mask = None if mask is None else torch.from_numpy(mask.swapaxes(0, 1).copy())
    return Called(
        partial(attended, heads=layer.heads, causal=layer.causal, kept=mask, rate=layer.dropout)
    )


def _conv_transpose(part: Part) -> nn.Module:
    shape, (matrix,) = part.shapes[0], part.drawn.matrices
    biases = [biases_from(own, part.layer.at(shape)) for own in part.drawn.uniforms]
    module = transposed(part.layer, shape, matrix, *(biases or [None]))
    return _activated(module, part.layer.activation)


def _max_pool(part: Part) -> nn.Module:
    pool = (nn.MaxPool1d, nn.MaxPool2d)[part.axes - 1]
    padding = (part.layer.size - 1) // 2 if part.layer.padding == "same" else 0
    return pool(part.layer.size, part.layer.stride, padding)


def _mean_pool(part: Part) -> nn.Module:
    pool = (nn.AvgPool1d, nn.AvgPool2d)[part.axes - 1]
    return pool(part.layer.size, part.layer.stride)


def _global_mean_pool(part: Part) -> nn.Module:
    pool = (nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d)[part.axes - 1]
    return nn.Sequential(pool(1), nn.Flatten())


def _pixel_shuffle(part: Part) -> nn.Module:
    """Return PyTorch's own; it has none for time."""
    factor = part.layer.factor
    if part.axes == 2:
        return nn.PixelShuffle(factor)
    return Called(lambda x: x.unflatten(1, (-1, factor)).transpose(2, 3).flatten(2))


def _highway(part: Part) -> nn.Module:
    hidden, gate = map(linear, part.drawn.matrices)
    return Highway(_activated(hidden, part.layer.activation), gate, part.layer.transfer_bias)


def _dropout(masked: type[nn.Module], *own: type[nn.Module], alike: bool = False) -> Make:
    """Return what makes a kind of dropout: `masked` with the mask that was drawn. In eval mode it
    is PyTorch's `own` module, by the number of axes of the grid, which is the identity then.

    `alike` is whether the positions of a channel have one mask.
    """

    def make(part: Part) -> nn.Module:
        rate = part.layer.rate
        if not part.drawn.train:
            return own[part.axes](rate)
        (kept,) = part.drawn.masks
        mask = torch.from_numpy(kept == 1).swapaxes(0, 1)
        if alike:
            mask = mask[(..., *[slice(1)] * part.axes)]
        return masked(mask, rate)

    return make


def _batch_norm(part: Part) -> nn.Module:
    norm = (nn.BatchNorm1d, nn.BatchNorm1d, nn.BatchNorm2d)[part.axes]
    return norm(part.channels, part.layer.epsilon)


def _instance_norm(part: Part) -> nn.Module:
    norm = (nn.InstanceNorm1d, nn.InstanceNorm2d)[part.axes - 1]
    return norm(part.channels, part.layer.epsilon)


def _group_norm(part: Part) -> nn.Module:
    return nn.GroupNorm(part.layer.groups, part.channels, part.layer.epsilon)


def _over_channels(norm: type[nn.Module]) -> Make:
    return lambda part: OverChannels(norm(part.channels, part.layer.epsilon))


def _embedding(part: Part) -> nn.Module:
    numbers = np.arange(part.shapes[0].tokens)
    table = part.drawn.new().vectors(numbers, part.layer.width, part.layer.std)
    return TokenEmbedding(table)


def _positions(part: Part) -> nn.Module:
    if part.layer.encoding == "normal":
        (table,) = part.drawn.tables
        return LearnedPositions(table)
    return SinusoidalPositions(part.channels, *part.shapes[0].grid)


def _called(function: Callable[..., torch.Tensor]) -> Make:
    """Return what makes a kind that is a function of the layer and its inputs."""
    return lambda part: Called(partial(function, part.layer))


def _cropped(layer: Any, x: torch.Tensor) -> torch.Tensor:
    return x[(..., *[slice(layer.start, layer.stop)] * (x.ndim - 2))]


MODULES: Mapping[str, Make] = {
    "dense": _dense,
    "conv": _conv,
    "depthwise_conv": _depthwise,
    "separable_conv": _separable,
    "elman": _recurrent(_elman),
    "lstm": _lstm,
    "gru": _recurrent(lambda _, *sizes: nn.GRU(*sizes, batch_first=True)),
    "attention": _attention,
    "dot_product_attention": _dot_product_attention,
    "conv_transpose": _conv_transpose,
    "max_pool": _max_pool,
    "mean_pool": _mean_pool,
    "global_mean_pool": _global_mean_pool,
    "upsample": lambda part: nn.Upsample(scale_factor=part.layer.factor),
    "pixel_shuffle": _pixel_shuffle,
    "crop": _called(_cropped),
    "flatten": lambda _: nn.Flatten(),
    "embedding": _embedding,
    "positions": _positions,
    "activation": lambda part: activation(part.layer.activation),
    "scale": _called(lambda layer, x: layer.factor * x),
    "dropout": _dropout(Masked, *[nn.Dropout] * 3),
    "channel_dropout": _dropout(Masked, nn.Dropout, nn.Dropout1d, nn.Dropout2d, alike=True),
    "alpha_dropout": _dropout(AlphaMasked, *[nn.AlphaDropout] * 3),
    "layer_norm": _over_channels(nn.LayerNorm),
    "rms_norm": _over_channels(nn.RMSNorm),
    "group_norm": _group_norm,
    "batch_norm": _batch_norm,
    "instance_norm": _instance_norm,
    "slice": _called(lambda layer, x: x[:, layer.start : layer.stop]),
    "add": _called(lambda _, *inputs: sum(inputs)),
    "multiply": _called(lambda _, *inputs: reduce(mul, inputs)),
    "concat": _called(lambda _, *inputs: torch.cat(inputs, 1)),
    "highway": _highway,
}
