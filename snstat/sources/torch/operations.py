"""Operations of PyTorch as kinds of layers: one function for each, in one table."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from snstat.errors import SnstatError
from snstat.layers.activation import Activation
from snstat.layers.add import Add
from snstat.layers.alpha_dropout import AlphaDropout
from snstat.layers.batch_norm import BatchNorm
from snstat.layers.concat import Concat
from snstat.layers.dense import Dense
from snstat.layers.dropout import Dropout
from snstat.layers.group_norm import GroupNorm
from snstat.layers.layer import Layer
from snstat.layers.layer_norm import LayerNorm
from snstat.layers.multiply import Multiply
from snstat.layers.rms_norm import RmsNorm
from snstat.layers.scale import Scale
from snstat.sources.torch.draws import NotDrawnError
from snstat.sources.torch.graph import IN_PLACE
from snstat.sources.torch.operation import OTHERS, Made, NotMappedError, Operation

Map = Callable[[Operation], Made]


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


def _dense(op: Operation, weights: str, units: int, biases: str | None) -> Made:
    """Return the layer with these weights."""
    start = op.entry("input" if biases else "self")
    options = op.draws.weights(op.drawn(weights, "weights"))
    if biases and op[biases] is not None:
        own = op.drawn(biases, "biases")
        options["bias_std"] = op.draws.biases(own, options["init"])
    elif options["init"] == "torch_default":
        options["bias_std"] = 0.0
    return Made(Dense(units, **options), (start,))


def _linear(op: Operation) -> Made:
    return _dense(op, "weight", op.shape("weight")[0], "bias")


def _matmul(op: Operation) -> Made:
    name = "other" if "other" in op.node.arguments else "mat2"
    if op.parameter(name) is None or len(op.shape(name)) != 2:
        raise NotMappedError
    return _dense(op, name, op.shape(name)[1], None)


def _affine(op: Operation) -> None:
    op.require("weight", 1.0, "its weight is not 1")
    op.require("bias", 0.0, "its bias is not 0")


def _layer_norm(op: Operation) -> Made:
    _affine(op)
    return Made(LayerNorm(epsilon=op["eps"]), (op.entry("input"),))


def _rms_norm(op: Operation) -> Made:
    op.require("weight", 1.0, "its weight is not 1")
    start, epsilon = op.entry("input"), op["eps"]
    epsilon = op.context.epsilon if epsilon is None else epsilon
    return Made(RmsNorm(epsilon=epsilon), (start,))


def _group_norm(op: Operation) -> Made:
    _affine(op)
    return Made(GroupNorm(groups=op["num_groups"], epsilon=op["eps"]), (op.entry("input"),))


def _batch_norm(op: Operation) -> Made:
    _affine(op)
    start = op.entry("input")
    if op["training"] and not op.train:
        raise NotMappedError("it takes the statistics of batches in eval mode")
    if not op["training"]:
        words = "its running statistics are not those of its initialisation"
        op.require("running_mean", 0.0, words)
        op.require("running_var", 1.0, words)
    norm: Layer = BatchNorm(epsilon=op["eps"])
    return Made(norm if op["training"] or not op.train else norm.evaluated(), (start,))


def _dropout(kind: Callable[..., Layer]) -> Map:
    def made(op: Operation) -> Made:
        start = op.entry("input")
        if op["train"] and not op.train:
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
        return Made(Add(), _both(op), (1.0, sign * float(op["alpha"])))

    return made


def _both(op: Operation) -> tuple[int, ...]:
    found = op.entry("self"), op.entry("other")
    if op.shape("self") != op.shape("other"):
        raise NotMappedError("its parts differ in shape")
    return found


def _concat(op: Operation) -> Made:
    parts = tuple(op.entry_of(part) for part in op["tensors"])
    if op["dim"] not in (1, -1):
        raise NotMappedError("it joins samples")
    return Made(Concat(), parts)


def _same(name: str) -> Map:
    return lambda op: Made(None, (op.entry(name),))


def _reshaped(op: Operation) -> Made:
    """Return the same values in another shape. Those of the input are independent, so that any
    shape of the samples may be flattened."""
    if op.shape("self")[:1] != (op.node.shape or ())[:1]:
        raise NotMappedError
    if op.value("self").entry == 0:
        return Made(None, (0,))
    return Made(None, (op.entry("self"),))


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
    "layer_norm": _layer_norm,
    "rms_norm": _rms_norm,
    "group_norm": _group_norm,
    "batch_norm": _batch_norm,
    "dropout": _dropout(Dropout),
    "alpha_dropout": _dropout(AlphaDropout),
    "mul": _multiply,
    "div": _divide,
    "neg": lambda op: _scaled(op, -1.0),
    "add": _sum(1.0),
    "sub": _sum(-1.0),
    "cat": _concat,
    **dict.fromkeys(("flatten", "view", "reshape", "_unsafe_view"), _reshaped),
    **dict.fromkeys(("alias", "contiguous", "clone", "to", "_to_copy"), _same("self")),
}  # fmt: skip
# Of these, the result is another tensor with the same values; those of others are one.
COPIES = frozenset({"clone", "_to_copy"})
# What leaves parameters and numbers as they are.
KEEP = frozenset({"lift_fresh_copy", "detach", "detach_", "alias", "clone", "contiguous"})


def is_known(op: str) -> bool:
    """Return whether an operation of this name may be a layer."""
    return op.removesuffix(IN_PLACE) in OPERATIONS


def made(op: Operation) -> Made:
    """Return the layer that an operation is. Raises NotMappedError with the reason why not."""
    if not is_known(op.node.op):
        raise NotMappedError
    try:
        return OPERATIONS[op.node.op.removesuffix(IN_PLACE)](op)
    except (NotDrawnError, SnstatError) as error:  # or an option that no layer may have
        raise NotMappedError(str(error)) from None
