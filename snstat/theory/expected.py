"""Statistics of the layers of any network to first order in 1/width.

Those of single samples, as `single_samples` has them of stacks. See docs/finite-width.md.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from snstat.gaussian.quadrature import FloatArray
from snstat.layers.spread import LARGEST_TOLD, LARGEST_UNIFORM_SHARE, LARGEST_VARIANCE
from snstat.results import BoolArray, InputMoments, within
from snstat.theory.at_input import exact_of_input
from snstat.theory.corrected import Corrected
from snstat.theory.walk import Walk


@np.errstate(over="ignore", invalid="ignore")
def expected_statistics(
    walked: Walk, batch: int, inputs: InputMoments
) -> Mapping[str, tuple[FloatArray, FloatArray]]:
    """Return what `batch` samples with the moments `inputs` are expected to show, and how far that
    may be off, or theory where nothing is expected: two arrays (depth + 1,) of each of `mean`,
    `variance`, `second_moment` and `variance_over_units`.

    NaN stands for what is not known, among it the size of what is neglected where networks differ
    by so much that a few decide their mean.
    """
    mean, square = walked.mean, walked.second_moment
    variance = np.maximum(square - mean**2, 0.0)
    rms = np.sqrt(square)
    square_shift, square_error = square * walked.bias, square * walked.residual
    shift, error = rms * walked.shift, rms * walked.shift_residual
    centred_shift = square_shift - 2.0 * mean * shift
    centred_error = square_error + 2.0 * np.abs(mean) * error + shift**2
    # The variance of the mean over units, of one sample, and over those of the batch. It is itself
    # of first order: its neglected part is that times the relative variance.
    own = square * walked.mean_variance
    pooled = own / batch
    if batch > 1:
        pooled = pooled + (1.0 - 1.0 / batch) * square * walked.mean_pair
    again = own * walked.size
    # At one position. On grids this is known of inputs alone, whose positions are independent.
    at_one = own * walked.input.positions
    found = {
        "mean": (mean, mean + shift, error),
        "variance": (variance, variance + centred_shift - pooled, centred_error + again),
        "second_moment": (square, square + square_shift, square_error),
        "variance_over_units": (
            walked.over_units,
            walked.over_units + centred_shift - at_one,
            centred_error + at_one * walked.size,
        ),
    }
    trusted, told = _trusted(walked)
    exact = exact_of_input(walked.input, batch, inputs)
    result = {}
    for name, (theory, value, neglected) in found.items():
        low, high = within(name)
        possible = (value >= low) & (value <= high)
        column = Corrected(value, neglected, trusted & possible)
        expected, residual = (part + 0.0 * theory for part in column.beside(theory))
        residual[~told] = np.nan
        expected[0], residual[0] = exact[name], 0.0 * exact[name]
        result[name] = expected, residual
    return result


def _trusted(walked: Walk) -> tuple[BoolArray, BoolArray]:
    """Return where first order describes the fluctuations, and where its size tells how far theory
    may be off, each (depth + 1,)."""
    far = (walked.q_variance > LARGEST_VARIANCE) | (walked.uniform > LARGEST_UNIFORM_SHARE)
    trusted = np.isfinite(walked.variance) & ~np.logical_or.accumulate(far)
    return trusted, ~np.logical_or.accumulate(walked.q_variance > LARGEST_TOLD)
