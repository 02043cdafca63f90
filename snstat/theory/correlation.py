"""Fixed points of the correlation map of two inputs at one second moment.

On [0, 1] the map is a power series in c with coefficients of at least 0 (the squared Hermite
coefficients of φ), so it is convex: besides c = 1 it has at most one fixed point, and has it
exactly where the slope at 1 exceeds 1 (Poole et al., arXiv:1606.05340; Daniely et al.,
arXiv:1602.05897).
"""

from __future__ import annotations

import math

from snstat.activation import Activation
from snstat.gaussian.centred import centred_moments
from snstat.gaussian.pairs import pair_gap, pair_slope
from snstat.gaussian.rounding import neat
from snstat.results import CorrelationFixedPoint
from snstat.theory.linear import MARGINAL, depth_scale, is_neutral
from snstat.theory.search import root

# The smallest 1 − c at which a fixed point is distinguished from c = 1.
_NEAREST = 1e-13


def correlation_fixed_points(
    activation: Activation,
    second_moment: float,
    weight_gain: float,
    bias_std: float,
    next_second_moment: float | None = None,
) -> tuple[CorrelationFixedPoint, ...]:
    """Return the fixed points in [0, 1], ascending, at pre-activation second moment q.

    `second_moment` is positive. So is `next_second_moment`, that of the next layer; leave it out at
    a fixed point of q → q'. `stable` means that correlations below it (at c = 1) or on both sides
    of it approach it, even if more slowly than exponentially. Where every correlation is fixed, 0
    and 1 represent them all.
    """
    square_gain = weight_gain * weight_gain
    if next_second_moment is not None:
        # Divides by q' instead of q.
        square_gain *= second_moment / next_second_moment

    def image(misalignment: float) -> float:
        return square_gain * pair_gap(activation, second_moment, misalignment) / second_moment

    def excess(log_misalignment: float) -> float:
        misalignment = math.exp(log_misalignment)
        return math.log(image(misalignment) / misalignment)

    chi = square_gain * centred_moments(activation, second_moment).derivative_square
    uncorrelated = image(1.0) if square_gain > 0 else 0.0
    attracting = chi <= 1.0 + MARGINAL and uncorrelated < 1.0 - MARGINAL
    aligned = CorrelationFixedPoint(1.0, neat(chi), attracting, depth_scale(chi))
    if is_neutral(chi) and is_neutral(uncorrelated):
        return (CorrelationFixedPoint(0.0, 1.0, False, None), aligned)
    if chi <= 1.0 + MARGINAL:
        return (aligned,)
    if uncorrelated > 1.0 - MARGINAL:
        misalignment = 1.0
    elif excess(math.log(_NEAREST)) <= 0:
        return (aligned,)
    else:
        misalignment = math.exp(root(excess, math.log(_NEAREST), 0.0))
    slope = square_gain * pair_slope(activation, second_moment, misalignment)
    # A convex map that is not the identity comes from above the diagonal there: it is stable.
    inside = CorrelationFixedPoint(neat(1.0 - misalignment), neat(slope), True, depth_scale(slope))
    return (inside, aligned)


def every_correlation_fixed(points: tuple[CorrelationFixedPoint, ...]) -> bool:
    """Return whether `points` represent all of [0, 1]: a convex map through (0, 0) and (1, 1)
    with slope 1 at 1 is the identity."""
    return len(points) == 2 and points[0].value == 0.0 and is_neutral(points[1].slope)
