"""Fixed points of the ensemble map, whose state is one number: q = E[z²] of pre-activations."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from itertools import pairwise

import numpy as np

from snstat.activation import Activation, require_functions
from snstat.errors import InvalidValueError
from snstat.gaussian.centred import centred_moments, second_moments
from snstat.gaussian.expectations import jacobian, one_sided_slopes
from snstat.results import CorrelationFixedPoint, FixedPoint, FloatArray
from snstat.theory.correlation import correlation_fixed_points, every_correlation_fixed
from snstat.theory.linear import fixed_point_record, stable_first
from snstat.theory.search import Search, root

# The second moments that are searched.
LOWEST, HIGHEST = 1e-12, 1e12
_POINTS = 193
# The largest |x| at which activations are evaluated, reached at the largest q.
_REACH = 1.375e7
# An image of zero signal below this counts as 0, because its squares underflow.
NOTHING = 1e-290
# |ln(q'/q)| below this is rounding and has no usable sign.
_ROUNDING = 2e-14


def ensemble_image(activation: Activation, q: float, square_gain: float, bias: float) -> float:
    """Return q' = G² E[φ(√q z)²] + b²."""
    return square_gain * centred_moments(activation, q).second_moment + bias * bias


@lru_cache(maxsize=32)
def find_ensemble(
    activation: Activation,
    weight_gain: float,
    bias: float,
    *,
    pairs: bool = True,
) -> Search:
    """Return every fixed point of q → q' with q = 0 or 1e-12 ≤ q ≤ 1e12, stable ones first.

    Without `pairs` they lack their correlations, which take far longer than all else.

    The range is wider where the gain or the bias is extreme. ln(q'/q) is scanned on a logarithmic
    grid, and roots without a sign change are found too. Where every q is a fixed point, the one
    with q = 1 represents them. Raises InvalidValueError if the activation is not known at all
    these q.
    """
    require_functions(activation)
    square_gain = weight_gain * weight_gain

    def excess(log_q: float) -> float:
        q = math.exp(log_q)
        image = ensemble_image(activation, q, square_gain, bias)
        return math.log(image / q) if image > 0 else -math.inf

    # The image of zero signal. No image, and so no root, is much smaller.
    rest = float(activation.function(np.zeros(1))[0])
    floor = square_gain * rest * rest + bias * bias
    low = min(LOWEST, 0.25 * floor) if floor > NOTHING else LOWEST
    high = max(HIGHEST, 1e3 * (square_gain + bias * bias))
    grid, seconds = _scanned(activation, low, high)
    with np.errstate(divide="ignore", over="ignore"):
        images = square_gain * seconds + bias * bias
        values = np.log(images / np.exp(grid))
    if activation.reach < math.inf and np.isnan(values).any():
        raise unknown(activation)
    moving = np.abs(values) > _ROUNDING
    if not moving.any() and bias == 0:
        return Search((_point(activation, 1.0, weight_gain, bias, pairs=pairs),), True, "keeps")

    roots: list[float] = []
    kept = np.flatnonzero(moving)
    for left, right in pairwise(kept.tolist()):
        if (values[left] > 0) == (values[right] > 0):
            continue
        if right - left == 2:
            # The grid point between the two is the root, to within rounding.
            roots.append(float(grid[left + 1]))
        else:
            roots.append(root(excess, grid[left], grid[right]))
    for i in range(1, grid.size - 1):
        # A dip towards 0 without a sign change may hide a pair of roots, or touch 0.
        sign = math.copysign(1.0, values[i - 1])
        before, here, after = sign * values[i - 1 : i + 2]
        dips = -_ROUNDING <= here < min(before, after)
        # A parabola that touches 0 is 9 times higher at one of the neighbours, or more. Dips of
        # rounding are flat.
        deep = 2.0 * here < max(before, after)
        if moving[i - 1] and moving[i + 1] and dips and deep:
            from scipy.optimize import minimize_scalar

            found = minimize_scalar(
                lambda x, s=sign: s * excess(x),
                bounds=(grid[i - 1], grid[i + 1]),
                method="bounded",
                options={"xatol": 1e-10},
            )
            if found.fun < -_ROUNDING:
                roots += [
                    root(excess, grid[i - 1], found.x),
                    root(excess, found.x, grid[i + 1]),
                ]
            elif here <= _ROUNDING:
                roots.append(float(grid[i]))
            elif found.fun < _ROUNDING:
                roots.append(float(found.x))
    points = [0.0] if floor <= NOTHING else []
    points += [_rounded(math.exp(place), excess) for place in sorted(roots)]
    grows = bool(values[kept[-1]] > 0) if kept.size else bias > 0
    found = []
    for q in points:
        # The nearest points on either side where the map moves.
        log_q = math.log(q) if q > 0 else -math.inf
        rises_below = (values[kept[grid[kept] < log_q]] > 0)[-1:]
        falls_above = (values[kept[grid[kept] > log_q]] < 0)[:1]
        approached = bool(rises_below.all() and falls_above.all())
        point = _point(activation, q, weight_gain, bias, pairs=pairs, approached=approached)
        found.append(point)
    return Search(stable_first(found), False, "grows" if grows else "returns")


