"""What the kernels call each activation, and the constants of their formulas."""

from __future__ import annotations

SELU, RELU, LEAKY_RELU, ELU, GELU, SILU = 0, 1, 2, 3, 4, 5
TANH, SIGMOID, SOFTPLUS, ERF, HARD_TANH, IDENTITY = 6, 7, 8, 9, 10, 11
CODES = {
    "selu": SELU,
    "relu": RELU,
    "leaky_relu": LEAKY_RELU,
    "elu": ELU,
    "gelu": GELU,
    "silu": SILU,
    "tanh": TANH,
    "sigmoid": SIGMOID,
    "softplus": SOFTPLUS,
    "erf": ERF,
    "hard_tanh": HARD_TANH,
    "identity": IDENTITY,
}

SELU_ALPHA = 1.6732632423543772848170429916717
SELU_LAMBDA = 1.0507009873554804934193349852946
LEAKY_SLOPE = 0.01
