"""How a dense layer maps the state of a random network at infinite width.

The state after a layer is E[φ²] and, for a pair of inputs, E[φ²] − E[φφ']. The latter is used
instead of the correlation so that inputs that become alike keep their relative precision.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from snstat.activation import Activation, resolve
from snstat.gaussian.centred import CentredMoments, centred_moments
from snstat.gaussian.pairs import pair_gap
from snstat.layers.dense import DenseLayer
from snstat.theory.linear import without_noise

# Squares of larger second moments overflow during evaluation, so there is no prediction.
LARGEST_SECOND_MOMENT = 1e280
# Differences of up to this many units in the last place are rounding.
_ROUNDING = 4.0


@dataclass(frozen=True, slots=True)
class DenseStep:
    """One layer: q of its pre-activations, then the moments of its activations and χ.

    `silent` is true if every activation is exactly 0, in networks of any width.
    """

    pre_second_moment: float
    moments: CentredMoments
    growth: float
    silent: bool

    @property
    def second_moment(self) -> float:
        """E[φ²] after the layer."""
        return self.moments.second_moment


@dataclass(frozen=True, slots=True)
class PairStep:
    """One layer and two samples: 1 − c of the pre-activations, E[φ²] − E[φφ'] of the activations,
    and the cosine of the activations, NaN where they are 0."""

    misalignment: float
    gap: float
    cosine: float


def dense_step(
    layer: DenseLayer,
    second_moment: float,
    previous: DenseStep | None = None,
    *,
    silent: bool = False,
    moments_at: Callable[[Activation, float], CentredMoments] = centred_moments,
) -> DenseStep | None:
    """Return the state after `layer`, or None where it is no longer finite.

    `second_moment` and `silent` describe the layer before. `previous` is the step of an equal layer
    and is returned itself if the state has not moved beyond rounding. `moments_at` evaluates the
    moments.
    """
    q = layer.pre_second_moment(second_moment)
    if not q <= LARGEST_SECOND_MOMENT:
        return None
    if previous is not None and _same(q, previous.pre_second_moment):
        return previous
    activation = resolve(layer.activation)
    moments = moments_at(activation, q)
    # A q of 0 is taken for small signals that underflow, unless pre-activations are exactly 0.
    still = (silent or layer.square_gain == 0) and layer.bias_std == 0
    if still:
        at_rest = float(activation.derivative(np.zeros(()))) ** 2
        moments = replace(moments, derivative_square=at_rest)
    return DenseStep(
        q,
        moments,
        layer.square_gain * moments.derivative_square,
        still and moments.second_moment == 0,
    )


def pair_step(
    layer: DenseLayer, step: DenseStep, gap: float, previous: PairStep | None = None
) -> PairStep:
    """Return the step of two samples with this `gap` before `layer`, whose own step is `step`.

    `previous` belongs to a layer before with the same step and is returned itself if nothing has
    moved.
    """
    q = step.pre_second_moment
    misalignment = min(layer.square_gain * gap / q, 2.0) if q > 0 else 0.0
    if previous is not None and _same(misalignment, previous.misalignment):
        return previous
    activation, total = resolve(layer.activation), step.second_moment
    # Uncorrelated inputs of an odd activation stay exactly uncorrelated.
    exact = activation.odd and misalignment == 1.0
    after = total if exact else pair_gap(activation, q, misalignment)
    cosine = without_noise(1.0 - after / total, 1.0) if total > 0 else math.nan
    return PairStep(misalignment, after, cosine)


def _same(first: float, second: float) -> bool:
    return abs(first - second) <= _ROUNDING * math.ulp(first) or first == second
