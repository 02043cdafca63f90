"""Operations of PyTorch as kinds of layers: one function for each, in one table."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from snstat.errors import SnstatError
from snstat.layers.activation import Activation
from snstat.layers.add import Add
from snstat.layers.alpha_dropout import AlphaDropout
from snstat.layers.batch_norm import BatchNorm
from snstat.layers.channel_dropout import ChannelDropout
from snstat.layers.concat import Concat
from snstat.layers.dense import Dense
from snstat.layers.dropout import Dropout
from snstat.layers.group_norm import GroupNorm
from snstat.layers.layer import Layer
from snstat.layers.layer_norm import LayerNorm
from snstat.layers.multiply import Multiply
from snstat.layers.rms_norm import RmsNorm
from snstat.layers.scale import Scale
from snstat.layers.shape import Shape
from snstat.sources.torch.draws import NotDrawnError
from snstat.sources.torch.graph import IN_PLACE
from snstat.sources.torch.layout import CHANNELS, NotMappedError
from snstat.sources.torch.operation import OTHERS, PARTLY, Made, Map, Operation
from snstat.sources.torch.operations_of_attention import (
    OF_ATTENTION,
    OF_SCORES,
    ON_SCORES,
    scored,
)
from snstat.sources.torch.operations_of_axes import OF_AXES
from snstat.sources.torch.operations_of_parts import OF_PARTS
from snstat.sources.torch.operations_of_time import OF_TIME
from snstat.sources.torch.operations_of_tokens import OF_TOKENS, encoded
from snstat.sources.torch.operations_on_grids import ON_GRIDS


def _activation(name: str) -> Map:
    return lambda op: Made(Activation(name), (op.entry("self"),))


def _with(name: str, argument: str, **others: float) -> Map:
    """Return what makes an activation with a parameter, where `others` are as they must be."""

    def made(op: Operation) -> Made:
        if any(op[key] != value for key, value in others.items()):
            raise NotMappedError
        return Made(Activation(f"{name}:{op.number(argument)!r}"), (op.entry("self"),))

    return made


def _chosen(names: Mapping[tuple[Any, ...], str], *arguments: str) -> Map:
    """Return what makes the activation that arguments choose."""

    def made(op: Operation) -> Made:
        name = names.get(tuple(op[argument] for argument in arguments))
        if name is None:
            raise NotMappedError
        return Made(Activation(name), (op.entry("self"),))

    return made


def _prelu(op: Operation) -> Made:
    slope = op.number("weight")
    if slope is None:
        raise NotMappedError("its slopes differ")
    return Made(Activation(f"leaky_relu:{slope!r}"), (op.entry("self"),))


def _dense(op: Operation, start: tuple[str, str], units: int, biases: str | None) -> Made:
    """Return the layer of an argument, channels last, with the weights of another."""
    name, weights = start
    entry = op.along(name, -1)
    layer = Dense(units, **op.weights(weights, biases))
    after = Shape(units, op.layouts.shapes[entry].grid)
    return Made(layer, (entry,), layout=op.layout(name).rechanneled(-1, after))


def _linear(op: Operation) -> Made:
    return _dense(op, ("input", "weight"), op.shape("weight")[0], "bias")


def _matmul(op: Operation) -> Made:
    name = "other" if "other" in op.node.arguments else "mat2"
    if op.parameter(name) is None:
        return scored(op, name)
    if len(op.shape(name)) != 2:
        raise NotMappedError
    return _dense(op, ("self", name), op.shape(name)[1], None)


def _addmm(op: Operation) -> Made:
    if (op["beta"], op["alpha"]) != (1, 1):
        raise NotMappedError
    return _dense(op, ("mat1", "mat2"), op.shape("mat2")[1], "self")


def _layer_norm(op: Operation) -> Made:
    op.require_affine()
    axes = len(op["normalized_shape"])
    if 1 < axes == len(op.shape("input")) - 1:  # all channels and positions of a sample
        start = op.entry("input")
        op.require_samples("input")
        return Made(GroupNorm(groups=1, epsilon=op["eps"]), (start,))
    return Made(LayerNorm(epsilon=op["eps"]), (_normed(op, axes),))


def _rms_norm(op: Operation) -> Made:
    op.require("weight", 1.0, "its weight is not 1")
    start, epsilon = _normed(op, len(op["normalized_shape"])), op["eps"]
    epsilon = op.context.epsilon if epsilon is None else epsilon
    return Made(RmsNorm(epsilon=epsilon), (start,))


def _normed(op: Operation, axes: int) -> int:
    """Return the layer before a norm over the last axes, which are all channels."""
    if axes == 1:
        return op.along("input", -1)
    entry = op.entry("input")
    over = [digit for merged in op.layout("input").axes[-axes:] for digit in merged]
    if any(digit.axis != CHANNELS for digit in over):
        raise NotMappedError("it is over channels and positions")
    if math.prod(digit.size for digit in over) != op.layouts.shapes[entry].channels:
        raise NotMappedError(PARTLY)
    return entry


def _group_norm(op: Operation) -> Made:
    op.require_affine()
    start = op.along("input", 1)
    op.require_samples("input")
    return Made(GroupNorm(groups=op["num_groups"], epsilon=op["eps"]), (start,))


def _batch_norm(op: Operation) -> Made:
    op.require_affine()
    start = op.along("input", 1)
    if op["training"] and not op.train:
        raise NotMappedError("it takes the statistics of batches in eval mode")
    if not op["training"]:
        words = "its running statistics are not those of its initialisation"
        op.require("running_mean", 0.0, words)
        op.require("running_var", 1.0, words)
    norm: Layer = BatchNorm(epsilon=op["eps"])
    return Made(norm if op["training"] or not op.train else norm.evaluated(), (start,))


def _dropout(kind: Callable[..., Layer], axis: int | None = None) -> Map:
    def made(op: Operation) -> Made:
        name = "input" if "input" in op.node.arguments else "self"  # of what writes in place
        start = op.entry_of(op[name], axis)
        if axis is not None:
            op.require_samples(name)
        if op["train"] and op["p"] and not op.train:
            raise NotMappedError("it drops units in eval mode")
        # In eval mode the whole network is: its layers of dropout stay in it.
        kept = not op["train"] and op.train
        return Made(None if kept else kind(rate=op["p"]), (start,))

    return made


def _scaled(op: Operation, factor: float | None) -> Made:
    if factor is None:
        raise NotMappedError(OTHERS)
    return Made(Scale(factor), (op.entry("self"),))


def _multiply(op: Operation) -> Made:
    for one, other in (("self", "other"), ("other", "self")):
        factor = op.number(other)
        if factor is not None:
            return Made(Scale(factor), (op.entry(one),))
    return Made(Multiply(), _both(op))


def _divide(op: Operation) -> Made:
    if op["rounding_mode"] is not None:
        raise NotMappedError("it rounds what it divides")
    by = op.number("other")
    return _scaled(op, 1.0 / by if by else None)


def _sum(sign: float) -> Map:
    def made(op: Operation) -> Made:
        for one, other in (("self", "other"), ("other", "self")):
            number = op.number(other)
            if number is not None and (number or sign < 0):
                raise NotMappedError("it adds a number")
            if number is not None:
                return Made(None, (op.entry(one),))
        factor = sign * float(op["alpha"])
        positions = encoded(op) if factor == 1.0 else None
        return positions or Made(Add(), _both(op), (1.0, factor))

    return made


def _both(op: Operation) -> tuple[int, ...]:
    found = op.entry("self"), op.entry("other")
    if op.shape("self") != op.shape("other"):
        raise NotMappedError("its parts differ in shape")
    if op.layout("self") != op.layout("other"):
        raise NotMappedError("its parts have their channels along other axes")
    return found


def _concat(op: Operation) -> Made:
    tensors = [part for part in op["tensors"] if 0 not in op.shape_of(part)]
    if len(tensors) == 1:  # to an empty one, as a cache of keys is at first
        return Made(None, (op.entry_of(tensors[0]),), layout=op.layouts.of(tensors[0].name))
    axis = op["dim"] % len(op.node.shape or ())
    if not axis:
        raise NotMappedError("it joins samples or positions")
    parts = tuple(op.entry_of(part, axis) for part in tensors)
    shapes = [op.layouts.shapes[entry] for entry in parts]
    joined = Shape(sum(shape.channels for shape in shapes), min(shape.grid for shape in shapes))
    found = {op.layouts.of(part.name).rechanneled(axis, joined) for part in tensors}
    if len(found) > 1:
        raise NotMappedError("its parts have their channels along other axes")
    return Made(Concat(), parts, layout=found.pop())


OPERATIONS: Mapping[str, Map] = {
    **{
        name: _activation(called)
        for name, called in {
            "relu": "relu", "selu": "selu", "tanh": "tanh", "sigmoid": "sigmoid", "silu": "silu",
            "mish": "mish", "erf": "erf", "hardsigmoid": "hard_sigmoid", "hardswish": "hard_swish",
            "relu6": "relu6", "sin": "sine:1",
        }.items()
    },
    "gelu": _chosen({("none",): "gelu", ("tanh",): "gelu_tanh"}, "approximate"),
    "hardtanh": _chosen({(-1, 1): "hard_tanh", (0, 6): "relu6"}, "min_val", "max_val"),
    "softplus": _chosen({(1,): "softplus"}, "beta"),
    "leaky_relu": _with("leaky_relu", "negative_slope"),
    "elu": _with("elu", "alpha", scale=1, input_scale=1),
    "celu": _chosen({(1,): "elu"}, "alpha"),
    "prelu": _prelu,
    "linear": _linear,
    "matmul": _matmul,
    "mm": _matmul,
    "bmm": _matmul,
    "addmm": _addmm,
    "layer_norm": _layer_norm,
    "rms_norm": _rms_norm,
    "group_norm": _group_norm,
    "batch_norm": _batch_norm,
    "dropout": _dropout(Dropout),
    "feature_dropout": _dropout(ChannelDropout, 1),
    "alpha_dropout": _dropout(AlphaDropout),
    "mul": _multiply,
    "div": _divide,
    "neg": lambda op: _scaled(op, -1.0),
    "add": _sum(1.0),
    "sub": _sum(-1.0),
    **dict.fromkeys(("cat", "concat", "concatenate"), _concat),
    **ON_GRIDS,
    **OF_AXES,
    **OF_PARTS,
    **OF_ATTENTION,
    **OF_TIME,
    **OF_TOKENS,
}  # fmt: skip
# Operations before which channels are along the last axis of an input, and along the second one.
LAST = frozenset({"linear", "matmul", "mm", "addmm", "layer_norm", "rms_norm", *OF_TIME})
FIRST = frozenset({*ON_GRIDS, "batch_norm", "group_norm", "feature_dropout", "pad"}) - {"mean"}
# These return what they are given where they drop nothing, but a graph does not show it.
DROP = frozenset({"dropout", "feature_dropout", "alpha_dropout"})
# What leaves parameters and numbers as they are.
KEEP = frozenset({"lift_fresh_copy", "detach", "detach_", "alias", "clone", "contiguous"})


def is_known(op: str) -> bool:
    """Return whether an operation of this name may be a layer."""
    return op.removesuffix(IN_PLACE) in OPERATIONS or op in ON_SCORES


def made(op: Operation) -> Made:
    """Return the layer that an operation is. Raises NotMappedError with the reason why not."""
    name = op.node.op.removesuffix(IN_PLACE)
    own = ON_SCORES if op.on_scores else OPERATIONS
    if name not in own:
        raise NotMappedError(OF_SCORES if op.on_scores else "")
    try:
        return own[name](op)
    except (NotDrawnError, SnstatError) as error:  # or an option that no layer may have
        raise NotMappedError(str(error)) from None
