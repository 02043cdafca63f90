"""How the pre-activation second moment q of one network lies about that of infinite width.

Relative to q, layer by layer, to first order in 1/n for n units (λ is the share of the weights in
q, the rest is the biases'; χ = q∂E[φ²]/E[φ²], ψ = φ/√E[φ²]):

    variance             r' = λ²((E[ψ⁴] − 1)/n + χ² r)
    of pairs of samples  s' = λ²((E[ψ₁²ψ₂²] − 1)/n + χ² s)
    bias                 b' = λ(χ b + ½ q²∂²E[φ²]/E[φ²] (r + k))

k, a third of the fourth cumulant of a pre-activation over q², stands for weights that are not
Gaussian. Derived in docs/finite-width.md.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from snstat.activation import ACTIVATIONS
from snstat.results import InputMoments
from snstat.stack import DenseLayer, Stack
from snstat.theory.layer_moments import LayerMoments, layer_moments
from snstat.theory.predict import Prediction
from snstat.theory.quadrature import FloatArray

# Fourth cumulant over squared variance of a uniform distribution.
_UNIFORM_EXCESS = -1.2
# With a larger share of uniform biases in q, pre-activations are not nearly Gaussian.
_LARGEST_UNIFORM_SHARE = 0.25
# Differences of this size, relative to the state, are rounding.
_SETTLED = 1e-15


@dataclass(frozen=True, slots=True, eq=False)
class Fluctuations:
    """Of the pre-activations of every layer; each array (depth + 1,), NaN where unknown.

    `share` λ, `variance` r, `pair` s, `bias` b and `shape` k as above. `pinned` is 0 for
    independent weights; orthogonal ones keep lengths and angles, and the part of the squares
    that is linear in them does not fluctuate at all: 1 for a square matrix.
    """

    share: FloatArray
    variance: FloatArray
    pair: FloatArray
    bias: FloatArray
    shape: FloatArray
    pinned: FloatArray


class Moments:
    """The moments of every layer of a stack, each distinct one evaluated once, on demand."""

    def __init__(self, stack: Stack, prediction: Prediction, *, pairs: bool, backward: bool):
        self._activation = ACTIVATIONS[stack.activation]
        self._q, self._misalignment = prediction.pre_second_moment, prediction.misalignment
        self._pairs, self._backward = pairs, backward
        moved = (np.diff(self._q) != 0) | (np.diff(self._misalignment) != 0)
        fresh = np.concatenate([[True], moved])
        # A layer shows the state of layer `first[layer]`, the first of a run of equal ones.
        self.first = np.maximum.accumulate(np.where(fresh, np.arange(fresh.size), 0))
        self._known: dict[int, LayerMoments | None] = {}

    def __getitem__(self, layer: int) -> LayerMoments | None:
        first = int(self.first[layer])
        if first not in self._known:
            q = float(self._q[first])
            self._known[first] = (
                layer_moments(
                    self._activation,
                    q,
                    float(self._misalignment[first]),
                    pairs=self._pairs,
                    backward=self._backward,
                )
                if math.isfinite(q)
                else None
            )
        return self._known[first]

    def column(self, value: Callable[[LayerMoments], float], known: int) -> FloatArray:
        """Return `value` of layers 1..`known`, NaN elsewhere, shape (depth + 1,)."""
        result = np.full(self.first.size, math.nan)
        firsts, place = np.unique(self.first[1 : known + 1], return_inverse=True)
        found = (self[layer] for layer in firsts.tolist())
        values = [math.nan if moments is None else value(moments) for moments in found]
        result[1 : known + 1] = np.array(values)[place]
        return result


def follow(
    stack: Stack, inputs: InputMoments, prediction: Prediction, moments: Moments
) -> Fluctuations:
    """Return the fluctuations of the pre-activations of every layer.

    Where something is not known (see `_shape` and `InputMoments`) the arrays are NaN from there
    on.
    """
    count = stack.depth + 1
    share, pinned = _shares(stack, prediction)
    variance, pair, bias, shape = np.full((4, count), math.nan)
    aligned = 1.0 - prediction.misalignment - (1.0 - share)
    # Of layer 0: one sample's second moment, relative, and its fourth moment.
    known = math.isfinite(inputs.length_variance)
    inherited = inputs.length_variance if known else 0.0
    fourth = 1.0 + stack.input_width * inherited if inputs.drawn else math.nan
    inherited_pair = 0.0 if inputs.drawn else math.nan
    inherited_bias = 0.0 if known else math.nan
    state = (math.nan,) * 4
    for number in range(1, count):
        layer = stack.layer(1) if number == 1 else repeated if number > 2 else stack.layer(2)
        if number == 2:
            repeated = layer
        weight = float(share[number])
        previous, state = (
            state,
            (
                weight * weight * inherited,
                weight * weight * inherited_pair,
                weight * inherited_bias,
                _shape(layer, weight, fourth),
            ),
        )
        variance[number], pair[number], bias[number], shape[number] = state
        here = moments[number]
        if here is None:
            break
        if number > 2 and moments.first[number] == moments.first[-1] and _same(state, previous):
            for array, value in zip((variance, pair, bias, shape), state, strict=True):
                array[number:] = value
            break
        forward, units = here.forward, layer.fan_out
        slope, curvature = forward.square
        held = 2.0 * float(pinned[number]) * slope * slope
        inherited = (forward.fourth - 1.0 - held * weight**2) / units + slope * slope * state[0]
        inherited_pair = (forward.pair - 1.0 - held * float(aligned[number]) ** 2) / units
        inherited_pair += slope * slope * state[1]
        inherited_bias = slope * state[2] + 0.5 * curvature * (state[0] + state[3])
        fourth = forward.fourth
    return Fluctuations(share, variance, pair, bias, shape, pinned)


def _shares(stack: Stack, prediction: Prediction) -> tuple[FloatArray, FloatArray]:
    """Return the share of the weights in q, and what orthogonal weights pin, of every layer."""
    share, pinned = np.full((2, stack.depth + 1), math.nan)
    second_moment, q = prediction.statistics["second_moment"], prediction.pre_second_moment
    repeated = stack.layer(2)
    for part, layer in ((slice(1, 2), stack.layer(1)), (slice(2, None), repeated)):
        before = slice(part.start - 1, None if part.stop is None else part.stop - 1)
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = layer.square_gain * second_moment[before][: q[part].size] / q[part]
        share[part] = np.where(q[part] == 0, 0.0, ratio)
        larger = max(layer.fan_in, layer.fan_out)
        pinned[part] = layer.fan_out / larger if layer.distribution == "orthogonal" else 0.0
    return share, pinned


def _shape(layer: DenseLayer, share: float, fourth: float) -> float:
    """Return κ₄/(3q²) of a pre-activation given its inputs, whose E[x⁴]/E[x²]² is `fourth`.

    Sums of independent cumulants for uniform weights and biases; for orthogonal weights that of a
    coordinate of a vector uniform on a sphere. NaN where it is not small.
    """
    rest = 1.0 - share
    if layer.bias_distribution == "uniform" and layer.bias_std > 0:
        if rest > _LARGEST_UNIFORM_SHARE:
            return math.nan
        biases = _UNIFORM_EXCESS / 3.0 * rest * rest
    else:
        biases = 0.0
    if layer.distribution == "uniform":
        return _UNIFORM_EXCESS / 3.0 * share * share * fourth / layer.fan_in + biases
    if layer.distribution == "orthogonal":
        return -2.0 * share * share / max(layer.fan_in, layer.fan_out) + biases
    return biases


def _same(first: tuple[float, ...], second: tuple[float, ...]) -> bool:
    return all(
        abs(a - b) <= _SETTLED * abs(a) or (math.isnan(a) and math.isnan(b))
        for a, b in zip(first, second, strict=True)
    )
