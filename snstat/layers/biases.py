"""Biases that a layer draws by itself, because its matrix does not add them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from snstat.layers.draw import Draw, Values
from snstat.layers.weights import Weights

# Uniform numbers that one bias is made from.
NUMBERS = 2


def biases(draw: Draw, count: int, weights: Weights, dtype: np.dtype[Any]) -> Values:
    """Return `count` biases with the distribution that `weights` says."""
    return biases_from(draw.uniform((NUMBERS, count)), weights).astype(dtype)


def biases_from(uniform: npt.NDArray[np.float64], weights: Weights) -> npt.NDArray[np.float64]:
    """Return biases (count,) from independent numbers, uniform on [0, 1), (NUMBERS, count)."""
    first, second = uniform
    if weights.bias_distribution == "uniform":
        found = math.sqrt(3.0) * (2.0 * first - 1.0)
    else:  # Box and Muller's; 1 − u is never 0
        found = np.sqrt(-2.0 * np.log1p(-first)) * np.cos(2.0 * math.pi * second)
    scaled: npt.NDArray[np.float64] = weights.bias_std * found
    return scaled
