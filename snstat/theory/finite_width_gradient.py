"""The expected logarithm of the mean square gradients, to first order in 1/width.

Going back from the last layer, one sample's g_l = g_{l+1}·r_l with r_l = G² E[φ'²](1 + noise):
`A` is how far the gradient δ of a layer lies along its pre-activations z, (δ·z)²/(|δ|²q), `U` is
q ∂ln g_l/∂q_l, `V` the variance of ln g_l and `C` its covariance between two samples, whose
gradients W'δ have correlation ρ. Derived in docs/finite-width.md.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from snstat.stack import Stack
from snstat.theory.fluctuations import Fluctuations, Moments
from snstat.theory.quadrature import FloatArray

_SETTLED = 1e-14


@dataclass(slots=True)
class _Way:
    """The state of the way back: at layer l, of everything from l to the last."""

    mean: float = 0.0  # E ln g of one sample beyond infinite width
    variance: float = 0.0
    pair: float = 0.0
    tilt: float = 1.0  # A of the layer above; 1 adds nothing, as for the fresh read-out
    pull: float = 0.0  # U of the layer above
    correlation: float = 1.0  # ρ of Wᵀδ, 1 for the read-out, which all samples share


def expected_log_gradient(
    stack: Stack, batch: int, fluctuations: Fluctuations, moments: Moments
) -> tuple[FloatArray, FloatArray]:
    """Return, for every layer, what finite width adds to ln(g_l/g_depth), and the variance beyond
    that of pairs, V − C: how much the samples' gradients differ. NaN where not known.
    """
    depth = stack.depth
    own, spread = np.full((2, depth + 1), math.nan)
    if stack.layer(1).distribution != "normal":
        own[depth] = spread[depth] = 0.0
        return own, spread
    way = _Way()
    for number in range(depth, 0, -1):
        if not _step_back(way, number, stack.layer(number).fan_out, fluctuations, moments):
            break
        own[number], spread[number] = way.mean, way.variance - way.pair
    else:
        units, share = stack.input_width, float(fluctuations.share[1])
        way.mean += ((way.tilt - 1.0) * share - 1.0) / units
        way.variance += 2.0 / units
        way.pair += 2.0 * way.correlation**2 / units
        own[0], spread[0] = way.mean, way.variance - way.pair
    if batch > 1:
        own = own + 0.5 * (1.0 - 1.0 / batch) * spread
    own = own - own[depth]
    own[depth] = 0.0
    return own, spread


def _step_back(
    way: _Way, number: int, units: int, fluctuations: Fluctuations, moments: Moments
) -> bool:
    """Take `way` from the layer above to layer `number`; return False where that is unknown."""
    here = moments[number]
    if here is None or here.backward is None:
        return False
    forward, back = here.forward, here.backward
    last = number + 1 == fluctuations.share.size
    above = 0.0 if last else float(fluctuations.share[number + 1])
    variance, pair = float(fluctuations.variance[number]), float(fluctuations.pair[number])
    slope, curvature = back.log_slope
    way.mean += (
        slope * float(fluctuations.bias[number])
        + 0.5 * curvature * variance
        + (way.tilt - 1.0) * above * back.joint / units
        - (3.0 * back.fourth - 1.0) / (2.0 * units)
    )
    through = way.pull * above
    cross = through * forward.square[0] * slope
    way.variance += slope * slope * variance + (3.0 * back.fourth - 1.0) / units
    way.variance += 2.0 * (cross * variance + through * (back.joint - 1.0) / units)
    both = back.pair_fourth * (1.0 + 2.0 * way.correlation**2) - 1.0
    way.pair += slope * slope * pair + both / units
    way.pair += 2.0 * (cross * pair + through * (back.pair_joint - 1.0) / units)
    way.tilt = back.tilt + (way.tilt - 1.0) * above * back.lean
    way.pull = slope + through * forward.square[0]
    way.correlation *= back.pair_slope
    return True
