"""The statistics of one tensor."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from snstat.engine.tensor import NOT_TOLD, Still, measure, square_norm
from snstat.results.module import Axes

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

Values = npt.NDArray[np.floating[Any]]

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


def measure_tensor(
    tensor: torch.Tensor, axes: Axes | None, batch: int, still: Still = NOT_TOLD
) -> tuple[bool, Values]:
    """Return whether a tensor is finite, and its statistics (see engine.tensor.measure)."""
    array, roles = array_of(tensor), None
    if axes is not None:
        array, roles = _split(array, axes, batch)
    return measure(array, roles, still)


def array_of(tensor: torch.Tensor) -> Values:
    """Return the values of a tensor: a view where it is float32 or float64 on the CPU."""
    tensor = tensor.detach().resolve_neg()
    if tensor.dtype not in (torch.float32, torch.float64):
        tensor = tensor.float()
    values: Values = tensor.cpu().numpy()
    return values


def square_of(tensor: torch.Tensor) -> float:
    """Return the sum of squares of a tensor."""
    return square_norm(array_of(tensor)) if tensor.numel() else 0.0


def still_of(module: nn.Module) -> Still:
    """Return where the derivative of an activation is 0, told by its values; NOT_TOLD for other
    modules, and for activations whose values do not tell."""
    found = STILL.get(type(module), NOT_TOLD)
    return found if isinstance(found, Still) else found(module)


def _split(array: Values, axes: Axes, batch: int) -> tuple[Values, str | None]:
    """Return an array whose axes have one meaning each, and their letters."""
    letters, shape = [], []
    for axis, size in enumerate(array.shape):
        if axis in axes.sample and axis in axes.position:
            if size % batch:
                return array, None
            letters += ["S", "P"]
            shape += [batch, size // batch]
        else:
            letters.append("S" if axis in axes.sample else "U" if axis in axes.unit else "P")
            shape.append(size)
    return array.reshape(shape), "".join(letters)
