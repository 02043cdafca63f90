"""Theory to first order in 1/width: what each statistic averages to at the width simulated.

The pre-activation second moment q of one network fluctuates about that of infinite width and on
average lies beside it (`fluctuations`). Every expectation over the activations of a layer is a
function f of q, expanded to second order, and a square of a mean adds the variance of that mean.
See docs/finite-width.md.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from snstat.results import STATISTICS, InputMoments
from snstat.stack import Stack
from snstat.theory.finite_width_gradient import expected_log_gradient
from snstat.theory.fluctuations import Fluctuations, Moments, follow
from snstat.theory.predict import Prediction
from snstat.theory.quadrature import FloatArray

# First order is no longer trusted where the relative variance of q, or the variance between the
# log gradients of a batch, exceeds this.
LARGEST_VARIANCE = 0.25


@dataclass(frozen=True, slots=True, eq=False)
class FiniteWidth:
    """First-order theory of a stack; every array has shape (depth + 1,), NaN where not known.

    `expected` maps each name of `results.STATISTICS` to what a trial's value averages to.
    `log_gradient` is the expected logarithm of `gradient`, NaN where not asked for.
    `fluctuation` is the standard deviation, between networks, of the logarithm of one sample's
    second moment.
    """

    expected: Mapping[str, FloatArray]
    fluctuation: FloatArray
    log_gradient: FloatArray


def finite_width(
    stack: Stack,
    batch: int,
    inputs: InputMoments,
    prediction: Prediction,
    *,
    backward: bool = False,
) -> FiniteWidth:
    """Return the first-order theory of what `prediction` tells at infinite width."""
    moments = Moments(stack, prediction, pairs=batch > 1, backward=backward)
    fluctuations = follow(stack, inputs, prediction, moments)
    known = int(np.isfinite(fluctuations.variance).sum())
    expected = {name: np.full(stack.depth + 1, math.nan) for name in STATISTICS}
    expected |= _beyond_input(stack, batch, prediction, fluctuations, moments, known)
    trusted = fluctuations.variance <= LARGEST_VARIANCE
    for name, value in _input(stack, batch, inputs).items():
        expected[name] = np.where(trusted, expected[name], math.nan)
        expected[name][0] = value
    slope = moments.column(lambda m: m.forward.square[0], known)
    held = 2.0 * fluctuations.pinned * (slope * fluctuations.share) ** 2
    fourth = moments.column(lambda m: m.forward.fourth, known)
    square = (fourth - 1.0 - held) / stack.width + slope**2 * fluctuations.variance
    square[0] = inputs.length_variance
    log_gradient = np.full(stack.depth + 1, math.nan)
    if backward:
        added, spread = expected_log_gradient(stack, batch, fluctuations, moments)
        log_gradient = prediction.log_gradient + added
    return FiniteWidth(MappingProxyType(expected), np.sqrt(square), log_gradient)


def _beyond_input(
    stack: Stack,
    batch: int,
    prediction: Prediction,
    fluctuations: Fluctuations,
    moments: Moments,
    known: int,
) -> dict[str, FloatArray]:
    """Return the statistics that are known, of layers 1 and on."""
    theory = prediction.statistics
    slope, curvature, mean_slope, mean_curvature = (
        moments.column(value, known)
        for value in (
            lambda m: m.forward.square[0],
            lambda m: m.forward.square[1],
            lambda m: m.forward.mean[0],
            lambda m: m.forward.mean[1],
        )
    )
    spread = fluctuations.variance + fluctuations.shape
    square_shift = slope * fluctuations.bias + 0.5 * curvature * spread
    square_shift *= theory["second_moment"]
    mean_shift = mean_slope * fluctuations.bias + 0.5 * mean_curvature * spread
    centred_shift = square_shift - 2.0 * theory["mean"] * mean_shift
    # The variance of the mean over units, of one sample and between two of them.
    held = 2.0 * fluctuations.pinned * mean_slope**2
    own = (theory["variance"] - held * fluctuations.share**2) / stack.width
    own += mean_slope**2 * fluctuations.variance
    pooled = own
    if batch > 1:
        aligned = fluctuations.share - prediction.misalignment
        covariance = theory["variance"] - theory["variance_over_batch"] * batch / (batch - 1.0)
        between = (covariance - held * aligned**2) / stack.width
        between += mean_slope**2 * fluctuations.pair
        pooled = own / batch + (1.0 - 1.0 / batch) * between
    return {
        "mean": theory["mean"] + mean_shift,
        "variance": theory["variance"] + centred_shift - pooled,
        "second_moment": theory["second_moment"] + square_shift,
        "variance_over_units": theory["variance"] + centred_shift - own,
    }


def _input(stack: Stack, batch: int, inputs: InputMoments) -> dict[str, float]:
    """Return what the statistics of layer 0 average to, exactly; NaN where that is not known."""
    exact = dict(inputs)
    units = stack.input_width
    if inputs.drawn:
        exact["variance"] = inputs.variance * (1.0 - 1.0 / (units * batch))
        exact["variance_over_units"] = inputs.variance * (1.0 - 1.0 / units)
        exact["kurtosis"] = math.nan
        if inputs.mean != 0 and inputs.variance > 0:
            exact["cosine"] = math.nan
    return {name: exact.get(name, math.nan) for name in STATISTICS}
