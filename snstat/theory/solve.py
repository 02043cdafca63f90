"""SELU parameters for a given fixed point (Klambauer et al., arXiv:1706.02515, section 1)."""

from __future__ import annotations

import math

import numpy as np

from snstat.activation import Activation, Asymptote, resolve
from snstat.errors import InvalidValueError, NoSolutionError
from snstat.gaussian.expectations import moments, second_moment
from snstat.gaussian.quadrature import FloatArray
from snstat.theory.maps import require_bounded
from snstat.values import number


def _dip(x: FloatArray) -> FloatArray:
    return -np.expm1(np.minimum(x, 0.0))


def _dip_residual(x: FloatArray) -> FloatArray:
    return -np.exp(np.minimum(x, 0.0))


def _dip_derivative(x: FloatArray) -> FloatArray:
    return np.where(x > 0, 0.0, -np.exp(np.minimum(x, 0.0)))


# SELU is λ·(max(z, 0) − α·dip(z)).
_DIP = Activation(
    "dip",
    "1 − exp(min(x, 0))",
    "Klambauer et al., arXiv:1706.02515",
    _dip,
    _dip_derivative,
    _dip_derivative,
    kinks=(0.0,),
    left=Asymptote(1.0, _dip_residual),
)


def solve_selu(
    mean: float = 0.0,
    variance: float = 1.0,
    *,
    weight_sum: float = 0.0,
    weight_square_sum: float = 1.0,
) -> tuple[float, float]:
    """Return the positive (alpha, lambda) for which SELU's unit map has this fixed point.

    With p = max(z, 0) and n = 1 − eᶻ for z < 0 (0 above), φ = λ(p − αn) and pn = 0, so that
    E φ/√E[φ²] = (E p − α E n)/√(E[p²] + α² E[n²]). This is a decreasing function of α alone,
    between E p/√E[p²] at α = 0 and −E n/√E[n²] at infinity. λ follows from the scale.

    Raises NoSolutionError if no positive pair exists, and InvalidValueError for arguments that are
    not finite, a variance that is not positive or a negative square sum.
    """
    mean, variance = number("mean", mean), number("variance", variance, 0.0)
    weight_sum = number("weight_sum", weight_sum)
    weight_square_sum = number("weight_square_sum", weight_square_sum, 0.0)
    if variance == 0:
        raise InvalidValueError(
            "variance", variance, "above 0", "a variance of 0 does not determine alpha and lambda"
        )
    pre_mean, pre_variance = mean * weight_sum, variance * weight_square_sum
    require_bounded(np.array(pre_mean), np.array(pre_variance))
    if pre_variance == 0:
        raise NoSolutionError(
            f"weight_square_sum is {weight_square_sum:g}: pre-activations without variance give "
            "outputs without variance; raise it above 0"
        )
    positive = float(moments(resolve("relu"), pre_mean, pre_variance)[0])
    positive_square = float(second_moment(resolve("relu"), pre_mean, pre_variance))
    dip = float(moments(_DIP, pre_mean, pre_variance)[0])
    dip_square = float(second_moment(_DIP, pre_mean, pre_variance))
    if positive_square == 0 or dip_square == 0:
        side = "negative" if positive_square == 0 else "positive"
        raise NoSolutionError(
            f"pre-activations of mean {pre_mean:g} and variance {pre_variance:g} are all {side}: "
            "only one of alpha and lambda matters there; move weight_sum towards 0"
        )
    total = math.hypot(mean, math.sqrt(variance))
    ratio = mean / total
    highest = positive / math.sqrt(positive_square)
    lowest = -dip / math.sqrt(dip_square)
    if not lowest < ratio < highest:
        raise NoSolutionError(
            f"no positive alpha and lambda give mean {mean:g} and variance {variance:g}: "
            f"mean/√(mean² + variance) is {ratio:.6g}, but SELU of pre-activations N({pre_mean:g}, "
            f"{pre_variance:g}) reaches only values between {lowest:.6g} (alpha to infinity) and "
            f"{highest:.6g} (alpha 0); ask for a mean nearer to 0 or a larger variance"
        )
    alpha = _alpha(ratio, positive, positive_square, dip, dip_square)
    scale = total / math.sqrt(positive_square + alpha * alpha * dip_square)
    return alpha, scale


def _alpha(ratio: float, p: float, pp: float, n: float, nn: float) -> float:
    """Solve (p − αn)/√(pp + α²nn) = ratio for α > 0. Its square is quadratic in α."""
    square = ratio * ratio
    constant, middle, leading = p * p - square * pp, p * n, n * n - square * nn
    # Take the root at which p − αn has the sign of the ratio.
    # The discriminant is middle² − constant·leading without the terms that cancel.
    root = abs(ratio) * math.sqrt(max(p * p * nn + n * n * pp - square * pp * nn, 0.0))
    if ratio <= 0:
        return (middle + root) / leading
    return constant / (middle + root)
