"""The number of each activation in the kernels, and the constants of their formulas."""

from __future__ import annotations

from typing import NamedTuple

SELU, RELU, LEAKY_RELU, ELU, GELU, SILU = 0, 1, 2, 3, 4, 5
TANH, SIGMOID, SOFTPLUS, ERF, HARD_TANH, IDENTITY = 6, 7, 8, 9, 10, 11
MISH, GELU_TANH, SOFTSIGN, RELU6 = 12, 13, 14, 15
HARD_SIGMOID, HARD_SWISH, RELU_SQUARED, SINE = 16, 17, 18, 19
# Families with a parameter other than the default.
LEAKY, SCALED_ELU, SCALED_SILU, SCALED_SOFTPLUS, CLIP = 20, 21, 22, 23, 24


class Code(NamedTuple):
    """An activation as kernels take it: its number, and its parameters if it has any."""

    number: int
    parameter: float = 0.0


CODES = {
    "selu": Code(SELU),
    "relu": Code(RELU),
    "leaky_relu": Code(LEAKY_RELU),
    "elu": Code(ELU),
    "gelu": Code(GELU),
    "silu": Code(SILU),
    "tanh": Code(TANH),
    "sigmoid": Code(SIGMOID),
    "softplus": Code(SOFTPLUS),
    "erf": Code(ERF),
    "hard_tanh": Code(HARD_TANH),
    "identity": Code(IDENTITY),
    "mish": Code(MISH),
    "gelu_tanh": Code(GELU_TANH),
    "softsign": Code(SOFTSIGN),
    "relu6": Code(RELU6),
    "hard_sigmoid": Code(HARD_SIGMOID),
    "hard_swish": Code(HARD_SWISH),
    "relu_squared": Code(RELU_SQUARED),
    "sine": Code(SINE, 1.0),
}
# Families that take a parameter.
FAMILIES = {
    "leaky_relu": LEAKY,
    "elu": SCALED_ELU,
    "silu": SCALED_SILU,
    "softplus": SCALED_SOFTPLUS,
    "hard_tanh": CLIP,
    "sine": SINE,
}

SELU_ALPHA = 1.6732632423543772848170429916717
SELU_LAMBDA = 1.0507009873554804934193349852946
LEAKY_SLOPE = 0.01
# gelu_tanh is x·σ(ROOT_8_PI·(x + CUBIC·x³)).
ROOT_8_PI, CUBIC = 1.5957691216057308, 0.044715


def code_of(name: str, parameters: tuple[float, ...]) -> Code:
    """Return the code of the activation called `name`, with its parameters."""
    family, mark, _ = name.partition(":")
    return Code(FAMILIES[family], *parameters) if mark else CODES[name]
