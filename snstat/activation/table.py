"""The activations: one table from name to function, derivative, structure and citation.

No argument gives NaN, not even ±inf: the exponential of a branch is evaluated on arguments clipped
to that branch, never multiplied by a mask (0·inf is NaN). At a kink the derivative is the one of
PyTorch's backward pass.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import MappingProxyType

import numpy as np

from snstat.activation.base import Activation, Asymptote, FloatArray, coerced
from snstat.activation.clipped import CLIPPED
from snstat.activation.sine import sine_with
from snstat.activation.smooth import SMOOTH
from snstat.values.special import special

# Klambauer et al., arXiv:1706.02515: (mean, variance) = (0, 1) is a fixed point.
ALPHA = 1.6732632423543772848170429916717
LAMBDA = 1.0507009873554804934193349852946
LEAKY_SLOPE = 0.01

# Beyond these arguments exp(-|x|) and exp(-x²/2) underflow to 0.
_EXPONENTIAL_RANGE = 800.0
_GAUSSIAN_RANGE = 40.0


def _expit(x: FloatArray) -> FloatArray:
    result: FloatArray = special("expit")(x)
    return result


def _ndtr(x: FloatArray) -> FloatArray:
    result: FloatArray = special("ndtr")(x)
    return result


def _erf(x: FloatArray) -> FloatArray:
    result: FloatArray = special("erf")(x)
    return result


def _erfc(x: FloatArray) -> FloatArray:
    result: FloatArray = special("erfc")(x)
    return result


def selu_with(
    alpha: float,
    scale: float,
    name: str = "selu",
    citation: str = "",
    parameters: tuple[float, ...] = (),
) -> Activation:
    """Return SELU with other parameters: scale·x for x > 0, scale·alpha·(eˣ − 1) otherwise."""
    floor = scale * alpha

    def function(x: FloatArray) -> FloatArray:
        return np.where(x > 0, scale * x, floor * np.expm1(np.minimum(x, 0.0)))

    def derivative(x: FloatArray) -> FloatArray:
        return np.where(x > 0, scale, floor * np.exp(np.minimum(x, 0.0)))

    def curvature(x: FloatArray) -> FloatArray:
        return np.where(x > 0, 0.0, floor * np.exp(np.minimum(x, 0.0)))

    def residual(x: FloatArray) -> FloatArray:
        return np.where(x > 0, scale * x + floor, floor * np.exp(np.minimum(x, 0.0)))

    return Activation(
        name,
        f"{scale:.6g}·(x if x > 0 else {alpha:.6g}·(exp(x) − 1))",
        citation or "Klambauer et al., arXiv:1706.02515",
        coerced(function),
        coerced(derivative),
        coerced(curvature),
        kinks=(0.0,),
        left=Asymptote(-floor, residual),
        slopes=(0.0, scale),
        form=("exponential", alpha, scale),
        parameters=parameters,
    )


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


def elu_with(alpha: float, name: str = "elu") -> Activation:
    """Return x for x > 0, alpha·(eˣ − 1) otherwise."""
    citation = "Clevert, Unterthiner, Hochreiter, arXiv:1511.07289"
    return selu_with(alpha, 1.0, name, citation, (alpha,))


def _normal_density(x: FloatArray) -> FloatArray:
    x = np.clip(x, -_GAUSSIAN_RANGE, _GAUSSIAN_RANGE)
    density: FloatArray = np.exp(-0.5 * x * x) / math.sqrt(2.0 * math.pi)
    return density


def _gelu(x: FloatArray) -> FloatArray:
    return np.maximum(x, -_GAUSSIAN_RANGE) * _ndtr(x)


def _gelu_derivative(x: FloatArray) -> FloatArray:
    bounded = np.clip(x, -_GAUSSIAN_RANGE, _GAUSSIAN_RANGE)
    return _ndtr(x) + bounded * _normal_density(x)


def _gelu_curvature(x: FloatArray) -> FloatArray:
    x = np.clip(x, -_GAUSSIAN_RANGE, _GAUSSIAN_RANGE)
    return (2.0 - x * x) * _normal_density(x)


def _silu(x: FloatArray) -> FloatArray:
    return np.maximum(x, -_EXPONENTIAL_RANGE) * _expit(x)


def _silu_derivative(x: FloatArray) -> FloatArray:
    bounded = np.clip(x, -_EXPONENTIAL_RANGE, _EXPONENTIAL_RANGE)
    return _expit(x) * (1.0 + bounded * _expit(-x))


def _silu_curvature(x: FloatArray) -> FloatArray:
    bounded = np.clip(x, -_EXPONENTIAL_RANGE, _EXPONENTIAL_RANGE)
    return _sigmoid_derivative(x) * (2.0 - bounded * np.tanh(bounded / 2.0))


def _tanh_derivative(x: FloatArray) -> FloatArray:
    doubled = 2.0 * np.clip(x, -_EXPONENTIAL_RANGE, _EXPONENTIAL_RANGE)
    return 4.0 * _expit(doubled) * _expit(-doubled)


def _tanh_above_left(x: FloatArray) -> FloatArray:
    return 2.0 * _expit(2.0 * np.clip(x, -_EXPONENTIAL_RANGE, _EXPONENTIAL_RANGE))


def _sigmoid_derivative(x: FloatArray) -> FloatArray:
    return _expit(x) * _expit(-x)


def _softplus(x: FloatArray) -> FloatArray:
    return np.logaddexp(0.0, x)


def _erf_derivative(x: FloatArray) -> FloatArray:
    x = np.clip(x, -_GAUSSIAN_RANGE, _GAUSSIAN_RANGE)
    derivative: FloatArray = 2.0 / math.sqrt(math.pi) * np.exp(-x * x)
    return derivative


def _hard_tanh(x: FloatArray) -> FloatArray:
    return np.clip(x, -1.0, 1.0)


def _hard_tanh_derivative(x: FloatArray) -> FloatArray:
    return np.where(np.abs(x) < 1.0, 1.0, 0.0)


def _identity(x: FloatArray) -> FloatArray:
    return x.copy()


_MEAN_FIELD = "Poole et al., arXiv:1606.05340"

_ENTRIES = (
    selu_with(ALPHA, LAMBDA),
    Activation(
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
    ),
    leaky_relu_with(LEAKY_SLOPE),
    elu_with(1.0),
    Activation(
        "gelu",
        "x·Φ(x), Φ the normal distribution function",
        "Hendrycks, Gimpel, arXiv:1606.08415",
        coerced(_gelu),
        coerced(_gelu_derivative),
        coerced(_gelu_curvature),
        left=Asymptote(0.0, _gelu),
        slopes=(0.0, 1.0),
    ),
    Activation(
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
    ),
    Activation(
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
    ),
    Activation(
        "sigmoid",
        "1/(1 + exp(−x))",
        "Rumelhart, Hinton, Williams, Learning representations by back-propagating errors (1986)",
        coerced(_expit),
        coerced(_sigmoid_derivative),
        coerced(lambda x: -np.tanh(x / 2.0) * _sigmoid_derivative(x)),
        left=Asymptote(0.0, _expit),
        right=Asymptote(1.0, lambda x: -_expit(-x)),
        pole_distance=math.pi,
    ),
    Activation(
        "softplus",
        "log(1 + exp(x))",
        "Dugas et al., Incorporating second-order functional knowledge (2001)",
        coerced(_softplus),
        coerced(_expit),
        coerced(_sigmoid_derivative),
        left=Asymptote(0.0, _softplus),
        slopes=(0.0, 1.0),
        pole_distance=math.pi,
        parameters=(1.0,),
    ),
    Activation(
        "erf",
        "erf(x) = 2/√π ∫₀ˣ exp(−t²) dt",
        "Williams, Computing with infinite networks (1997)",
        coerced(_erf),
        coerced(_erf_derivative),
        coerced(lambda x: -2.0 * np.clip(x, -1e3, 1e3) * _erf_derivative(x)),
        left=Asymptote(-1.0, lambda x: _erfc(-x)),
        right=Asymptote(1.0, lambda x: -_erfc(x)),
        odd=True,
        form=("erf",),
    ),
    Activation(
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
    ),
    Activation(
        "identity",
        "x",
        _MEAN_FIELD,
        coerced(_identity),
        coerced(np.ones_like),
        slopes=(1.0, 1.0),
        odd=True,
        form=("half_linear", 1.0),
    ),
    *SMOOTH,
    *CLIPPED,
    sine_with(1.0),
)

ACTIVATIONS: Mapping[str, Activation] = MappingProxyType({entry.name: entry for entry in _ENTRIES})
