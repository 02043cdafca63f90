"""How a dense layer maps the state of a random network at infinite width.

The state after a layer is E[φ²] and, for a pair of inputs, E[φ²] − E[φφ']; the second is carried
instead of the correlation, so that inputs that become alike keep their relative precision.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from snstat.activation import resolve
from snstat.stack import DenseLayer
from snstat.theory.centred import CentredMoments, centred_moments
from snstat.theory.pairs import pair_gap

# Squares of pre-activations beyond this overflow on the way: no prediction.
LARGEST_SECOND_MOMENT = 1e280
# Differences of this many units in the last place are rounding, not motion.
_ROUNDING = 4.0


@dataclass(frozen=True, slots=True)
class DenseStep:
    """One layer: q and 1 − c of its pre-activations, then the moments of its activations.

    `silent` tells that every activation is exactly 0, in networks of any width.
    """

    pre_second_moment: float
    misalignment: float
    moments: CentredMoments
    gap: float
    growth: float
    silent: bool

    @property
    def second_moment(self) -> float:
        """E[φ²] after the layer."""
        return self.moments.second_moment


def dense_step(
    layer: DenseLayer,
    second_moment: float,
    gap: float,
    previous: DenseStep | None = None,
    *,
    silent: bool = False,
) -> DenseStep | None:
    """Return the state after `layer`, None where it is no longer a finite number.

    `second_moment` and `gap` describe the layer before, as does `silent`. `previous`, the
    step of an equal layer, is returned itself where the state has not moved beyond rounding.
    """
    q = layer.square_gain * second_moment + layer.bias_std**2
    if not q <= LARGEST_SECOND_MOMENT:
        return None
    misalignment = min(layer.square_gain * gap / q, 2.0) if q > 0 else 0.0
    activation = resolve(layer.activation)
    moments = None
    if previous is not None and _same(q, previous.pre_second_moment):
        q, moments = previous.pre_second_moment, previous.moments
        if _same(misalignment, previous.misalignment):
            return previous
    if moments is None:
        moments = centred_moments(activation, q)
    # A q that is 0 because it underflows stands for small signals, without a word of their own.
    still = (silent or layer.square_gain == 0) and layer.bias_std == 0
    if still:
        at_rest = float(activation.derivative(np.zeros(()))) ** 2
        moments = replace(moments, derivative_square=at_rest)
    # Uncorrelated inputs of an odd activation stay so to the last bit.
    exact = activation.odd and misalignment == 1.0
    return DenseStep(
        q,
        misalignment,
        moments,
        moments.second_moment if exact else pair_gap(activation, q, misalignment),
        layer.square_gain * moments.derivative_square,
        still and moments.second_moment == 0,
    )


def _same(first: float, second: float) -> bool:
    return abs(first - second) <= _ROUNDING * math.ulp(first) or first == second
