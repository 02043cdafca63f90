"""Where the derivative of activation modules is 0, told by their values."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from torch import nn

from snstat.engine.tensor import NOT_TOLD, Still

# Where the derivative of tanh and of the logistic function is a hundredth of the largest.
_NEARLY_TANH = math.sqrt(0.99)
_NEARLY_LOGISTIC = (1.0 - _NEARLY_TANH) / 2.0
# A share that rounding in float32 may add to a limit.
_ROUNDED = 1.0 - 1e-6
_NEVER = Still(-math.inf, math.inf)


def _between(low: float, high: float) -> Still:
    """Return where a function is still that is linear between two values."""
    return Still(low, high, low, high)


def _elu(limit: float) -> Still:
    return Still(-limit * _ROUNDED, math.inf) if limit > 0.0 else NOT_TOLD


# Where the derivative of activations is 0, by their classes.
STILL: dict[type[nn.Module], Still | Callable[[Any], Still]] = {
    nn.ReLU: Still(0.0, math.inf),
    nn.ReLU6: _between(0.0, 6.0),
    nn.Hardtanh: lambda module: _between(module.min_val, module.max_val),
    nn.Hardsigmoid: _between(0.0, 1.0),
    nn.Tanh: Still(-1.0, 1.0, -_NEARLY_TANH, _NEARLY_TANH),
    nn.Sigmoid: Still(0.0, 1.0, _NEARLY_LOGISTIC, 1.0 - _NEARLY_LOGISTIC),
    nn.SELU: _elu(1.7580993408473766),
    nn.ELU: lambda module: _elu(module.alpha),
    nn.CELU: lambda module: _elu(module.alpha),
    nn.Softplus: Still(0.0, math.inf),
    nn.LeakyReLU: lambda module: _NEVER if module.negative_slope else Still(0.0, math.inf),
}


def still_of(module: nn.Module) -> Still:
    """Return where the derivative of an activation is 0, told by its values; NOT_TOLD for other
    modules, and for activations whose values do not tell."""
    found = STILL.get(type(module), NOT_TOLD)
    return found if isinstance(found, Still) else found(module)
