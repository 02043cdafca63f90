"""The exact law of an activation φ(z) of a Gaussian pre-activation: its density and its atoms.

At infinite width z ~ N(0, q). Where φ is constant on an interval, its value is an atom: ReLU is 0
with probability ½.
"""

from __future__ import annotations

import math

import numpy as np

from snstat.activation import Activation
from snstat.gaussian.quadrature import FloatArray
from snstat.values.special import special

# The number of cells of equal probability that the Gaussian is divided into. In a bin with
# probability p the relative error is about 1/(p · CELLS).
CELLS = 2**17


def atom_values(activation: Activation) -> tuple[float, ...]:
    """Return the values that φ takes on whole intervals, in ascending order without repeats."""
    return tuple(sorted({_level(activation, interval) for interval in activation.flat}))


def atom_probabilities(activation: Activation, q: float) -> FloatArray:
    """Return P(φ(z) = v) for the values v of `atom_values`, z ~ N(0, q)."""
    values = atom_values(activation)
    chances = np.zeros(len(values))
    scale = math.sqrt(q)
    for low, high in activation.flat:
        if scale > 0:
            below, above = special("ndtr")(np.array([low, high]) / scale)
        else:  # z is exactly 0
            below, above = 0.0, float(low <= 0.0 <= high)
        chances[values.index(_level(activation, (low, high)))] += above - below
    return chances


def law_density(activation: Activation, q: float, edges: FloatArray) -> FloatArray:
    """Return the density of φ(z), z ~ N(0, q), in bins with `edges` (bins + 1,), without atoms."""
    z = math.sqrt(q) * special("ndtri")((np.arange(CELLS) + 0.5) / CELLS)
    free = np.ones(CELLS, np.bool_)
    for low, high in activation.flat:
        free &= (z < low) | (z > high)
    counts = np.histogram(activation.function(z[free]), edges)[0]
    density: FloatArray = counts / CELLS / np.diff(edges)
    return density


def input_density(kind: str, mean: float, std: float, edges: FloatArray) -> FloatArray:
    """Return the density of drawn inputs, "normal" or "uniform", in the bins of `edges`."""
    if std == 0:
        return np.full(len(edges) - 1, math.nan)
    places = (edges - mean) / std
    if kind == "uniform":
        reach = math.sqrt(3.0)
        below = np.clip((places + reach) / (2.0 * reach), 0.0, 1.0)
    else:
        below = special("ndtr")(places)
    density: FloatArray = np.diff(below) / np.diff(edges)
    return density


def _level(activation: Activation, interval: tuple[float, float]) -> float:
    """Return the value of φ on a flat interval."""
    finite = [end for end in interval if math.isfinite(end)]
    return float(activation.function(np.array(sum(finite) / len(finite)))) + 0.0
