"""Operations of PyTorch on grids as kinds of layers: convolutions, pools and changes of size."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from snstat.layers.conv import Conv
from snstat.layers.conv_transpose import ConvTranspose
from snstat.layers.dense import Dense
from snstat.layers.depthwise_conv import DepthwiseConv
from snstat.layers.global_mean_pool import GlobalMeanPool
from snstat.layers.instance_norm import InstanceNorm
from snstat.layers.layer import Layer
from snstat.layers.max_pool import MaxPool
from snstat.layers.mean_pool import MeanPool
from snstat.layers.pixel_shuffle import PixelShuffle
from snstat.layers.shape import Shape
from snstat.layers.upsample import Upsample
from snstat.layers.window_axis import CAUSAL, CIRCULAR, SAME, VALID
from snstat.sources.torch.layout import CHANNELS, SAMPLES, Layout, NotMappedError
from snstat.sources.torch.operation import VECTOR, Made, Map, Operation
from snstat.values.sizes import Sizes

BORDER = "its padding is neither same nor valid"
LENGTHENED = "it adds positions that nothing is put down at"
AROUND = "it pads what is padded around the ends"
BORDERED = "its windows reach beyond the grid"
UNEVEN = "its windows differ in size"
PARTLY = "it averages over a part of the positions"
# The arguments of a convolution.
INPUT, WEIGHT, BIAS = "input", "weight", "bias"


def _conv(axes: int) -> Map:
    def made(op: Operation) -> Made:
        entry, shape = op.on_grid(INPUT, axes, vector=True, padded=True)
        kernel, groups = op.shape(WEIGHT)[2:], op["groups"]
        stride, dilation = op.sizes("stride", axes), op.sizes("dilation", axes)
        spans = [step * (size - 1) + 1 for size, step in zip(kernel, dilation, strict=True)]
        padding, channels = _padding(op, axes, spans), op.shape(WEIGHT)[0]
        if not shape.grid:
            return _of_vector(op, entry, shape, channels)
        options = {
            "kernel": _sizes(kernel),
            "stride": _sizes(stride),
            "dilation": _sizes(dilation),
            "padding": padding,
            **op.weights(WEIGHT, BIAS),
        }
        layer: Layer
        if groups == shape.channels > 1:
            layer = DepthwiseConv(multiplier=channels // groups, **options)
        elif groups > 1 and options["init"] == "orthogonal":
            raise NotMappedError("its groups are orthogonal together")
        else:
            layer = Conv(channels=channels, groups=groups, **options)
        after = layer.shape([shape])
        if after.sizes != (*(op.node.shape or ())[2:], channels):
            raise NotMappedError(BORDER)
        return Made(layer, (entry,), layout=op.first(after, axes))

    return made


def _of_vector(op: Operation, entry: int, shape: Shape, channels: int) -> Made:
    """Return a convolution of one position, which was a vector before."""
    if op.shape(WEIGHT)[1:] != (shape.channels, *[1] * (len(op.shape(WEIGHT)) - 2)):
        raise NotMappedError(VECTOR)
    after = op.first(Shape(channels), len(op.shape(WEIGHT)) - 2)
    return Made(Dense(channels, **op.weights(WEIGHT, BIAS)), (entry,), layout=after)


def _padding(op: Operation, axes: int, spans: list[int]) -> str:
    """Return the name of what is around the grid for windows of these spans. That there is enough
    on the right follows from the number of positions after it."""
    own, border = op["padding"], op.layouts.padded.get(op[INPUT].name)
    if border is None and isinstance(own, str):
        return SAME if own == "same" else VALID
    left = [0] * axes if isinstance(own, str) else [*op.sizes("padding", axes)]
    around = border is not None and border.around
    if border is not None:
        if own == "same" or (around and any(left)):
            raise NotMappedError(AROUND)
        if not any(left) and not any(end for pair in border.sides for end in pair):
            return VALID
        left = [size + pair[0] for size, pair in zip(left, border.sides, strict=True)]
    elif not any(left):
        return VALID
    if left == [(span - 1) // 2 for span in spans]:
        return CIRCULAR if around else SAME
    if left == [span - 1 for span in spans] and axes == 1 and not around:
        return CAUSAL
    raise NotMappedError(BORDER)


def _conv_transpose(axes: int) -> Map:
    def made(op: Operation) -> Made:
        entry, shape = op.on_grid(INPUT, axes)
        _, channels, *kernel = op.shape(WEIGHT)
        if op["groups"] != 1 or set(op.sizes("dilation", axes)) != {1}:
            raise NotMappedError
        crop, added = op.sizes("padding", axes), op.sizes("output_padding", axes)
        crop_end = tuple(first - more for first, more in zip(crop, added, strict=True))
        if any(last < 0 for last in crop_end):
            raise NotMappedError(LENGTHENED)
        ends: dict[str, Any] = {} if crop == crop_end else {"crop_end": _sizes(crop_end)}
        layer = ConvTranspose(
            channels=channels,
            kernel=_sizes(tuple(kernel)),
            stride=_sizes(op.sizes("stride", axes)),
            crop=_sizes(crop),
            **ends,
            **op.weights(WEIGHT, BIAS, by_gain=False),
        )
        return _on(op, layer, (entry, shape), axes)

    return made


def _pool(kind: Callable[..., Layer], axes: int) -> Map:
    def made(op: Operation) -> Made:
        entry, shape = op.on_grid("self", axes)
        size = op.sizes("kernel_size", axes)
        stride = op.sizes("stride", axes, size)
        padding = op.sizes("padding", axes)
        if any(padding) and (kind is not MaxPool or padding != tuple((n - 1) // 2 for n in size)):
            raise NotMappedError(BORDERED)
        if set(op.sizes("dilation", axes, (1,))) != {1} or op["divisor_override"] is not None:
            raise NotMappedError
        options: dict[str, Any] = {} if stride == size else {"stride": _sizes(stride)}
        options |= {"padding": SAME} if any(padding) else {}
        layer = kind(size=_sizes(size), **options)
        if layer.shape([shape]).grid != (op.node.shape or ())[2:]:  # that of ceil_mode
            raise NotMappedError(BORDERED)
        return _on(op, layer, (entry, shape), axes)

    return made


def _adaptive_pool(axes: int) -> Map:
    def made(op: Operation) -> Made:
        before, after = op.shape("self")[2:], (op.node.shape or ())[2:]
        if before == after:
            return Made(None, (op.along("self", 1),))
        entry, shape = op.on_grid("self", axes)
        if set(after) == {1}:
            return _on(op, GlobalMeanPool(), (entry, shape), axes)
        if any(own % other for own, other in zip(before, after, strict=True)):
            raise NotMappedError(UNEVEN)
        size = tuple(own // other for own, other in zip(before, after, strict=True))
        return _on(op, MeanPool(size=_sizes(size)), (entry, shape), axes)

    return made


def _mean(op: Operation) -> Made:
    """Return the mean over all positions, wherever their axes are."""
    entry = op.entry("self")
    shape, layout = op.layouts.shapes[entry], op.layout("self")
    if not shape.grid:
        raise NotMappedError
    count = len(op.shape("self"))
    over = {axis % count for axis in op["dim"] or ()}
    merged = [digit for number in over for digit in layout.axes[number]]
    if not {CHANNELS, SAMPLES}.isdisjoint(digit.axis for digit in merged) or not over:
        raise NotMappedError("it averages over more than positions")
    if math.prod(digit.size for digit in merged) < shape.positions:
        raise NotMappedError(PARTLY)
    kept = [
        () if number in over else axes
        for number, axes in enumerate(layout.axes)
        if op["keepdim"] or number not in over
    ]
    return Made(GlobalMeanPool(), (entry,), layout=Layout(tuple(kept)))


def _upsample(axes: int) -> Map:
    def made(op: Operation) -> Made:
        entry, shape = op.on_grid("input" if "input" in op.node.arguments else "self", axes)
        pairs = [*zip(shape.grid, (op.node.shape or ())[2:], strict=True)]
        if any(after % before for before, after in pairs):
            raise NotMappedError("its positions have different numbers of copies")
        factor = tuple(after // before for before, after in pairs)
        return _on(op, Upsample(_sizes(factor)), (entry, shape), axes)

    return made


def _pixel_shuffle(op: Operation) -> Made:
    entry, shape = op.on_grid("self", 2)
    return _on(op, PixelShuffle(op["upscale_factor"]), (entry, shape), 2)


def _instance_norm(op: Operation) -> Made:
    op.require_affine()
    start = op.along(INPUT, 1)
    op.require_samples(INPUT)
    if not op["use_input_stats"]:
        raise NotMappedError("it takes running statistics")
    return Made(InstanceNorm(epsilon=op["eps"]), (start,))


def _on(op: Operation, layer: Layer, start: tuple[int, Shape], axes: int) -> Made:
    """Return a layer with samples × channels × so many axes before and after it."""
    entry, shape = start
    return Made(layer, (entry,), layout=op.first(layer.shape([shape]), axes))


def _sizes(sizes: tuple[int, ...]) -> Sizes:
    """Return sizes as one number where they are equal."""
    return sizes[0] if len(set(sizes)) == 1 else sizes


ON_GRIDS: Mapping[str, Map] = {
    **{f"conv{axes}d": _conv(axes) for axes in (1, 2)},
    **{f"conv_transpose{axes}d": _conv_transpose(axes) for axes in (1, 2)},
    **{f"max_pool{axes}d": _pool(MaxPool, axes) for axes in (1, 2)},
    **{f"avg_pool{axes}d": _pool(MeanPool, axes) for axes in (1, 2)},
    **{f"adaptive_avg_pool{axes}d": _adaptive_pool(axes) for axes in (1, 2)},
    **{f"upsample_nearest{axes}d": _upsample(axes) for axes in (1, 2)},
    **{f"_upsample_nearest_exact{axes}d": _upsample(axes) for axes in (1, 2)},
    "mean": _mean,
    "pixel_shuffle": _pixel_shuffle,
    "instance_norm": _instance_norm,
}
