"""The expected logarithm of the squared gradients, to first order in 1/width.

Backwards from the last layer, one sample's pre-activation gradient δ_l = φ'(z_l) ∘ Wᵀδ_{l+1} has
|δ_l|² = |δ_{l+1}|²·r_l with r_l = G² E[φ'²](1 + noise). A is the alignment of δ with the
pre-activations z, (δ·z)²/(|δ|²q), and U is q ∂ln|δ_l|²/∂q_l. V is the variance of ln|δ_l|² and C
its covariance between two samples, whose read-outs and hence gradients are independent. The
gradient of the output of layer l is Wᵀδ_{l+1}, as if φ' were 1. The mean over a batch of B adds
½(1 − 1/B)(V − C) to the expected logarithm. Orthogonal weights keep the norms and angles of δ too:
for a square matrix (`kept` 1), the part of squares that is linear in them does not fluctuate.
Derived in docs/finite-width.md.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from snstat.layers.spread import ENDLESS
from snstat.layers.weights import Weights
from snstat.network.stack import Stack
from snstat.theory.corrected import Corrected
from snstat.theory.fluctuations import Fluctuations
from snstat.theory.layer_moments import Moments

# First order is not trusted where the variance of log gradients between samples exceeds this,
LARGEST_SPREAD = 1.0
# or where the square of the weights' alignment with the signal moves the logarithm by more. ReLU
# and GELU reach this first, because their slopes and values are large together.
LARGEST_SQUARE = 1e-3
# Measured upper bound on the neglected cumulants of a logarithm over its squared variance.
NEGLECTED = 0.3


@dataclass(slots=True)
class _Way:
    """The state of the backward pass at layer l, for δ_l."""

    mean: float = 0.0  # E ln|δ|² of one sample beyond infinite width
    spread: float = 0.0  # V − C
    residual: float = 0.0
    square: float = 0.0  # the part of the residual due to the alignment with x
    tilt: float = 1.0  # A of the layer above; 1 adds nothing, as for the fresh read-out
    own_tilt: float = 1.0  # the part of A that each unit contributes on its own
    pull: float = 0.0  # U of the layer above


def expected_log_gradient(
    stack: Stack, batch: int, fluctuations: Fluctuations, moments: Moments
) -> Corrected:
    """Return what finite width adds to ln(g_l/g_depth)."""
    depth = stack.depth
    added, residual, spread = np.full((3, depth + 1), math.nan)
    forward, within = fluctuations.trusted, np.ones(depth + 1, dtype=bool)
    # The squared read-out is a mean of `fan_out` squares, independent for every sample.
    noise = 2.0 / stack.layer(depth).fan_out
    added[depth], residual[depth], spread[depth] = -0.5 * noise, NEGLECTED * noise**2, noise
    way = _Way()
    for number in range(depth, 0, -1):
        known = _step_back(way, number, stack, fluctuations, moments, pairs=batch > 1)
        if not known or way.spread > ENDLESS:
            break
        within[number - 1] = forward[number] and way.square <= LARGEST_SQUARE
        layer, share = stack.layer(number), float(fluctuations.share[number])
        free = (1.0 - layer.kept) / layer.fan_in
        # As in `_step_back`, with φ the identity and φ' = 1.
        along = _alignment(way, layer) * share
        added[number - 1] = way.mean + (along - 1.0) * free
        residual[number - 1] = way.residual + NEGLECTED * (2.0 * free) ** 2
        spread[number - 1] = way.spread + 2.0 * free
    added += 0.5 * (1.0 - 1.0 / batch) * spread
    residual += NEGLECTED * spread**2
    added, residual = added - added[depth], np.abs(residual - residual[depth])
    # The gradient of the last layer is 1 by definition.
    added[depth] = residual[depth] = 0.0
    within &= spread <= LARGEST_SPREAD
    return Corrected(added, residual, np.logical_and.accumulate(within[::-1])[::-1])


def _alignment(way: _Way, above: Weights) -> float:
    """Return A − 1 of the layer above, corrected for weights that are not Gaussian."""
    return way.tilt - 1.0 + 0.5 * above.excess * (way.own_tilt - 1.0)


def _step_back(
    way: _Way,
    number: int,
    stack: Stack,
    fluctuations: Fluctuations,
    moments: Moments,
    *,
    pairs: bool,
) -> bool:
    """Move `way` from the layer above to layer `number`; return False where that is unknown."""
    forward, back = moments.forward(number), moments.backward(number)
    variance, shape = float(fluctuations.variance[number]), float(fluctuations.shape[number])
    if forward is None or back is None or math.isnan(variance):
        return False
    units, above = stack.width_of(number), stack.layer(number + 1)
    last = number == stack.depth
    share, kept = float(fluctuations.share[number]), 0.0 if last else above.kept
    share_above = 0.0 if last else float(fluctuations.share[number + 1])
    slope, squared_slope = back.log_slope.slope, forward.square.slope
    through = way.pull * share_above
    crossing = through * squared_slope * slope
    held = 2.0 * float(fluctuations.pinned[number]) * slope
    noise = (3.0 * back.fourth - 1.0 - 2.0 * kept - held * slope * share**2) / units
    # The share of the gradient that follows x, and its square, as A is itself nearly a χ².
    along = share_above * (back.joint - kept) / units
    along_square = (3.0 * way.tilt**2 - 2.0 * way.tilt + 1.0) * along**2
    way.mean += (
        slope * float(fluctuations.bias[number])
        + 0.5 * back.log_slope.curvature * variance
        + 0.5 * (back.log_slope.curvature + slope * slope) * shape  # of D itself, not of ln D
        + _alignment(way, above) * along
        - 0.5 * noise
    )
    way.square += 0.5 * along_square
    way.residual += (
        NEGLECTED * ((3.0 * back.fourth - 1.0) / units) ** 2
        + 0.5 * along_square
        + abs(slope) * float(fluctuations.residual[number])
        + back.log_slope.roughness * (variance + abs(shape)) ** 2
    )
    if pairs:
        two = moments.pair(number)
        if two is None:
            return False
        aligned = share - float(moments.misalignment[number])
        both = (two.fourth - 1.0 - held * slope * aligned**2) / units
        joint = back.joint - two.joint - held * squared_slope * (share**2 - aligned**2)
        # V − C: every term is that of one sample minus that of two.
        way.spread += (
            (slope * slope + 2.0 * crossing) * (variance - float(fluctuations.pair[number]))
            + (noise - both)
            + 2.0 * through * joint / units
        )
    way.tilt = back.tilt + (way.tilt - 1.0) * share_above * back.lean
    way.own_tilt = back.tilt
    way.pull = slope + through * squared_slope
    return True
