"""The maps of the public interface: moments after one layer, correlations, gradients.

The unit map describes one unit with given weights (sum ω, square sum τ): z ~ N(μω, ντ). The
ensemble map describes random weights of variance G²/fan_in and biases of standard deviation b:
z ~ N(0, G²(ν + μ²) + b²). They agree at (0, 1) with default weights and differ elsewhere.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from snstat.activation import Activation, Pair, resolve
from snstat.errors import InvalidValueError
from snstat.gaussian.expectations import derivative_second_moment, moments
from snstat.gaussian.pairs import pair_gap
from snstat.gaussian.quadrature import FloatArray

# Pre-activations beyond this cannot be squared in double precision.
LARGEST_MEAN, LARGEST_VARIANCE = 1e140, 1e280
# A variance below this share of the squared mean has lost digits to rounding, to 1e-10 or worse.
_CANCELLED = 1e-12


def unit_map(
    activation: str | Pair,
    mean: npt.ArrayLike,
    variance: npt.ArrayLike,
    *,
    weight_sum: npt.ArrayLike = 0.0,
    weight_square_sum: npt.ArrayLike = 1.0,
) -> tuple[FloatArray, FloatArray]:
    """Return (mean, variance) after one layer of the unit map.

    `mean` and `variance` of the inputs, `weight_sum` and `weight_square_sum` broadcast like numpy
    arrays to the shape of both results; scalars give floats. Raises UnknownNameError, and
    InvalidValueError for values that are not finite, a variance or square sum below 0, or
    pre-activations too large to square.
    Source: Klambauer et al., arXiv:1706.02515, equations 4 and 5.
    """
    return unit_moments(resolve(activation), mean, variance, weight_sum, weight_square_sum)


def unit_moments(
    activation: Activation,
    mean: npt.ArrayLike,
    variance: npt.ArrayLike,
    weight_sum: npt.ArrayLike,
    weight_square_sum: npt.ArrayLike,
) -> tuple[FloatArray, FloatArray]:
    """Return the result of `unit_map` for any activation, listed or not."""
    weight_sum = finite("weight_sum", weight_sum)
    weight_square_sum = finite("weight_square_sum", weight_square_sum, 0.0)
    mean, variance = finite("mean", mean), finite("variance", variance, 0.0)
    _require_together(
        mean=mean, variance=variance, weight_sum=weight_sum, weight_square_sum=weight_square_sum
    )
    with np.errstate(over="ignore"):
        pre_mean, pre_variance = mean * weight_sum, variance * weight_square_sum
    require_bounded(pre_mean, pre_variance)
    new_mean, new_variance = moments(activation, pre_mean, pre_variance)
    if activation.custom:  # its asymptotes are not known, so cancellation cannot be avoided
        lost = (pre_variance > 0) & (new_variance < _CANCELLED * np.square(new_mean))
        new_variance = np.where(lost, math.nan, new_variance)[()]
    return new_mean, new_variance


def ensemble_map(
    activation: str | Pair,
    mean: npt.ArrayLike,
    variance: npt.ArrayLike,
    *,
    weight_gain: npt.ArrayLike = 1.0,
    bias_std: npt.ArrayLike = 0.0,
) -> tuple[FloatArray, FloatArray]:
    """Return (mean, variance) after one layer of the ensemble map.

    `mean`, `variance`, `weight_gain` and `bias_std` broadcast as in `unit_map`, and errors are the
    same.
    Source: Poole et al., arXiv:1606.05340, with the mean in addition to the second moment.
    """
    return ensemble_moments(resolve(activation), mean, variance, weight_gain, bias_std)


def ensemble_moments(
    activation: Activation,
    mean: npt.ArrayLike,
    variance: npt.ArrayLike,
    weight_gain: npt.ArrayLike,
    bias_std: npt.ArrayLike,
) -> tuple[FloatArray, FloatArray]:
    """Return the result of `ensemble_map` for any activation, listed or not."""
    weight_gain = finite("weight_gain", weight_gain, 0.0)
    bias_std = finite("bias_std", bias_std, 0.0)
    mean, variance = finite("mean", mean), finite("variance", variance, 0.0)
    _require_together(mean=mean, variance=variance, weight_gain=weight_gain, bias_std=bias_std)
    with np.errstate(over="ignore"):
        q = np.square(weight_gain) * (variance + np.square(mean)) + np.square(bias_std)
    require_bounded(np.zeros(()), q)
    return moments(activation, 0.0, q)


def correlation_map(
    activation: str | Pair,
    correlation: npt.ArrayLike,
    second_moment: npt.ArrayLike,
    *,
    weight_gain: npt.ArrayLike = 1.0,
    bias_std: npt.ArrayLike = 0.0,
) -> FloatArray:
    """Return the correlation of the next pre-activations of two inputs.

    `correlation` of their pre-activations is in [-1, 1] and `second_moment` (of each) is at
    least 0. They broadcast with `weight_gain` and `bias_std` to the shape of the result. NaN where
    the next pre-activations are 0. Errors as in `unit_map`.
    Source: Poole et al., arXiv:1606.05340, equation 5.
    """
    entry = resolve(activation)
    given = {
        "correlation": finite("correlation", correlation, -1.0, 1.0),
        "second_moment": finite("second_moment", second_moment, 0.0),
        "weight_gain": finite("weight_gain", weight_gain, 0.0),
        "bias_std": finite("bias_std", bias_std, 0.0),
    }
    _require_together(**given)
    correlations, seconds, gains, biases = np.broadcast_arrays(*given.values())
    require_bounded(np.zeros(()), seconds)
    result = np.empty(correlations.shape)
    for index in np.ndindex(result.shape):
        c, q = float(correlations[index]), float(seconds[index])
        square_gain = float(gains[index]) ** 2
        mean, variance = moments(entry, 0.0, q)
        image = square_gain * (variance + mean * mean) + float(biases[index]) ** 2
        gap = square_gain * pair_gap(entry, q, 1.0 - c)
        result[index] = 1.0 - gap / image if image > 0 else math.nan
    return result[()]


def gradient_growth(
    activation: str | Pair, second_moment: npt.ArrayLike, *, weight_gain: npt.ArrayLike = 1.0
) -> FloatArray:
    """Return χ = G² E[φ'(√q z)²]: the factor by which the mean squared gradient changes per layer
    going backward, at pre-activation second moment q.

    At q = 0 the result is that of a network at rest, G²φ'(0)² with the φ'(0) of backpropagation.
    At a kink (SELU, ReLU, leaky ReLU) small signals have a different factor, which `fixed_points`
    reports.

    `second_moment` and `weight_gain` broadcast; errors as in `unit_map`.

    Source: Schoenholz et al., arXiv:1611.01232.
    """
    entry = resolve(activation)
    gain = finite("weight_gain", weight_gain, 0.0)
    q = finite("second_moment", second_moment, 0.0)
    _require_together(weight_gain=gain, second_moment=q)
    square_gain = np.square(gain)
    require_bounded(np.zeros(()), q)
    growth: FloatArray = square_gain * derivative_second_moment(entry, 0.0, q)
    return growth


def finite(
    name: str, values: npt.ArrayLike, low: float = -math.inf, high: float = math.inf
) -> FloatArray:
    """Return `values` as a float64 array within bounds; raise InvalidValueError otherwise."""
    bound = "finite numbers"
    if low > -math.inf:
        bound += f" of at least {low:g}" if high == math.inf else f" from {low:g} to {high:g}"
    parts = values if isinstance(values, list | tuple) else [values]
    if any(np.ma.is_masked(part) for part in parts):
        raise InvalidValueError(name, "masked in part", bound, "fill or remove the masked values")
    if hasattr(values, "detach"):  # a tensor that requires a gradient
        values = values.detach()
    try:
        array = np.asarray(values, dtype=np.float64)
    # Arrays of other libraries raise errors of any kind, such as a tensor that requires a gradient.
    except Exception:  # noqa: BLE001
        raise InvalidValueError(name, values, bound) from None
    bad = ~(np.isfinite(array) & (array >= low) & (array <= high))
    if bad.any():
        raise InvalidValueError(name, float(array[bad].flat[0]), bound)
    return array


def _require_together(**arrays: FloatArray) -> None:
    """Raise InvalidValueError unless the shapes of `arrays` broadcast together."""
    try:
        np.broadcast_shapes(*(array.shape for array in arrays.values()))
    except ValueError:
        shapes = ", ".join(f"{name} {array.shape}" for name, array in arrays.items() if array.ndim)
        raise InvalidValueError("shapes", shapes, "shapes that broadcast together") from None


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
                "larger values overflow when squared: scale the inputs or weights down",
            )
