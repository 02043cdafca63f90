"""The activations in PyTorch, by the names that snstat has for them."""

from __future__ import annotations

import torch
from torch.nn import functional

TORCH = {
    "selu": functional.selu,
    "relu": functional.relu,
    "leaky_relu": functional.leaky_relu,
    "elu": functional.elu,
    "gelu": functional.gelu,
    "silu": functional.silu,
    "tanh": torch.tanh,
    "sigmoid": torch.sigmoid,
    "softplus": functional.softplus,
    "erf": torch.erf,
    "hard_tanh": functional.hardtanh,
    "identity": torch.nn.Identity(),
    "mish": functional.mish,
    "gelu_tanh": lambda x: functional.gelu(x, approximate="tanh"),
    "softsign": functional.softsign,
    "relu6": functional.relu6,
    # In double precision too, hardsigmoid's derivative is 1/6 rounded to single precision.
    "hard_sigmoid": lambda x: (
        functional.relu6(x + 3) / 6 if x.dtype == torch.float64 else functional.hardsigmoid(x)
    ),
    "hard_swish": functional.hardswish,
    "relu_squared": lambda x: functional.relu(x) ** 2,
    "sine": torch.sin,
    "leaky_relu:0.2": lambda x: functional.leaky_relu(x, 0.2),
    "silu:4": lambda x: x * torch.sigmoid(4 * x),
    "sine:30": lambda x: torch.sin(30 * x),
    "elu:0.5": lambda x: functional.elu(x, 0.5),
    "softplus:0.5": lambda x: functional.softplus(x, beta=0.5, threshold=100),
    "hard_tanh:2": lambda x: functional.hardtanh(x, -2.0, 2.0),
}
