"""Activations made of the logistic function: sigmoid, tanh, softplus and SiLU."""

from __future__ import annotations

import math

import numpy as np

from snstat.activation.base import Activation, Asymptote, FloatArray, Parameter, coerced
from snstat.activation.scaled import by_factor
from snstat.values.special import special

# Beyond these arguments exp(−|x|) underflows to 0.
EXPONENTIAL_RANGE = 800.0


def expit(x: FloatArray) -> FloatArray:
    """Return 1/(1 + e^−x)."""
    result: FloatArray = special("expit")(x)
    return result


def _silu(x: FloatArray) -> FloatArray:
    return np.maximum(x, -EXPONENTIAL_RANGE) * expit(x)


def _silu_derivative(x: FloatArray) -> FloatArray:
    bounded = np.clip(x, -EXPONENTIAL_RANGE, EXPONENTIAL_RANGE)
    return expit(x) * (1.0 + bounded * expit(-x))


def _silu_curvature(x: FloatArray) -> FloatArray:
    bounded = np.clip(x, -EXPONENTIAL_RANGE, EXPONENTIAL_RANGE)
    return _sigmoid_derivative(x) * (2.0 - bounded * np.tanh(bounded / 2.0))


def _tanh_derivative(x: FloatArray) -> FloatArray:
    doubled = 2.0 * np.clip(x, -EXPONENTIAL_RANGE, EXPONENTIAL_RANGE)
    return 4.0 * expit(doubled) * expit(-doubled)


def _tanh_above_left(x: FloatArray) -> FloatArray:
    return 2.0 * expit(2.0 * np.clip(x, -EXPONENTIAL_RANGE, EXPONENTIAL_RANGE))


def _sigmoid_derivative(x: FloatArray) -> FloatArray:
    return expit(x) * expit(-x)


def _softplus(x: FloatArray) -> FloatArray:
    return np.logaddexp(0.0, x)


SILU = Activation(
    "silu",
    "x/(1 + exp(−x))",
    "Elfwing, Uchibe, Doya, arXiv:1702.03118",
    coerced(_silu),
    coerced(_silu_derivative),
    coerced(_silu_curvature),
    left=Asymptote(0.0, _silu),
    slopes=(0.0, 1.0),
    pole_distance=math.pi,
    parameters=(1.0,),
    display="SiLU",
    aliases=("swish",),
    parameter=Parameter("beta", 1e-3, 1e3, by_factor),
)
TANH = Activation(
    "tanh",
    "tanh(x)",
    "LeCun, Bottou, Orr, Müller, Efficient BackProp (1998)",
    coerced(np.tanh),
    coerced(_tanh_derivative),
    coerced(lambda x: -2.0 * np.tanh(x) * _tanh_derivative(x)),
    left=Asymptote(-1.0, _tanh_above_left),
    right=Asymptote(1.0, lambda x: -_tanh_above_left(-x)),
    pole_distance=math.pi / 2.0,
    odd=True,
)
SIGMOID = Activation(
    "sigmoid",
    "1/(1 + exp(−x))",
    "Rumelhart, Hinton, Williams, Learning representations by back-propagating errors (1986)",
    coerced(expit),
    coerced(_sigmoid_derivative),
    coerced(lambda x: -np.tanh(x / 2.0) * _sigmoid_derivative(x)),
    left=Asymptote(0.0, expit),
    right=Asymptote(1.0, lambda x: -expit(-x)),
    pole_distance=math.pi,
)
SOFTPLUS = Activation(
    "softplus",
    "log(1 + exp(x))",
    "Dugas et al., Incorporating second-order functional knowledge (2001)",
    coerced(_softplus),
    coerced(expit),
    coerced(_sigmoid_derivative),
    left=Asymptote(0.0, _softplus),
    slopes=(0.0, 1.0),
    pole_distance=math.pi,
    parameters=(1.0,),
    parameter=Parameter("beta", 1e-3, 1e3, by_factor),
)
