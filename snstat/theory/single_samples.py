"""The statistics of single samples to first order in 1/width: mean, variances, second moment.

Each is an expectation over the activations of a layer, a function of the second moment q of the
pre-activations, expanded to second order about q at infinite width. A square of a mean adds the
variance of that mean.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from snstat.gaussian.quadrature import FloatArray
from snstat.network.stack import Stack
from snstat.theory.by_layer import units
from snstat.theory.corrected import Corrected
from snstat.theory.fluctuations import Fluctuations
from snstat.theory.layer_moments import Moments
from snstat.theory.prediction import Prediction


class ForwardColumns(NamedTuple):
    """Numbers of the `ForwardMoments` of every layer, each (depth + 1,), NaN where not known."""

    fourth: FloatArray
    slope: FloatArray
    curvature: FloatArray
    roughness: FloatArray
    mean_slope: FloatArray
    mean_curvature: FloatArray
    mean_roughness: FloatArray

    @classmethod
    def of(cls, moments: Moments, known: int) -> ForwardColumns:
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


def of_single_samples(
    stack: Stack,
    batch: int,
    prediction: Prediction,
    fluctuations: Fluctuations,
    forward: ForwardColumns,
) -> dict[str, Corrected]:
    """Return the known statistics, for layers from 1 on."""
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
    found = {
        "mean": (mean + mean_shift, mean_error),
        "variance": (theory["variance"] + centred_shift - pooled, centred_error + again),
        "second_moment": (square + square_shift, square_error),
        "variance_over_units": (theory["variance"] + centred_shift - own, centred_error + again),
    }
    return {name: Corrected(*columns, fluctuations.trusted) for name, columns in found.items()}
