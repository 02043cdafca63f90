"""Where the derivative of activation modules is 0, told by their values."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from torch import nn

from snstat.engine.tensor import NOT_TOLD, Still
from snstat.sources.calls.still import (
    NAMED,
    RELU,
    SELU_LIMIT,
    SIGMOID,
    SOFTSIGN,
    TANH,
    between,
    elu,
)
from snstat.sources.torch.called import Called, Function

_NEVER = Still(-math.inf, math.inf)

# Where the derivative of activations is 0, by their classes.
STILL: dict[type[nn.Module], Still | Callable[[Any], Still]] = {
    nn.ReLU: RELU,
    nn.ReLU6: between(0.0, 6.0),
    nn.Hardtanh: lambda module: between(module.min_val, module.max_val),
    nn.Hardsigmoid: between(0.0, 1.0),
    nn.Tanh: TANH,
    nn.Sigmoid: SIGMOID,
    nn.Softsign: SOFTSIGN,
    nn.SELU: elu(SELU_LIMIT),
    nn.ELU: lambda module: elu(module.alpha),
    nn.CELU: lambda module: elu(module.alpha),
    nn.Softplus: RELU,
    nn.LeakyReLU: lambda module: _NEVER if module.negative_slope else RELU,
}


# Functions whose arguments change nothing of this; those that end in _ change what they are given.
FUNCTIONS = frozenset({"relu", "relu6", "tanh", "sigmoid", "softsign", "selu"})


def still_of(module: Called) -> Still:
    """Return where the derivative of an activation is 0, told by its values; NOT_TOLD for other
    modules, and for activations whose values do not tell."""
    if isinstance(module, Function):
        name = module.original_name.removesuffix("_")
        return NAMED[name] if name in FUNCTIONS else NOT_TOLD
    found = STILL.get(type(module), NOT_TOLD)
    return found if isinstance(found, Still) else found(module)
