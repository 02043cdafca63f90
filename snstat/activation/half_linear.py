"""Activations of two half-lines: ReLU, leaky ReLU and the identity."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from snstat.activation.base import Activation, Asymptote, FloatArray, Parameter, coerced

LEAKY_SLOPE = 0.01


def _relu(x: FloatArray) -> FloatArray:
    return np.maximum(x, 0.0)


def _relu_derivative(x: FloatArray) -> FloatArray:
    return np.where(x > 0, 1.0, 0.0)


def leaky_relu_with(slope: float, name: str = "leaky_relu") -> Activation:
    """Return x for x > 0, slope·x otherwise; its default gain is that of He et al., equation 15."""

    def function(x: FloatArray) -> FloatArray:
        return np.where(x > 0, x, slope * x)

    return Activation(
        name,
        f"x if x > 0 else {slope:g}·x",
        "Maas, Hannun, Ng, Rectifier nonlinearities improve acoustic models (2013)",
        coerced(function),
        coerced(lambda x: np.where(x > 0, 1.0, slope)),
        kinks=(0.0,),
        slopes=(slope, 1.0),
        default_init="he_normal",
        default_gain=None if slope == LEAKY_SLOPE else math.sqrt(2.0 / (1.0 + slope * slope)),
        form=("half_linear", slope),
        parameters=(slope,),
    )


def _identity(x: FloatArray) -> FloatArray:
    return x.copy()


RELU = Activation(
    "relu",
    "max(x, 0)",
    "Nair, Hinton, Rectified linear units improve restricted Boltzmann machines (2010)",
    coerced(_relu),
    coerced(_relu_derivative),
    kinks=(0.0,),
    flat=((-math.inf, 0.0),),
    left=Asymptote(0.0, _relu),
    slopes=(0.0, 1.0),
    default_init="he_normal",
    form=("half_linear", 0.0),
    display="ReLU",
)
LEAKY_RELU = replace(
    leaky_relu_with(LEAKY_SLOPE),
    display="leaky ReLU",
    parameter=Parameter("slope", -1.0, 1.0, lambda _, slope, name: leaky_relu_with(slope, name)),
)
IDENTITY = Activation(
    "identity",
    "x",
    "Poole et al., arXiv:1606.05340",
    coerced(_identity),
    coerced(np.ones_like),
    slopes=(1.0, 1.0),
    odd=True,
    form=("half_linear", 1.0),
    aliases=("linear",),
)
