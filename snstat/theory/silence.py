"""The probability that a whole layer outputs 0 for every sample, so that the signal is lost.

A unit of a layer of width n is 0 for a whole batch with probability D (the orthant probability of
`dead`). Given the activations before it, the units of a layer are independent. All of them are 0
with probability Dⁿ, so some layer from 1 to l is silent with probability 1 − Π(1 − Dⁿ).

With one sample D is 1/2 for ReLU in any network, so the formula is exact. With more samples D is
that of infinite width, where samples become alike more slowly than in a narrow network, so the
result is too low. One sample alone is 0 at least as often as all of them are, so 1 − Π(1 − 2⁻ⁿ) is
an upper bound.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from snstat.activation import Activation, resolve
from snstat.gaussian.dead import dead_fraction
from snstat.gaussian.quadrature import FloatArray
from snstat.network.stack import Stack
from snstat.results import BoolArray
from snstat.theory.by_layer import activations_of, by_layer, units
from snstat.theory.prediction import Prediction

# Probabilities below this count as 0.
NEGLIGIBLE = 1e-12
# What has probability ½ under any symmetric law.
_HALF_LINES = (((-math.inf, 0.0),), ((0.0, math.inf),))


@dataclass(frozen=True, slots=True, eq=False)
class Silence:
    """Probabilities that some layer up to this one outputs 0 for every sample.

    Both are arrays (depth + 1,). `share` is that of wide layers, exact for one sample of ReLU, NaN
    where theory is missing. `most` is an upper bound at any width. `lasting` tells whether all
    later layers are then 0 too, as without biases where φ(0) = 0. Otherwise all samples are equal
    from that layer on.
    """

    share: FloatArray
    most: FloatArray
    lasting: bool


def silence(stack: Stack, batch: int, prediction: Prediction) -> Silence:
    """Return the probability that networks of `stack` are silent for a batch of `batch` samples.

    `prediction` covers at least the layers of the stack. Both probabilities are 0 for activations
    that are exactly 0 only at single points. `share` is 0 where `most` is negligible.
    """
    at_zero = float(resolve(stack.repeated.activation).function(np.zeros(())))
    biased = bool(np.nansum(by_layer(stack, lambda layer: layer.bias_std)) > 0)
    lasting = not biased and at_zero == 0
    half, widths = np.zeros(stack.depth + 1), units(stack)
    for name, layers in activations_of(stack):
        resting = _where_zero(resolve(name))
        # A half-line that ends at 0 has probability ½ under any symmetric law, others have less.
        one_sided = all(high <= 0 for _, high in resting) or all(low >= 0 for low, _ in resting)
        half[layers] = (0.5 if one_sided else 1.0) if resting else 0.0
    most = _accumulated(half, widths)
    if most[-1] <= NEGLIGIBLE:
        return Silence(np.zeros(stack.depth + 1), most, lasting)
    dead = np.zeros(stack.depth + 1)
    for name, layers in activations_of(stack):
        activation = resolve(name)
        resting = _where_zero(activation)
        if resting:
            dead[layers] = prediction.statistics["dead_fraction"][layers]
            if resting != activation.flat:
                zero = replace(activation, flat=resting)
                q, apart = prediction.pre_second_moment[layers], prediction.misalignment[layers]
                dead[layers] = dead_fraction(zero, q, apart, batch)
    return Silence(_accumulated(dead, widths), most, lasting)


def dead_with_silence(
    stack: Stack, batch: int, prediction: Prediction, dead: FloatArray, neglected: FloatArray
) -> tuple[FloatArray, FloatArray, BoolArray]:
    """Return the expected dead fraction, its residual and whether they are trusted, with silent
    networks included.

    `dead` and `neglected`, both (depth + 1,), are those of a network whose previous layer is not
    silent. In a silent network all units are dead if φ'(0) = 0 and none if not. Where silence does
    not last, its probability counts as neglected, and narrow networks are not trusted.
    """
    found = silence(stack, batch, prediction)
    before, most = (np.concatenate([[0.0], array[:-1]]) for array in (found.share, found.most))
    at_rest = np.zeros(stack.depth + 1)
    for name, layers in activations_of(stack):
        at_rest[layers] = float(resolve(name).derivative(np.zeros(())) == 0)
    if not found.lasting:
        return dead, neglected + most * np.maximum(dead, 1.0 - dead), most <= NEGLIGIBLE
    expected = dead + before * (at_rest - dead)
    error = neglected + np.maximum(most - before, 0.0) * np.abs(at_rest - dead)
    return expected, error, np.full(dead.shape, fill_value=True)


def zero_samples(stack: Stack, theory: FloatArray) -> FloatArray:
    """Return the expected share of samples that are 0 in every layer, (depth + 1,), NaN where it is
    not known exactly. At infinite width it is `theory`.

    A unit of ReLU is 0 for one sample with probability ½ in any network without biases, whatever
    the other samples, and what is 0 stays 0.
    """
    half = np.zeros(stack.depth + 1)
    exact = not np.nansum(by_layer(stack, lambda layer: layer.bias_std)) > 0
    for name, layers in activations_of(stack):
        activation = resolve(name)
        resting = _where_zero(activation)
        half[layers] = 0.5 if resting else 0.0
        at_zero = float(activation.function(np.zeros(())))
        one_sided = resting in ((), *_HALF_LINES)
        exact = exact and one_sided and at_zero == 0 and not activation.custom
    if not exact:
        return np.full(stack.depth + 1, math.nan)
    gone = _accumulated(half, units(stack))
    return theory + (1.0 - theory) * gone


def always_half(activation: Activation) -> bool:
    """Return whether a unit is dead for one sample with probability 1/2 in any network."""
    return activation.flat in _HALF_LINES


def _where_zero(activation: Activation) -> tuple[tuple[float, float], ...]:
    """Return the flat intervals on which φ is 0."""
    found = []
    for low, high in activation.flat:
        inside = high - 1.0 if low == -math.inf else low + 1.0 if high == math.inf else low
        if float(activation.function(np.array(inside))) == 0:
            found.append((low, high))
    return tuple(found)


def _accumulated(units: FloatArray, widths: FloatArray) -> FloatArray:
    """Return 1 − Π(1 − units^width) over the layers up to each layer, (depth + 1,)."""
    with np.errstate(divide="ignore", under="ignore"):
        gone: FloatArray = -np.expm1(np.cumsum(np.log1p(-(units**widths))))
    return gone
