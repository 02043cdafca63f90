"""Fluctuations of the pre-activation second moment q of one network around infinite width.

Relative to q, layer by layer, to first order in 1/n for n units. λ is the share of the weights in q
(the rest comes from the biases), χ = q∂E[φ²]/E[φ²] and ψ = φ/√E[φ²]:

    variance             r' = λ²((E[ψ⁴] − 1)/n + χ² r)
    of pairs of samples  s' = λ²((E[ψ₁²ψ₂²] − 1)/n + χ² s)
    bias                 b' = λ(χ b + ½ q²∂²E[φ²]/E[φ²] (r + k))

k is a third of the fourth cumulant of a pre-activation over q² and accounts for weights that are
not Gaussian. A bound on the terms neglected in the bias, of order 1/n², is carried along:

    residual             e' = λ(|χ| e + ρ(E[φ²]) (r + |k|)²),

with the roughness ρ of `by_q.Derivatives`. Derived in docs/finite-width.md.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from snstat.gaussian.quadrature import FloatArray
from snstat.layers.dense import DenseLayer
from snstat.layers.initialisers import EXCESS
from snstat.network.stack import Stack
from snstat.results import InputMoments
from snstat.theory.layer_moments import ForwardMoments, Moments
from snstat.theory.predict import Prediction

# First order is not trusted where r exceeds this.
LARGEST_VARIANCE = 0.5
# Beyond this r, networks differ by orders of magnitude and nothing is computed.
ENDLESS = 4.0
# With a larger share of uniform biases in q, pre-activations are far from Gaussian.
_LARGEST_UNIFORM_SHARE = 0.25
# Differences of this size, relative to the state, are rounding.
_SETTLED = 1e-15


@dataclass(frozen=True, slots=True, eq=False)
class Fluctuations:
    """Fluctuations of the pre-activations of every layer, each (depth + 1,), NaN where unknown.

    `share` is λ, `variance` r, `pair` s, `bias` b, `shape` k and `residual` e, as above. `pinned`
    is 0 for independent weights and 1 for a square orthogonal matrix. Orthogonal weights keep
    norms and angles, so the part of the squares that is linear in them does not fluctuate.
    """

    share: FloatArray
    pinned: FloatArray
    variance: FloatArray
    pair: FloatArray
    bias: FloatArray
    shape: FloatArray
    residual: FloatArray


class _Before(NamedTuple):
    """The columns of `Fluctuations` that are carried along, for the pre-activations of a layer."""

    variance: float
    pair: float
    bias: float
    shape: float
    residual: float


class _After(NamedTuple):
    """The same for the second moment of its activations; `fourth` is E[x⁴]/E[x²]²."""

    variance: float
    pair: float
    bias: float
    residual: float
    fourth: float


def follow(
    stack: Stack, batch: int, inputs: InputMoments, prediction: Prediction, moments: Moments
) -> Fluctuations:
    """Return the fluctuations of the pre-activations of every layer.

    Where something is not known (see `_shape` and `InputMoments`), its arrays are NaN from that
    layer on. `pair` is NaN where first order is not trusted, everything where r exceeds `ENDLESS`.
    """
    share, pinned = _shares(stack, prediction)
    columns = np.full((len(_Before._fields), stack.depth + 1), math.nan)
    after = _input(stack, inputs)
    for first, count, layer in stack.segments():
        before, end = _Before(*[math.nan] * len(_Before._fields)), first + count
        settled = last_motion(moments, first, end)
        for number in range(first, end):
            weight = float(share[number])
            previous, before = before, _through_weights(layer, weight, after)
            columns[:, number] = before
            forward = moments.forward(number)
            if forward is None or before.variance > ENDLESS:
                return Fluctuations(share, pinned, *columns)
            squares = forward.fourth
            if batch > 1:
                known = before.variance <= LARGEST_VARIANCE
                pair = moments.pair(number) if known else None
                squares = math.nan if pair is None else pair.square
            # The part that orthogonal weights hold fixed, of one sample and of two, over q.
            held = 2.0 * float(pinned[number]) * forward.square.slope**2
            aligned = weight - float(prediction.misalignment[number])
            after = _through_activation(
                forward,
                before,
                (forward.fourth - 1.0 - held * weight**2) / layer.fan_out,
                (squares - 1.0 - held * aligned**2) / layer.fan_out,
            )
            if number > settled and _same(before, previous):
                columns[:, number:end] = np.array(before)[:, None]
                break
    return Fluctuations(share, pinned, *columns)


def last_motion(moments: Moments, first: int, end: int) -> int:
    """Return the last of the equal layers first..end−1 whose state differs from the one before."""
    moved = np.diff(moments.q[first:end]) != 0
    moved |= np.diff(moments.misalignment[first:end]) != 0
    return first + (int(np.flatnonzero(moved)[-1]) + 1 if moved.any() else 0)


def _input(stack: Stack, inputs: InputMoments) -> _After:
    """Return the state of layer 0."""
    known = math.isfinite(inputs.length_variance)
    variance = inputs.length_variance if known else 0.0
    return _After(
        variance,
        0.0 if inputs.drawn else math.nan,
        0.0 if known else math.nan,
        0.0,
        1.0 + stack.input_width * variance if inputs.drawn else math.nan,
    )


def _through_weights(layer: DenseLayer, share: float, after: _After) -> _Before:
    return _Before(
        share * share * after.variance,
        share * share * after.pair,
        share * after.bias,
        _shape(layer, share, after.fourth),
        share * after.residual,
    )


def _through_activation(
    forward: ForwardMoments, before: _Before, fresh: float, fresh_pair: float
) -> _After:
    """`fresh` and `fresh_pair` are what the units of this layer add."""
    square = forward.square
    spread = before.variance + before.shape
    size = (before.variance + abs(before.shape)) ** 2
    return _After(
        fresh + square.slope**2 * before.variance,
        fresh_pair + square.slope**2 * before.pair,
        square.slope * before.bias + 0.5 * square.curvature * spread,
        abs(square.slope) * before.residual + square.roughness * size,
        forward.fourth,
    )


def _shares(stack: Stack, prediction: Prediction) -> tuple[FloatArray, FloatArray]:
    """Return the share of the weights in q and the part orthogonal weights pin, for every layer."""
    share, pinned = np.full((2, stack.depth + 1), math.nan)
    second_moment, q = prediction.statistics["second_moment"], prediction.pre_second_moment
    for first, count, layer in stack.segments():
        part = slice(first, first + count)
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = layer.square_gain * second_moment[first - 1 : part.stop - 1] / q[part]
        share[part] = np.where(q[part] == 0, 0.0, ratio)
        larger = max(layer.fan_in, layer.fan_out)
        pinned[part] = layer.fan_out / larger if layer.distribution == "orthogonal" else 0.0
    return share, pinned


def _shape(layer: DenseLayer, share: float, fourth: float) -> float:
    """Return κ₄/(3q²) of a pre-activation given its inputs, whose E[x⁴]/E[x²]² is `fourth`.

    For weights that are not Gaussian and uniform biases it is the sum of independent cumulants. For
    orthogonal weights it is that of a coordinate of a vector uniform on a sphere. NaN where it is
    not small.
    """
    rest = 1.0 - share
    if layer.bias_distribution == "uniform" and layer.bias_std > 0:
        if rest > _LARGEST_UNIFORM_SHARE:
            return math.nan
        biases = EXCESS["uniform"] / 3.0 * rest * rest
    else:
        biases = 0.0
    if layer.distribution == "orthogonal":
        return -2.0 * share * share / max(layer.fan_in, layer.fan_out) + biases
    excess = EXCESS[layer.distribution]
    return excess / 3.0 * share * share * fourth / layer.fan_in + biases if excess else biases


def _same(first: _Before, second: _Before) -> bool:
    return all(
        abs(a - b) <= _SETTLED * abs(a) or (math.isnan(a) and math.isnan(b))
        for a, b in zip(first, second, strict=True)
    )
