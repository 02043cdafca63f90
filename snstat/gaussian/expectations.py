"""Gaussian expectations of activations: E[φ], Var[φ] and others from the same nodes.

For z ~ N(mean, variance). Each function broadcasts its arguments like numpy; scalars give floats.
Two measures avoid cancellation: φ is measured from its horizontal asymptote where it is nearly
constant there, and second moments are centred in a second pass over the nodes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt

from snstat.activation import Activation, Asymptote, Elementwise
from snstat.gaussian.quadrature import FloatArray, Nodes, distinct, gaussian_nodes
from snstat.gaussian.sine import (
    sine_jacobian,
    sine_kurtosis,
    sine_moments,
    sine_slope_mean,
    sine_slope_square,
)

# Elements evaluated at once. This limits the memory of a call to some tens of megabytes.
_CHUNK = 256
# From this ω²·variance on, the kurtosis of a sine is the sum of its harmonics.
_TURNS = 2.0

Integrand = Callable[[Nodes, FloatArray, FloatArray], tuple[FloatArray, ...]]


def moments(
    activation: Activation, mean: npt.ArrayLike, variance: npt.ArrayLike
) -> tuple[FloatArray, FloatArray]:
    """Return (E[φ(z)], Var[φ(z)]) for z ~ N(mean, variance).

    The error of the mean is below 1e-12 √E[φ²] and the relative error of the variance below 1e-12
    for |mean| ≤ 10, 0.01 ≤ variance ≤ 50. Both are below 1e-10 for |mean| ≤ 50,
    1e-6 ≤ variance ≤ 1e4.
    """
    sine = activation.formed("sine")
    if sine is not None:
        return sine_moments(sine[0], *_paired(mean, variance))

    def integrand(nodes: Nodes, value: FloatArray, level: FloatArray) -> tuple[FloatArray, ...]:
        centre = nodes.average(value)
        spread = value - centre[:, None]
        # Powers of two are exact, and squares near the end of a float's range do not overflow.
        exponent = np.frexp(np.abs(spread).max(axis=1))[1]
        unit = np.ldexp(spread, -exponent[:, None])
        return level + centre, np.ldexp(nodes.average(unit * unit), 2 * exponent)

    new_mean, new_variance = _integrate(activation, mean, variance, integrand, 2)
    still = np.asarray(variance) == 0
    if np.any(still):  # exact, without the rounding of a weighted sum
        new_mean = np.where(still, activation.function(np.asarray(mean, float)), new_mean)[()]
        new_variance = np.where(still, 0.0, new_variance)[()]
    return new_mean, new_variance


def second_moment(
    activation: Activation, mean: npt.ArrayLike, variance: npt.ArrayLike
) -> FloatArray:
    """Return E[φ(z)²]."""
    sine = activation.formed("sine")
    if sine is not None:
        of_sine, spread = sine_moments(sine[0], *_paired(mean, variance))
        return (of_sine * of_sine + spread)[()]

    def integrand(nodes: Nodes, value: FloatArray, level: FloatArray) -> tuple[FloatArray, ...]:
        value = value + level[:, None]
        return (nodes.average(value * value),)

    return _integrate(activation, mean, variance, integrand, 1)[0]


def kurtosis(activation: Activation, mean: npt.ArrayLike, variance: npt.ArrayLike) -> FloatArray:
    """Return E[(φ − E φ)⁴]/Var[φ]², NaN where the variance of φ is 0."""

    def integrand(nodes: Nodes, value: FloatArray, level: FloatArray) -> tuple[FloatArray, ...]:
        spread = value - nodes.average(value)[:, None]
        # Scale before squaring: tiny variances do not vanish and huge ones do not overflow.
        scale = np.abs(spread).max(axis=1, keepdims=True)
        square = (spread / np.where(scale > 0, scale, 1.0)) ** 2
        variance = nodes.average(square)
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = nodes.average(square * square) / variance**2
        return (np.where(variance > 0, ratio, np.nan),)

    sine = activation.formed("sine")
    calm = 0.0 if sine is None else np.asarray(variance) * sine[0] ** 2
    # For a sine of many periods there are too few nodes, but its harmonics do not cancel.
    near = np.where(np.asarray(calm) > _TURNS, 1.0, variance)
    result = _integrate(activation, mean, near, integrand, 1)[0]
    if sine is not None:
        far = np.where(calm > _TURNS, variance, 1.0 / sine[0] ** 2)
        result = np.where(calm > _TURNS, sine_kurtosis(sine[0], mean, far), result)
    return np.where(np.asarray(variance) > 0, result, np.nan)[()]


def derivative_second_moment(
    activation: Activation, mean: npt.ArrayLike, variance: npt.ArrayLike
) -> FloatArray:
    """Return E[φ'(z)²]."""
    return _of_slope(activation, mean, variance, np.square, sine_slope_square)


def derivative_mean(
    activation: Activation, mean: npt.ArrayLike, variance: npt.ArrayLike
) -> FloatArray:
    """Return E[φ'(z)]."""
    return _of_slope(activation, mean, variance, np.positive, sine_slope_mean)


def _of_slope(
    activation: Activation,
    mean: npt.ArrayLike,
    variance: npt.ArrayLike,
    value: Callable[[FloatArray], FloatArray],
    of_sine: Callable[[float, FloatArray, FloatArray], FloatArray],
) -> FloatArray:
    """Return the expectation of `value` of φ'(z); `of_sine` is that of a sine."""
    sine = activation.formed("sine")
    if sine is not None:
        return of_sine(sine[0], *_paired(mean, variance))

    def integrand(nodes: Nodes, _: FloatArray, __: FloatArray) -> tuple[FloatArray, ...]:
        return (nodes.average(value(activation.derivative(nodes.x))),)

    return _integrate(activation, mean, variance, integrand, 1)[0]


def jacobian(activation: Activation, mean: npt.ArrayLike, variance: npt.ArrayLike) -> FloatArray:
    """Return ∂(E φ, Var φ)/∂(mean, variance), shape (..., 2, 2), rows first.

    At variance 0 it is the limit from above, so at a kink ∂(E φ)/∂variance is ±inf. By Stein's
    lemma, ∂/∂variance = E[z·φ']/(2·std) needs no second derivative.
    """
    mean, variance = np.broadcast_arrays(
        np.asarray(mean, dtype=np.float64), np.asarray(variance, dtype=np.float64)
    )
    sine = activation.formed("sine")
    if sine is not None:
        return _matrix(*sine_jacobian(sine[0], mean, variance))
    at_zero = variance <= 0
    positive = np.where(at_zero, 1.0, variance)

    def integrand(nodes: Nodes, value: FloatArray, level: FloatArray) -> tuple[FloatArray, ...]:
        slope = activation.derivative(nodes.x)
        spread = value - nodes.average(value)[:, None]
        slope_mean = nodes.average(slope)
        slope_spread = slope - slope_mean[:, None]
        tilt = nodes.average(nodes.z * slope_spread)
        return (
            slope_mean,
            tilt,
            2.0 * nodes.average(spread * slope_spread),
            nodes.average(spread * nodes.z * slope),
        )

    a, tilt, c, d = _integrate(activation, mean, positive, integrand, 4)
    std = np.sqrt(positive)
    b, d = tilt / (2.0 * std), d / std
    if np.any(at_zero):
        # Without variance only the slopes and curvatures on either side of the mean matter.
        left, right = one_sided_slopes(activation, mean)
        below, above = _one_sided(activation, activation.curvature, mean)
        linear = (left**2 + right**2) / 2.0 - (right - left) ** 2 / (2.0 * np.pi)
        # At a kink of φ' alone the slopes differ by the smallest number times φ''.
        alike = np.abs(right - left) < 1e-300
        bend = np.where(alike, (below + above) / 4.0, np.copysign(np.inf, right - left))
        a = np.where(at_zero, (left + right) / 2.0, a)
        b = np.where(at_zero, bend, b)
        c = np.where(at_zero, 0.0, c)
        d = np.where(at_zero, linear, d)
    return _matrix(a, b, c, d)


def _matrix(a: FloatArray, b: FloatArray, c: FloatArray, d: FloatArray) -> FloatArray:
    return np.stack([np.stack([a, b], axis=-1), np.stack([c, d], axis=-1)], axis=-2)


def _paired(mean: npt.ArrayLike, variance: npt.ArrayLike) -> tuple[FloatArray, FloatArray]:
    """Return both as float64 arrays of one shape."""
    first, second = np.broadcast_arrays(
        np.asarray(mean, dtype=np.float64), np.asarray(variance, dtype=np.float64)
    )
    return first, second


def one_sided_slopes(activation: Activation, x: npt.ArrayLike) -> tuple[FloatArray, FloatArray]:
    """Return φ' just below and just above `x`, which differ only at a kink."""
    return _one_sided(activation, activation.derivative, np.asarray(x, dtype=np.float64))


def _one_sided(
    activation: Activation, function: Elementwise, x: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Return the limits of φ' or φ'' from below and from above at `x`."""
    at_kink = np.isin(x, activation.kinks)
    below, above = np.nextafter(x, -np.inf), np.nextafter(x, np.inf)
    middle = function(x)
    return np.where(at_kink, function(below), middle), np.where(at_kink, function(above), middle)


def _integrate(
    activation: Activation,
    mean: npt.ArrayLike,
    variance: npt.ArrayLike,
    integrand: Integrand,
    outputs: int,
) -> tuple[FloatArray, ...]:
    """Evaluate `integrand` for every element, in chunks that share a range and an asymptote."""
    mean, variance = np.broadcast_arrays(
        np.asarray(mean, dtype=np.float64), np.asarray(variance, dtype=np.float64)
    )
    shape = mean.shape
    mean, std = mean.ravel(), np.sqrt(variance.ravel())
    results = [np.empty(mean.size) for _ in range(outputs)]
    with np.errstate(under="ignore", over="ignore"):  # beyond the range of a float is infinity
        for index, asymptote in _groups(activation, mean, std):
            nodes = gaussian_nodes(activation, mean[index], std[index])
            if asymptote is None:
                value, level = activation.function(nodes.x), np.zeros(index.size)
            else:
                value = asymptote.residual(nodes.x)
                level = np.full(index.size, asymptote.level)
            for result, part in zip(results, integrand(nodes, value, level), strict=True):
                result[index] = part
    return tuple(result.reshape(shape)[()] for result in results)


def _groups(
    activation: Activation, mean: FloatArray, std: FloatArray
) -> Iterator[tuple[npt.NDArray[np.intp], Asymptote | None]]:
    """Yield (indices, asymptote that φ is measured from): the nearest to φ(mean), None for 0."""
    choices = [None, activation.left, activation.right]
    distance = np.full((3, mean.size), np.inf)
    distance[0] = np.abs(activation.function(mean))
    for row, asymptote in enumerate(choices):
        if asymptote is not None and asymptote.level != 0:
            distance[row] = np.abs(asymptote.residual(mean))
    chosen = np.argmin(distance, axis=0)
    far = np.abs(mean) >= 8.0 * std
    small = std <= 0.5
    key = chosen * 4 + far * 2 + small
    for value in distinct(key):
        index = np.flatnonzero(key == value)
        for start in range(0, index.size, _CHUNK):
            yield index[start : start + _CHUNK], choices[value // 4]
