"""Smooth activations: variants of SiLU and GELU, and softsign."""

from __future__ import annotations

import math

import numpy as np

from snstat.activation.base import Activation, Asymptote, FloatArray, coerced
from snstat.activation.logistic import EXPONENTIAL_RANGE, expit

# Beyond this argument the tails of gelu_tanh underflow to 0.
_CUBIC_RANGE = 60.0
_ROOT, _CUBIC = math.sqrt(2.0 / math.pi), 0.044715


def _mish_parts(x: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return t = tanh(ln(1 + eˣ)), its derivative, and e^−|x|, without cancellation."""
    e = np.exp(-np.minimum(np.abs(x), EXPONENTIAL_RANGE))
    # tanh(ln u) = (u² − 1)/(u² + 1), in powers of e^−|x|.
    top = np.where(x < 0, e * (e + 2.0), 1.0 + 2.0 * e)
    bottom = np.where(x < 0, top + 2.0, 1.0 + 2.0 * e + 2.0 * e * e)
    slope = 4.0 * (1.0 + e) * np.where(x < 0, e, e * e) / (bottom * bottom)
    return top / bottom, slope, e


def _mish(x: FloatArray) -> FloatArray:
    return np.maximum(x, -EXPONENTIAL_RANGE) * _mish_parts(x)[0]


def _mish_derivative(x: FloatArray) -> FloatArray:
    value, slope, _ = _mish_parts(x)
    return value + np.clip(x, -EXPONENTIAL_RANGE, EXPONENTIAL_RANGE) * slope


def _mish_curvature(x: FloatArray) -> FloatArray:
    # With t = tanh s, s' = σ: t' = (1 − t²)σ and t'' = t'(1 − σ − 2tσ).
    value, slope, _ = _mish_parts(x)
    share = expit(x)
    bounded = np.clip(x, -EXPONENTIAL_RANGE, EXPONENTIAL_RANGE)
    return slope * (2.0 + bounded * (1.0 - share - 2.0 * value * share))


def _inner(x: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return 2y of gelu_tanh, φ = x·σ(2y), with its first two derivatives."""
    x = np.clip(x, -_CUBIC_RANGE, _CUBIC_RANGE)
    return (
        2.0 * _ROOT * x * (1.0 + _CUBIC * x * x),
        2.0 * _ROOT * (1.0 + 3.0 * _CUBIC * x * x),
        12.0 * _ROOT * _CUBIC * x,
    )


def _gelu_tanh(x: FloatArray) -> FloatArray:
    return np.maximum(x, -_CUBIC_RANGE) * expit(_inner(x)[0])


def _gelu_tanh_derivative(x: FloatArray) -> FloatArray:
    y, slope, _ = _inner(x)
    bounded = np.clip(x, -_CUBIC_RANGE, _CUBIC_RANGE)
    return expit(y) * (1.0 + bounded * slope * expit(-y))


def _gelu_tanh_curvature(x: FloatArray) -> FloatArray:
    y, slope, bend = _inner(x)
    bounded = np.clip(x, -_CUBIC_RANGE, _CUBIC_RANGE)
    share = expit(y) * expit(-y)
    return share * (2.0 * slope + bounded * (bend - slope * slope * np.tanh(y / 2.0)))


def _softsign(x: FloatArray) -> FloatArray:
    bounded = np.clip(x, -1e300, 1e300)
    return bounded / (1.0 + np.abs(bounded))


def _softsign_above_left(x: FloatArray) -> FloatArray:
    return np.where(x < 0, 1.0 / (1.0 + np.abs(x)), 1.0 + _softsign(x))


MISH = Activation(
    "mish",
    "x·tanh(log(1 + exp(x)))",
    "Misra, arXiv:1908.08681",
    coerced(_mish),
    coerced(_mish_derivative),
    coerced(_mish_curvature),
    left=Asymptote(0.0, _mish),
    slopes=(0.0, 1.0),
    pole_distance=0.75 * math.pi,
    display="Mish",
)
GELU_TANH = Activation(
    "gelu_tanh",
    "x/2·(1 + tanh(√(2/π)·(x + 0.044715·x³)))",
    "Hendrycks, Gimpel, arXiv:1606.08415",
    coerced(_gelu_tanh),
    coerced(_gelu_tanh_derivative),
    coerced(_gelu_tanh_curvature),
    left=Asymptote(0.0, _gelu_tanh),
    slopes=(0.0, 1.0),
    # Of the roots of 2y = iπ(2k + 1), x = ±0.634 + 2.755i are nearest to the real line.
    pole_distance=2.7547,
    display="GELU (tanh)",
)
SOFTSIGN = Activation(
    "softsign",
    "x/(1 + |x|)",
    "Bergstra, Desjardins, Lamblin, Bengio, Quadratic polynomials learn better (2009)",
    coerced(_softsign),
    coerced(lambda x: (1.0 / (1.0 + np.minimum(np.abs(x), 1e150))) ** 2),
    coerced(lambda x: -2.0 * np.sign(x) / (1.0 + np.minimum(np.abs(x), 1e100)) ** 3),
    kinks=(0.0,),
    left=Asymptote(-1.0, _softsign_above_left),
    right=Asymptote(1.0, lambda x: -_softsign_above_left(-x)),
    odd=True,
    tail=True,
    # Glorot, Bengio (2010) derive their scheme for it.
    default_init="glorot_uniform",
)
