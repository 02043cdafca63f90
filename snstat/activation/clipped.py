"""Activations built from ReLU: clipped and squared."""

from __future__ import annotations

import math

import numpy as np

from snstat.activation.base import Activation, Asymptote, FloatArray, Parameter, coerced
from snstat.activation.scaled import by_inverse

_MOBILE = "Howard et al., Searching for MobileNetV3, arXiv:1905.02244"


def _relu6(x: FloatArray) -> FloatArray:
    return np.clip(x, 0.0, 6.0)


def _hard_sigmoid(x: FloatArray) -> FloatArray:
    return np.clip(x + 3.0, 0.0, 6.0) / 6.0


def _hard_swish(x: FloatArray) -> FloatArray:
    return np.maximum(x, -3.0) * _hard_sigmoid(x)


def _hard_swish_derivative(x: FloatArray) -> FloatArray:
    inside = np.clip(x, -3.0, 3.0) / 3.0 + 0.5
    return np.where(x <= -3.0, 0.0, np.where(x < 3.0, inside, 1.0))


def _relu_squared(x: FloatArray) -> FloatArray:
    with np.errstate(over="ignore"):
        return np.maximum(x, 0.0) ** 2


def _relu_squared_derivative(x: FloatArray) -> FloatArray:
    with np.errstate(over="ignore"):
        return np.where(x > 0.0, 2.0 * x, 0.0)


def _hard_tanh(x: FloatArray) -> FloatArray:
    return np.clip(x, -1.0, 1.0)


def _hard_tanh_derivative(x: FloatArray) -> FloatArray:
    return np.where(np.abs(x) < 1.0, 1.0, 0.0)


HARD_TANH = Activation(
    "hard_tanh",
    "min(max(x, −1), 1)",
    "Collobert, Large scale machine learning (2004)",
    coerced(_hard_tanh),
    coerced(_hard_tanh_derivative),
    kinks=(-1.0, 1.0),
    flat=((-math.inf, -1.0), (1.0, math.inf)),
    left=Asymptote(-1.0, lambda x: np.clip(x + 1.0, 0.0, 2.0)),
    right=Asymptote(1.0, lambda x: np.clip(x - 1.0, -2.0, 0.0)),
    odd=True,
    form=("clip", 1.0),
    parameters=(1.0,),
    display="hard tanh",
    parameter=Parameter("bound", 1e-3, 1e3, by_inverse),
)
RELU6 = Activation(
    "relu6",
    "min(max(x, 0), 6)",
    "Krizhevsky, Convolutional deep belief networks on CIFAR-10 (2010)",
    coerced(_relu6),
    coerced(lambda x: np.where((x > 0.0) & (x < 6.0), 1.0, 0.0)),
    kinks=(0.0, 6.0),
    flat=((-math.inf, 0.0), (6.0, math.inf)),
    left=Asymptote(0.0, _relu6),
    right=Asymptote(6.0, lambda x: np.clip(x - 6.0, -6.0, 0.0)),
    default_init="he_normal",
    form=("clipped_relu", 6.0),
    display="ReLU6",
)
HARD_SIGMOID = Activation(
    "hard_sigmoid",
    "min(max(x + 3, 0), 6)/6",
    _MOBILE,
    coerced(_hard_sigmoid),
    coerced(lambda x: np.where(np.abs(x) < 3.0, 1.0 / 6.0, 0.0)),
    kinks=(-3.0, 3.0),
    flat=((-math.inf, -3.0), (3.0, math.inf)),
    left=Asymptote(0.0, _hard_sigmoid),
    right=Asymptote(1.0, lambda x: np.clip(x - 3.0, -6.0, 0.0) / 6.0),
    form=("ramp", 3.0, 1.0 / 6.0),
    display="hard sigmoid",
)
HARD_SWISH = Activation(
    "hard_swish",
    "x·min(max(x + 3, 0), 6)/6",
    _MOBILE,
    coerced(_hard_swish),
    coerced(_hard_swish_derivative),
    coerced(lambda x: np.where(np.abs(x) < 3.0, 1.0 / 3.0, 0.0)),
    kinks=(-3.0, 3.0),
    flat=((-math.inf, -3.0),),
    left=Asymptote(0.0, _hard_swish),
    slopes=(0.0, 1.0),
    form=("hard_swish", 3.0),
    display="hard swish",
)
RELU_SQUARED = Activation(
    "relu_squared",
    "max(x, 0)²",
    "So et al., Primer, arXiv:2109.08668",
    coerced(_relu_squared),
    coerced(_relu_squared_derivative),
    coerced(lambda x: np.where(x > 0.0, 2.0, 0.0)),
    kinks=(0.0,),
    flat=((-math.inf, 0.0),),
    left=Asymptote(0.0, _relu_squared),
    slopes=(0.0, math.inf),
    default_init="he_normal",
    form=("squared",),
    display="squared ReLU",
)
