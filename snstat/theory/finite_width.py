"""Theory to first order in 1/width: the expected value of each statistic at the simulated width.

The pre-activation second moment q of one network fluctuates around its infinite-width value, and
its mean differs from that value (`fluctuations`). Every expectation over the activations of a layer
is a function f of q, expanded to second order. The square of a mean adds the variance of that mean.
See docs/finite-width.md.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple

import numpy as np

from snstat.activation import resolve
from snstat.gaussian.dead import is_told
from snstat.gaussian.quadrature import FloatArray
from snstat.network.stack import Stack
from snstat.results import STATISTICS, InputMoments, within
from snstat.theory.by_layer import activations_of, units
from snstat.theory.dead_fluctuations import dead_of_batch
from snstat.theory.extremes import largest_input
from snstat.theory.finite_width_gradient import expected_log_gradient
from snstat.theory.fluctuations import ENDLESS, LARGEST_VARIANCE, Fluctuations, follow
from snstat.theory.gram import follow_gram
from snstat.theory.layer_moments import Moments
from snstat.theory.predict import Prediction
from snstat.theory.ratios import cosine, kurtosis, over_batch
from snstat.theory.silence import always_half, dead_with_silence


@dataclass(frozen=True, slots=True, eq=False)
class FiniteWidth:
    """First-order theory of a stack. Every array has shape (depth + 1,), NaN where not known.

    `expected` maps each name of `results.STATISTICS`, and "largest" of the input, to the expected
    value of a trial, `residual` to the size of the neglected terms, of order 1/width².
    `log_gradient` is the expected logarithm of `gradient` and `log_gradient_residual` its residual,
    NaN unless they were requested. `fluctuation` is the standard deviation between networks of the
    logarithm of one sample's second moment, to first order even where it is large, infinite beyond
    2. `trial_fluctuation` is a lower bound on that of the mean over the batch of a trial.
    """

    expected: Mapping[str, FloatArray]
    residual: Mapping[str, FloatArray]
    fluctuation: FloatArray
    trial_fluctuation: FloatArray
    log_gradient: FloatArray
    log_gradient_residual: FloatArray


# Where second moments overflow nothing is known, and their differences are NaN.
@np.errstate(over="ignore", invalid="ignore")
def finite_width(
    stack: Stack,
    batch: int,
    inputs: InputMoments,
    prediction: Prediction,
    *,
    backward: bool = False,
) -> FiniteWidth:
    """Return the first-order theory that corrects the infinite-width `prediction`.

    It covers every statistic that the infinite-width theory covers, as far as first order is
    accurate enough. For data as inputs it covers those that need no pairs of samples.
    """
    moments = Moments(stack, prediction, backward=backward)
    fluctuations = follow(stack, batch, inputs, prediction, moments)
    forward = _Columns.of(moments, int(np.isfinite(fluctuations.variance).sum()))
    trusted = fluctuations.variance <= LARGEST_VARIANCE
    found = _beyond_input(stack, batch, prediction, fluctuations, forward)
    found["kurtosis"] = kurtosis(stack, batch, inputs, moments, fluctuations)
    if batch == 1:
        still = np.where(np.isfinite(prediction.pre_second_moment), 0.0, math.nan)
        found["variance_over_batch"] = still, still
        gram = None
    else:
        gram = follow_gram(stack, inputs, prediction, moments, fluctuations)
        relative = found["second_moment"][1] / prediction.statistics["second_moment"]
        relative[0] = 0.0
        found["cosine"] = cosine(prediction, batch, gram, relative)
        found["variance_over_batch"] = over_batch(prediction, gram)
    found["dead_fraction"] = dead_of_batch(
        stack, batch, inputs, prediction, moments, (fluctuations, gram)
    )
    expected, residual = {}, {}
    for name, exact in _input(stack, batch, inputs).items():
        unknown = np.full(stack.depth + 1, math.nan)
        columns = found.get(name, (unknown, unknown))
        # A value that no network can have shows that first order is not enough.
        low, high = within(name)
        known = trusted & (columns[0] >= low) & (columns[0] <= high)
        expected[name], residual[name] = (np.where(known, c, math.nan) for c in columns)
        at_input = (exact, 0.0) if math.isfinite(exact) else (columns[0][0], columns[1][0])
        expected[name][0], residual[name][0] = at_input
    # Of later layers nothing is exact: at infinite width there is no largest activation.
    expected["largest"], residual["largest"] = np.full((2, stack.depth + 1), math.nan)
    expected["largest"][0] = largest = largest_input(inputs, batch * stack.input_width)
    residual["largest"][0] = 0.0 * largest
    dead = _dead(stack, batch, prediction, expected["dead_fraction"], residual["dead_fraction"])
    expected["dead_fraction"], residual["dead_fraction"] = dead
    log_gradient, log_residual = np.full((2, stack.depth + 1), math.nan)
    if backward:
        added, log_residual = expected_log_gradient(stack, batch, fluctuations, moments)
        log_gradient = prediction.log_gradient + added
    return FiniteWidth(
        MappingProxyType(expected),
        MappingProxyType(residual),
        _fluctuation(stack, inputs, fluctuations, forward),
        _fluctuation(stack, inputs, fluctuations, forward, batch),
        log_gradient,
        log_residual,
    )


def _dead(
    stack: Stack, batch: int, prediction: Prediction, dead: FloatArray, neglected: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Return the expected dead fraction and its residual over all networks, of which some are
    silent. `dead` and `neglected` are those of networks that are not silent."""
    if batch == 1 and always_half(resolve(stack.activation)):
        known = np.isfinite(prediction.pre_second_moment)
        half = np.where(known, 0.5, math.nan)
        if stack.last is not None:  # a last layer such as a linear one, whose units are never dead
            half[-1] = prediction.statistics["dead_fraction"][-1]
        dead, neglected = half, np.where(known, 0.0, math.nan)
    for name, layers in activations_of(stack):
        if not resolve(name).flat:
            q = prediction.pre_second_moment[layers]
            known = np.isfinite(q) & is_told(resolve(name), q)
            dead[layers] = neglected[layers] = np.where(known, 0.0, math.nan)
    return dead_with_silence(stack, batch, prediction, dead, neglected)


