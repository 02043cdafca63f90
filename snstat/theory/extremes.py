"""The largest absolute activation of a batch: about where it lies, and exactly of the input.

Of N independent values, k of which are expected beyond x, the largest is beyond x with probability
1 − e^−k. Where tails are as thin as those of a normal, the largest follows Gumbel's distribution,
whose mean is where k = e^−γ = 0.56. Fisher, Tippett, Limiting forms of the frequency distribution
of the largest or smallest member of a sample (1928).
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from snstat.activation import Activation, resolve
from snstat.gaussian.quadrature import FloatArray, composite
from snstat.network.stack import Stack
from snstat.results import InputMoments
from snstat.theory.by_layer import units
from snstat.values.special import special

# e^−γ: so many values are expected beyond the mean of the largest.
BEYOND = math.exp(-np.euler_gamma)
# Halvings of a bracket that is a fifth of its place wide: to a millionth.
_HALVINGS = 18
# Panels and points in each of the integral over the distribution of the largest input.
_PANELS, _POINTS, _HARDLY = 10, 20, 1e-18
_KURTOSIS_NORMAL, _KURTOSIS_UNIFORM = 3.0, 1.8


def largest_activation(
    stack: Stack, batch: int, inputs: InputMoments, q: FloatArray, shares: FloatArray
) -> FloatArray:
    """Return about the largest |activation| of a batch, (layers,), NaN where q is.

    `q` (layers, classes) is the second moment of the pre-activations of samples by their norm, of
    which there are `shares` (classes,); a class without a share is one sample. Values are taken for
    independent: of samples that are alike the largest is smaller. Of layer 0 it is the largest of
    data, of drawn inputs the mean of their largest.
    """
    values = np.maximum(shares * batch, 1.0)[None, :] * units(stack)[:, None]
    edge = _edge(q, np.maximum(values, 1.0))
    largest = np.full(len(q), math.nan)
    with np.errstate(over="ignore", invalid="ignore"):
        for first, count, layer in stack.equal_layers():
            part = slice(first, first + count)
            largest[part] = _highest(resolve(layer.activation), edge[part])
    largest[0] = _of_input(inputs, batch * stack.width_of(0))
    return largest


def _edge(q: FloatArray, values: FloatArray) -> FloatArray:
    """Return x with `BEYOND` of `values` N(0, `q`) expected beyond ±x, both (layers, classes)."""
    std = np.sqrt(q)
    alone = std * _beyond(np.minimum(BEYOND / values, 1.0))
    # Between the largest of any one class, and of all values had they the largest q.
    low: FloatArray = alone.max(axis=1)
    if q.shape[1] == 1:
        return low
    everything = values.sum(axis=1)
    high: FloatArray = std.max(axis=1) * _beyond(np.minimum(BEYOND / everything, 1.0))
    for _ in range(_HALVINGS):
        middle = 0.5 * (low + high)
        with np.errstate(divide="ignore", invalid="ignore"):
            beyond = np.where(std > 0, 2.0 * values * special("ndtr")(-middle[:, None] / std), 0.0)
        above = beyond.sum(axis=1) > BEYOND
        low, high = np.where(above, middle, low), np.where(above, high, middle)
    edge: FloatArray = 0.5 * (low + high)
    return edge


def _beyond(chance: npt.ArrayLike) -> FloatArray:
    """Return the x beyond ±x of which a standard normal number is with probability `chance`."""
    result: FloatArray = np.sqrt(2.0 * special("gammainccinv")(0.5, chance))
    return result


def _highest(activation: Activation, edge: FloatArray) -> FloatArray:
    """Return the largest |φ(x)| of all |x| ≤ `edge` (layers,): at an end, but for the sine."""
    sine = activation.formed("sine")
    if sine is not None:  # no larger beyond its first crest
        edge = np.minimum(edge, 0.5 * math.pi / sine[0])
    highest: FloatArray = np.maximum(np.abs(activation(edge)), np.abs(activation(-edge)))
    return highest


def _of_input(inputs: InputMoments, values: int) -> float:
    """Return the largest of data, else the mean of the largest of drawn inputs, or what is known
    to be no larger: their root mean square."""
    if not math.isnan(inputs.largest):
        return inputs.largest
    exact = largest_input(inputs, values)
    return math.sqrt(inputs.second_moment) if math.isnan(exact) else exact


def largest_input(inputs: InputMoments, values: int) -> float:
    """Return the mean of the largest of the absolute `values` drawn as `inputs`, exactly.

    E max = ∫ 1 − P(|x| < t)^N dt from 0 on. NaN of data, whose batches depend on chance, and of
    drawn values that are neither normal nor uniform.
    """
    mean, std = abs(inputs.mean), math.sqrt(inputs.variance)
    if not inputs.drawn or inputs.kurtosis not in (_KURTOSIS_NORMAL, _KURTOSIS_UNIFORM):
        return math.nan
    if std == 0:
        return mean
    if inputs.kurtosis == _KURTOSIS_UNIFORM:
        half = math.sqrt(3.0) * std
        both = max(1.0 - mean / half, 0.0) ** (values + 1)
        return mean + half - half * (2.0 - both) / (values + 1)
    # Below `low` hardly any largest is, beyond `high` no value.
    below = math.exp(math.log(_HARDLY) / values)
    sign = math.copysign(1.0, below - 0.5)
    low = max(mean + sign * std * float(_beyond(2.0 * min(below, 1.0 - below))), 0.0)
    high = mean + std * float(_beyond(2.0 * _HARDLY / values))
    t, weights = composite(np.linspace(low, high, _PANELS + 1), _POINTS)
    log_ndtr = special("log_ndtr")
    upper, lower = log_ndtr((t - mean) / std), log_ndtr((-t - mean) / std)
    logs = upper + np.log1p(-np.exp(lower - upper))
    return low + float(weights @ -np.expm1(values * logs))