@lru_cache(maxsize=8)
def _scanned(activation: Activation, low: float, high: float) -> tuple[FloatArray, FloatArray]:
    """Return ln q from `low` to `high` and E[φ²] there, which are the same for all gains."""
    grid = np.linspace(math.log(LOWEST), math.log(high), _POINTS)
    if low < LOWEST:
        # Below the grid, q' is its value at 0 plus a linear term: one point a decade suffices.
        count = math.ceil(math.log10(LOWEST / low))
        grid = np.concatenate([np.linspace(math.log(low), grid[0], count, endpoint=False), grid])
    with np.errstate(over="ignore"):
        return grid, second_moments(activation, np.exp(grid))


def unknown(activation: Activation) -> InvalidValueError:
    """Return the error for an activation that is not known at all second moments."""
    return InvalidValueError(
        "activation",
        f"{activation.name}, known to the theory up to ±{activation.reach:g}",
        f"known to the theory up to ±{_REACH:g}",
        f"{activation.doubt}: write phi and dphi so that dphi is the derivative of phi, and neither"
        " overflows nor jumps within that range",
    )


def _rounded(q: float, excess: Callable[[float], float]) -> float:
    """Return `q` rounded to 12 digits if that is as good a root, else `q`."""
    short = float(f"{q:.12g}")
    return short if abs(excess(math.log(short))) <= _ROUNDING else q


def zero_slope(activation: Activation, square_gain: float) -> float:
    """Return the limit of q'/q at q = 0 without biases: the growth factor of very small signals."""
    left, right = one_sided_slopes(activation, 0.0)
    return square_gain * float(left**2 + right**2) / 2.0


def _point(
    activation: Activation,
    q: float,
    weight_gain: float,
    bias: float,
    *,
    pairs: bool,
    approached: bool = False,
) -> FixedPoint:
    """Return the record of the fixed point with pre-activation second moment `q`.

    `approached` tells whether the map moves nearby q towards it.
    """
    square_gain = weight_gain * weight_gain
    state = centred_moments(activation, q)
    by_q = jacobian(activation, 0.0, q)[:, 1]
    with np.errstate(invalid="ignore"):
        # q = G²(variance + mean²) + b²: ∂q/∂(mean, variance) = G²(2 mean, 1). At q = 0 the mean is
        # 0 and its column vanishes, even where the slope is infinite.
        by_output = square_gain * np.array([2.0 * state.mean, 1.0])
        matrix = np.outer(by_q, by_output) if q > 0 else np.outer(by_q, by_output * [0.0, 1.0])
    matrix = np.where(np.isnan(matrix), 0.0, matrix)
    # Rank one: the eigenvalues are ∂q'/∂q and 0.
    slope = float(matrix[0, 0] + matrix[1, 1]) if q > 0 else zero_slope(activation, square_gain)
    correlations: tuple[CorrelationFixedPoint, ...] = ()
    if pairs and q > 0:
        correlations = correlation_fixed_points(activation, q, weight_gain, bias)
    return fixed_point_record(
        state.mean,
        state.variance,
        matrix,
        (complex(slope), 0j),
        square_gain * state.derivative_square,
        correlations,
        slowly_attracting=approached,
        correlation_continuum=every_correlation_fixed(correlations),
    )