class _Columns(NamedTuple):
    """Numbers of the `ForwardMoments` of every layer, each (depth + 1,), NaN where not known."""

    fourth: FloatArray
    slope: FloatArray
    curvature: FloatArray
    roughness: FloatArray
    mean_slope: FloatArray
    mean_curvature: FloatArray
    mean_roughness: FloatArray

    @classmethod
    def of(cls, moments: Moments, known: int) -> _Columns:
        """Return those of layers 1..`known`."""
        columns = np.full((len(cls._fields), moments.q.size), math.nan)
        states = moments.states[1 : known + 1]
        _, first, place = np.unique(states, return_index=True, return_inverse=True)
        table = np.full((len(cls._fields), first.size), math.nan)
        for number, layer in enumerate((first + 1).tolist()):
            found = moments.forward(layer)
            if found is not None:
                square, mean = found.square, found.mean
                table[:, number] = (
                    found.fourth,
                    *(square.slope, square.curvature, square.roughness),
                    *(mean.slope, mean.curvature, mean.roughness),
                )
        columns[:, 1 : known + 1] = table[:, place]
        return cls(*columns)


def _fluctuation(
    stack: Stack,
    inputs: InputMoments,
    fluctuations: Fluctuations,
    forward: _Columns,
    batch: int = 1,
) -> FloatArray:
    """Return the standard deviation of ln of one sample's second moment, (depth + 1,), or a lower
    bound on that of the mean over `batch` samples."""
    held = 2.0 * fluctuations.pinned * (forward.slope * fluctuations.share) ** 2
    # What the units of one layer add is taken as independent from sample to sample.
    square = (forward.fourth - 1.0 - held) / units(stack) / batch
    shared = np.nan_to_num(fluctuations.pair) if batch > 1 else 0.0
    square += forward.slope**2 * (shared + (fluctuations.variance - shared) / batch)
    square[0] = inputs.length_variance / batch
    endless = np.flatnonzero(fluctuations.variance > ENDLESS)
    square[endless[0] if endless.size else square.size :] = math.inf
    # Rounding can make a variance of 0 slightly negative.
    return np.sqrt(np.maximum(square, 0.0))


def _beyond_input(
    stack: Stack,
    batch: int,
    prediction: Prediction,
    fluctuations: Fluctuations,
    forward: _Columns,
) -> dict[str, tuple[FloatArray, FloatArray]]:
    """Return expectation and residual of the known statistics, for layers from 1 on."""
    theory = prediction.statistics
    mean, square = theory["mean"], theory["second_moment"]
    spread = fluctuations.variance + fluctuations.shape
    size = (fluctuations.variance + np.abs(fluctuations.shape)) ** 2
    square_shift = square * (forward.slope * fluctuations.bias + 0.5 * forward.curvature * spread)
    square_error = square * (
        np.abs(forward.slope) * fluctuations.residual + forward.roughness * size
    )
    mean_slope = forward.mean_slope
    mean_shift = mean_slope * fluctuations.bias + 0.5 * forward.mean_curvature * spread
    mean_error = np.abs(mean_slope) * fluctuations.residual + forward.mean_roughness * size
    centred_shift = square_shift - 2.0 * mean * mean_shift
    centred_error = square_error + 2.0 * np.abs(mean) * mean_error + mean_shift**2
    # The variance of the mean over units, of one sample and between two of them.
    held, width = 2.0 * fluctuations.pinned * mean_slope**2, units(stack)
    own = (theory["variance"] - held * fluctuations.share**2) / width
    own += mean_slope**2 * fluctuations.variance
    pooled = own
    if batch > 1:
        aligned = fluctuations.share - prediction.misalignment
        covariance = theory["variance"] - theory["variance_over_batch"] * batch / (batch - 1.0)
        between = (covariance - held * aligned**2) / width
        between += mean_slope**2 * fluctuations.pair
        pooled = own / batch + (1.0 - 1.0 / batch) * between
    # The variance is itself of first order. Its neglected part is that times the relative variance.
    again = own * np.sqrt(size)
    return {
        "mean": (mean + mean_shift, mean_error),
        "variance": (theory["variance"] + centred_shift - pooled, centred_error + again),
        "second_moment": (square + square_shift, square_error),
        "variance_over_units": (theory["variance"] + centred_shift - own, centred_error + again),
    }


def _input(stack: Stack, batch: int, inputs: InputMoments) -> dict[str, float]:
    """Return the exact expectations of the statistics of layer 0, NaN where they are not known."""
    exact = dict(inputs)
    width = stack.input_width
    if inputs.drawn:
        exact["variance"] = inputs.variance * (1.0 - 1.0 / (width * batch))
        exact["variance_over_units"] = inputs.variance * (1.0 - 1.0 / width)
        exact["kurtosis"] = math.nan
        if inputs.mean != 0 and inputs.variance > 0:
            exact["cosine"] = math.nan
    return {name: exact.get(name, math.nan) for name in STATISTICS}
