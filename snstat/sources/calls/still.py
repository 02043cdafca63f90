"""Where the derivative of activations is 0, told by their values and their names."""

from __future__ import annotations

import math
from types import MappingProxyType

from snstat.engine.tensor import NOT_TOLD, Still

# Where the derivative of tanh and of the logistic function is a hundredth of the largest.
_NEARLY_TANH = math.sqrt(0.99)
_NEARLY_LOGISTIC = (1.0 - _NEARLY_TANH) / 2.0
# A share that rounding in float32 may add to a limit.
_ROUNDED = 1.0 - 1e-6
SELU_LIMIT = 1.7580993408473766


def between(low: float, high: float) -> Still:
    """Return where a function is still that is linear between two values."""
    return Still(low, high, low, high)


def elu(limit: float) -> Still:
    """Return where a function is still that falls to -`limit`."""
    return Still(-limit * _ROUNDED, math.inf) if limit > 0.0 else NOT_TOLD


RELU = Still(0.0, math.inf)
TANH = Still(-1.0, 1.0, -_NEARLY_TANH, _NEARLY_TANH)
# That of softsign is (1 − |y|)², and its values reach ±1 by rounding alone.
SOFTSIGN = Still(-math.inf, math.inf, -0.9, 0.9)
SIGMOID = Still(0.0, 1.0, _NEARLY_LOGISTIC, 1.0 - _NEARLY_LOGISTIC)
# Those without parameters, and with the usual ones, by their names in small letters.
NAMED = MappingProxyType(
    {
        "relu": RELU,
        "relu6": between(0.0, 6.0),
        "tanh": TANH,
        "sigmoid": SIGMOID,
        "softsign": SOFTSIGN,
        "selu": elu(SELU_LIMIT),
        "elu": elu(1.0),
        "softplus": RELU,
    }
)
