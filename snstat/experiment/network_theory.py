"""What theory predicts of a network of any layers, as statistics of a record."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from snstat.results import FloatArray, InputMoments
from snstat.results.statistic import OF_POSITIONS

if TYPE_CHECKING:
    from snstat.theory.walk import Walk


def at_width(
    walked: Walk, batch: int, moments: InputMoments
) -> tuple[dict[str, FloatArray], dict[str, FloatArray]]:
    """Return what is expected of statistics by name at the width of a network, for `batch` samples
    with these moments, and what that neglects, each array (depth + 1,)."""
    from snstat.theory.expected import expected_statistics

    found = expected_statistics(walked, batch, moments)
    expected = {name: value for name, (value, _) in found.items()}
    return expected, {name: value for name, (_, value) in found.items()}


def predicted_statistics(
    walked: Walk, batch: int, inputs: InputMoments
) -> Mapping[str, FloatArray]:
    """Return what theory predicts of `batch` samples, each array (depth + 1,).

    At infinite width the mean over the units of a sample is E[x], so the variance over units is
    that of all values. The mean over a batch is not E[x | unit]: its variance takes 1/batch away.
    """
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        variance = np.maximum(walked.second_moment - walked.mean**2, 0.0)
        found = {
            "mean": walked.mean.copy(),
            "second_moment": walked.second_moment.copy(),
            "variance": variance,
            "variance_over_units": walked.over_units.copy(),
            "variance_over_batch": walked.gap * (1.0 - 1.0 / batch),
            "cosine": walked.cosine,
            "kurtosis": walked.kurtosis.copy(),
        }
    found |= walked.own
    # Those of the input are known exactly: the difference above cancels if its mean is large.
    for name, values in found.items():
        values[0] = inputs[name]
    if batch == 1:  # one sample has no angle with another
        found["cosine"][:] = math.nan
    if walked.input.grid:
        pairs = walked.over_positions, walked.position_cosine
        found |= dict(zip(OF_POSITIONS, pairs, strict=True))
    return found
