"""Activations made of the normal distribution function: GELU and erf."""

from __future__ import annotations

import math

import numpy as np

from snstat.activation.base import Activation, Asymptote, FloatArray, coerced
from snstat.values.special import special

# Beyond these arguments exp(−x²/2) underflows to 0.
_GAUSSIAN_RANGE = 40.0


def _ndtr(x: FloatArray) -> FloatArray:
    result: FloatArray = special("ndtr")(x)
    return result


def _erf(x: FloatArray) -> FloatArray:
    result: FloatArray = special("erf")(x)
    return result


def _erfc(x: FloatArray) -> FloatArray:
    result: FloatArray = special("erfc")(x)
    return result


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


def _erf_derivative(x: FloatArray) -> FloatArray:
    x = np.clip(x, -_GAUSSIAN_RANGE, _GAUSSIAN_RANGE)
    derivative: FloatArray = 2.0 / math.sqrt(math.pi) * np.exp(-x * x)
    return derivative


GELU = Activation(
    "gelu",
    "x·Φ(x), Φ the normal distribution function",
    "Hendrycks, Gimpel, arXiv:1606.08415",
    coerced(_gelu),
    coerced(_gelu_derivative),
    coerced(_gelu_curvature),
    left=Asymptote(0.0, _gelu),
    slopes=(0.0, 1.0),
    display="GELU",
)
ERF = Activation(
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
)
