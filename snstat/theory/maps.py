"""The maps of the public interface: moments after one layer, correlations, gradients.

The unit map is that of one unit with given weights (sum ω, square sum τ): z ~ N(μω, ντ). The
ensemble map is that of random weights of variance G²/fan_in and biases of standard deviation b:
z ~ N(0, G²(ν + μ²) + b²). They agree at (0, 1) with default weights and differ elsewhere.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from snstat.activations import ACTIVATIONS, Activation
from snstat.errors import InvalidValueError, UnknownNameError
from snstat.stack import number
from snstat.theory.expectations import derivative_second_moment, moments
from snstat.theory.pairs import pair_gap
from snstat.theory.quadrature import FloatArray

# Pre-activations beyond this cannot be squared in double precision.
LARGEST_MEAN, LARGEST_VARIANCE = 1e140, 1e280


def activation_named(name: str) -> Activation:
    """Return the activation called `name`; raise UnknownNameError if there is none."""
    if name not in ACTIVATIONS:
        raise UnknownNameError("activation", name, ACTIVATIONS)
    return ACTIVATIONS[name]


def unit_map(
    activation: str,
    mean: npt.ArrayLike,
    variance: npt.ArrayLike,
    *,
    weight_sum: float = 0.0,
    weight_square_sum: float = 1.0,
) -> tuple[FloatArray, FloatArray]:
    """Return (mean, variance) after one layer of the unit map.

    `mean` and `variance` of the inputs broadcast like numpy arrays; scalars give floats. Raises
    UnknownNameError, and InvalidValueError for values that are not finite, a variance or square
    sum below 0, or pre-activations too large to be squared.
    Source: Klambauer et al., arXiv:1706.02515, equations 4 and 5.
    """
    entry = activation_named(activation)
    weight_sum = number("weight_sum", weight_sum)
    weight_square_sum = number("weight_square_sum", weight_square_sum, 0.0)
    mean, variance = _finite("mean", mean), _finite("variance", variance, 0.0)
    with np.errstate(over="ignore"):
        pre_mean, pre_variance = mean * weight_sum, variance * weight_square_sum
    require_bounded(pre_mean, pre_variance)
    return moments(entry, pre_mean, pre_variance)


def ensemble_map(
    activation: str,
    mean: npt.ArrayLike,
    variance: npt.ArrayLike,
    *,
    weight_gain: float = 1.0,
    bias_std: float = 0.0,
) -> tuple[FloatArray, FloatArray]:
    """Return (mean, variance) after one layer of the ensemble map.

    Arguments broadcast and errors are raised as in `unit_map`.
    Source: Poole et al., arXiv:1606.05340, with the mean beside the second moment.
    """
    entry = activation_named(activation)
    weight_gain = number("weight_gain", weight_gain, 0.0)
    bias_std = number("bias_std", bias_std, 0.0)
    mean, variance = _finite("mean", mean), _finite("variance", variance, 0.0)
    with np.errstate(over="ignore"):
        q = np.square(weight_gain) * (variance + np.square(mean)) + np.square(bias_std)
    require_bounded(np.zeros(()), q)
    return moments(entry, 0.0, q)


def correlation_map(
    activation: str,
    correlation: npt.ArrayLike,
    second_moment: npt.ArrayLike,
    *,
    weight_gain: float = 1.0,
    bias_std: float = 0.0,
) -> FloatArray:
    """Return the correlation of the next pre-activations of two inputs.

    `correlation` of their pre-activations is in [-1, 1] and `second_moment` (of each) at least 0;
    they broadcast. NaN where the next pre-activations are 0. Errors as in `unit_map`.
    Source: Poole et al., arXiv:1606.05340, equation 5.
    """
    entry = activation_named(activation)
    square_gain = number("weight_gain", weight_gain, 0.0) ** 2
    bias_square = number("bias_std", bias_std, 0.0) ** 2
    correlations, seconds = np.broadcast_arrays(
        _finite("correlation", correlation, -1.0, 1.0), _finite("second_moment", second_moment, 0.0)
    )
    require_bounded(np.zeros(()), seconds)
    result = np.empty(correlations.shape)
    for index in np.ndindex(result.shape):
        c, q = float(correlations[index]), float(seconds[index])
        mean, variance = moments(entry, 0.0, q)
        image = square_gain * (variance + mean * mean) + bias_square
        gap = square_gain * pair_gap(entry, q, 1.0 - c)
        result[index] = 1.0 - gap / image if image > 0 else math.nan
    return result[()]


def gradient_growth(
    activation: str, second_moment: npt.ArrayLike, *, weight_gain: float = 1.0
) -> FloatArray:
    """Return χ = G² E[φ'(√q z)²]: the factor by which the mean squared gradient changes per layer
    going backward, at pre-activation second moment q. Errors as in `unit_map`.

    Source: Schoenholz et al., arXiv:1611.01232.
    """
    entry = activation_named(activation)
    square_gain = number("weight_gain", weight_gain, 0.0) ** 2
    q = _finite("second_moment", second_moment, 0.0)
    require_bounded(np.zeros(()), q)
    return square_gain * derivative_second_moment(entry, 0.0, q)


def _finite(
    name: str, values: npt.ArrayLike, low: float = -math.inf, high: float = math.inf
) -> FloatArray:
    """Return `values` as a float64 array within bounds; raise InvalidValueError otherwise."""
    bound = "finite numbers"
    if low > -math.inf:
        bound += f" of at least {low:g}" if high == math.inf else f" from {low:g} to {high:g}"
    try:
        array = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError):
        raise InvalidValueError(name, values, bound) from None
    bad = ~(np.isfinite(array) & (array >= low) & (array <= high))
    if bad.any():
        raise InvalidValueError(name, float(array[bad].flat[0]), bound)
    return array


def require_bounded(mean: FloatArray, variance: FloatArray) -> None:
    """Raise InvalidValueError where squares of pre-activations would overflow."""
    for name, values, largest in (
        ("mean", mean, LARGEST_MEAN),
        ("variance", variance, LARGEST_VARIANCE),
    ):
        worst = float(np.max(np.abs(values), initial=0.0))
        if not worst <= largest:
            raise InvalidValueError(
                f"{name} of the pre-activations",
                worst,
                f"at most {largest:g}",
                "beyond it no square fits a double: scale the inputs or weights down",
            )
