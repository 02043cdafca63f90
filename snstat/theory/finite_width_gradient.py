"""The expected logarithm of the mean square gradients, to first order in 1/width.

Going back from the last layer, one sample's g_l = g_{l+1}·r_l with r_l = G² E[φ'²](1 + noise):
A is how far the gradient δ of a layer lies along its pre-activations z, (δ·z)²/(|δ|²q), U is
q ∂ln g_l/∂q_l, V the variance of ln g_l and C its covariance between two samples, whose gradients
Wᵀδ have correlation ρ. The mean over a batch of B adds ½(1 − 1/B)(V − C) to the expected
logarithm. Derived in docs/finite-width.md.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from snstat.stack import Stack
from snstat.theory.fluctuations import LARGEST_VARIANCE, Fluctuations
from snstat.theory.layer_moments import Moments
from snstat.theory.quadrature import FloatArray

# First order is no longer trusted where the samples' log gradients differ by a larger variance.
LARGEST_SPREAD = 0.5
# The neglected cumulants of a logarithm over its squared variance, at most; as measured.
NEGLECTED = 0.3


@dataclass(slots=True)
class _Way:
    """The state of the way back: at layer l, of everything from l to the last."""

    mean: float = 0.0  # E ln g of one sample beyond infinite width
    spread: float = 0.0  # V − C
    residual: float = 0.0
    tilt: float = 1.0  # A of the layer above; 1 adds nothing, as for the fresh read-out
    pull: float = 0.0  # U of the layer above
    correlation: float = 1.0  # ρ of Wᵀδ, 1 for the read-out, which all samples share


def expected_log_gradient(
    stack: Stack, batch: int, fluctuations: Fluctuations, moments: Moments
) -> tuple[FloatArray, FloatArray]:
    """Return, for every layer, what finite width adds to ln(g_l/g_depth), and the size of what
    that neglects. NaN where they are not known.
    """
    depth = stack.depth
    added, residual, spread = np.full((3, depth + 1), math.nan)
    way = _Way()
    if stack.layer(1).distribution == "normal":
        for number in range(depth, 0, -1):
            units = stack.layer(number).fan_out
            if not _step_back(way, number, units, fluctuations, moments, pairs=batch > 1):
                break
            added[number], residual[number], spread[number] = way.mean, way.residual, way.spread
            if way.spread > LARGEST_SPREAD:
                break
        else:
            units, share = stack.input_width, float(fluctuations.share[1])
            added[0] = way.mean + ((way.tilt - 1.0) * share - 1.0) / units
            residual[0] = way.residual + NEGLECTED * (2.0 / units) ** 2
            spread[0] = way.spread + 2.0 * (1.0 - way.correlation**2) / units
    added += 0.5 * (1.0 - 1.0 / batch) * spread
    residual += NEGLECTED * spread**2
    added = np.where(spread <= LARGEST_SPREAD, added - added[depth], math.nan)
    residual = np.where(spread <= LARGEST_SPREAD, residual - residual[depth], math.nan)
    # The gradient of the last layer is 1, whatever happens.
    added[depth] = residual[depth] = 0.0
    return added, np.abs(residual)


def _step_back(
    way: _Way,
    number: int,
    units: int,
    fluctuations: Fluctuations,
    moments: Moments,
    *,
    pairs: bool,
) -> bool:
    """Take `way` from the layer above to layer `number`; return False where that is unknown."""
    forward, back = moments.forward(number), moments.backward(number)
    variance = float(fluctuations.variance[number])
    if forward is None or back is None or not variance <= LARGEST_VARIANCE:
        return False
    last = number + 1 == fluctuations.share.size
    above = 0.0 if last else float(fluctuations.share[number + 1])
    slope = back.log_slope.slope
    noise = (3.0 * back.fourth - 1.0) / units
    through = way.pull * above
    crossing = through * forward.square.slope * slope
    # The share of the gradient that follows x, and its square, A being nearly a χ² itself.
    along = above * back.joint / units
    along_square = (3.0 * way.tilt**2 - 2.0 * way.tilt + 1.0) * along**2
    way.mean += (
        slope * float(fluctuations.bias[number])
        + 0.5 * back.log_slope.curvature * variance
        + (way.tilt - 1.0) * along
        - 0.5 * noise
    )
    way.residual += (
        NEGLECTED * noise**2
        + 0.5 * along_square
        + abs(slope) * float(fluctuations.residual[number])
        + back.log_slope.roughness * variance * variance
    )
    if pairs:
        two = moments.pair(number)
        if two is None:
            return False
        both = (two.fourth * (1.0 + 2.0 * way.correlation**2) - 1.0) / units
        # V − C, of which every term is that of one sample less that of two.
        way.spread += (
            (slope * slope + 2.0 * crossing) * (variance - float(fluctuations.pair[number]))
            + (noise - both)
            + 2.0 * through * (back.joint - two.joint) / units
        )
        way.correlation *= two.slope
    way.tilt = back.tilt + (way.tilt - 1.0) * above * back.lean
    way.pull = slope + through * forward.square.slope
    return True
