"""Data whose samples differ in norm: each class of equal norms has its own second moment q.

A sample of second moment s has q = G²s + b² in the first layer, and q then follows the ensemble map
independently of the other samples. A statistic over samples is the average over classes. A
statistic over pairs is the average over pairs of classes, whose cosines start from the mean cosines
of the data.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from snstat.activation import Activation, resolve
from snstat.gaussian.centred import CentredMoments, centred_moments
from snstat.gaussian.cross import apart_after
from snstat.gaussian.quadrature import FloatArray
from snstat.gaussian.tabulated import tabulated_array
from snstat.layers.dense_layer import DenseLayer
from snstat.layers.weights import LARGEST_SECOND_MOMENT
from snstat.network.stack import Stack
from snstat.results import NormClasses
from snstat.theory.prediction import PairStates

# A relative change of all second moments below this is rounding.
_SETTLED = 2e-15
# The number of layers whose moments are evaluated directly.
_DIRECT = 256
# A change of all cosines below this is rounding.
_STILL = 4e-15


@dataclass(frozen=True, slots=True, eq=False)
class ClassStates:
    """For every layer and class: q of the pre-activations and the moments of the activations.

    Arrays are (depth + 1, classes), NaN at layer 0 and where a class is no longer finite. The last
    class is that of the largest sample, which `shares` (classes,) does not count twice.
    """

    shares: FloatArray
    q: FloatArray
    mean: FloatArray
    variance: FloatArray
    skewness: FloatArray
    kurtosis: FloatArray
    derivative_square: FloatArray

    @property
    def second_moment(self) -> FloatArray:
        """E[φ²] of each class."""
        return self.mean * self.mean + self.variance


def follow_classes(stack: Stack, norms: NormClasses) -> ClassStates:
    """Return the states of all classes of `norms`, each computed on its own."""
    seconds = np.array([*norms.second_moment, norms.largest])
    shares = np.append(np.array(norms.count) / norms.samples, 0.0)
    columns = np.full((6, stack.depth + 1, seconds.size), math.nan)
    previous = np.full(seconds.size, math.nan)
    for first, count, layer in stack.equal_layers():
        for number in range(first, first + count):
            q = layer.pre_second_moment(seconds)
            q[~(q <= LARGEST_SECOND_MOMENT)] = math.nan
            columns[:, number] = _of_layer(resolve(layer.activation), q, tables=number > _DIRECT)
            mean, variance = columns[1:3, number]
            seconds = mean * mean + variance
            still = np.isnan(q) | (np.abs(q - previous) <= _SETTLED * q)
            previous = q
            if number > first and still.all():
                columns[:, number : first + count] = columns[:, number : number + 1]
                break
        previous = np.full(seconds.size, math.nan)
    return ClassStates(shares, *columns)


def _of_layer(activation: Activation, q: FloatArray, *, tables: bool) -> FloatArray:
    """Return q and the moments of φ for every class, (6, classes), from tables if `tables`."""
    found = np.full((6, q.size), math.nan)
    found[0] = q
    at_once = tabulated_array(activation, q) if tables else None
    if at_once is not None:
        found[1:] = at_once
        return found
    values, place = np.unique(q, return_inverse=True)
    table = [_numbers(activation, float(value)) for value in values]
    found[1:] = np.array(table).T[:, place.ravel()]
    return found


def _numbers(activation: Activation, q: float) -> tuple[float, ...]:
    if math.isnan(q):
        return (math.nan,) * 5
    state: CentredMoments = centred_moments(activation, q)
    square = state.derivative_square
    if q == 0:  # the slope at 0 itself, not its limit for small q
        square = float(activation.derivative(np.zeros(()))) ** 2
    return state.mean, state.variance, state.skewness, state.kurtosis, square


def pooled(states: ClassStates, samples: int, batch: int) -> dict[str, FloatArray]:
    """Return the statistics of single samples for a random `batch` out of `samples`, by name."""
    shares = states.shares
    mean = states.mean @ shares
    apart = states.mean - mean[:, None]
    between, within = (apart * apart) @ shares, states.variance @ shares
    # Variance of the mean of a batch drawn without replacement.
    drawn = (samples - batch) / max(samples - 1, 1) / batch
    kurtosis = np.full(mean.size, math.nan)
    if batch == samples:
        with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
            spread = states.variance
            # A class without variance has no skewness or kurtosis, and contributes no moments.
            third = np.where(spread > 0, states.skewness * spread**1.5, 0.0 * spread)
            fourth = np.where(spread > 0, states.kurtosis * spread**2, 0.0 * spread)
            total = fourth + 4.0 * third * apart + 6.0 * spread * apart**2 + apart**4
            kurtosis = (total @ shares) / (between + within) ** 2
    return {
        "mean": mean,
        "second_moment": states.second_moment @ shares,
        "variance": within + (1.0 - drawn) * between,
        "variance_over_units": within,
        "kurtosis": kurtosis,
    }


def follow_pairs(stack: Stack, norms: NormClasses, states: ClassStates) -> PairStates:
    """Return the statistics of pairs of samples, NaN where they are not known well enough."""
    count = np.array(norms.count, dtype=float)
    pairs = np.outer(count, count) - np.diag(count)
    share = pairs / pairs.sum()
    misalignment, gap, cosine = np.full((3, stack.depth + 1), math.nan)
    second = np.array(norms.second_moment)
    # A sample of zeros has no cosine, but its product with any sample is 0.
    apart = np.where(np.isnan(norms.cosine), 1.0, 1.0 - np.array(norms.cosine))
    for first, count_equal, layer in stack.equal_layers():
        for number in range(first, first + count_equal):
            q = states.q[number, :-1]
            aligned = _through_weights(layer, second, q, apart)
            second, before = states.second_moment[number, :-1], apart
            apart = apart_after(resolve(layer.activation), q, aligned, second)
            root = np.sqrt(second)
            product = np.outer(root, root)
            gaps = 0.5 * np.subtract.outer(root, root) ** 2 + product * apart
            misalignment[number] = _average(aligned, share * (np.outer(q, q) > 0))
            gap[number] = float((share * gaps).sum())
            cosine[number] = 1.0 - _average(apart, share * (product > 0))
            if np.isnan(apart).any():
                return PairStates(misalignment, gap, cosine)
            still = number > first + 1 and np.array_equal(q, states.q[number - 1, :-1])
            if still and np.abs(apart - before).max() <= _STILL:
                for column in (misalignment, gap, cosine):
                    column[number : first + count_equal] = column[number]
                break
    return PairStates(misalignment, gap, cosine)


def _average(values: FloatArray, weights: FloatArray) -> float:
    """Return the weighted average, NaN where all weights are 0."""
    total = float(weights.sum())
    return float((weights * values).sum()) / total if total > 0 else math.nan


def _through_weights(
    layer: DenseLayer, second: FloatArray, q: FloatArray, apart: FloatArray
) -> FloatArray:
    """Return 1 − c of the pre-activations (classes, classes), from 1 − cosine of the activations.

    √(q₁q₂) − G²√(s₁s₂) − b² subtracts nearly equal numbers where s₁ ≈ s₂. It is computed as
    G²b²(√s₁ − √s₂)² over their sum.
    """
    root = np.sqrt(second)
    product = layer.square_gain * np.outer(root, root)
    bias = layer.bias_std**2
    scale = np.sqrt(np.outer(q, q))
    with np.errstate(divide="ignore", invalid="ignore"):
        uneven = layer.square_gain * bias * np.subtract.outer(root, root) ** 2
        uneven = uneven / (scale + product + bias)
        return np.where(scale > 0, (uneven + product * apart) / scale, 0.0)
