"""How far theory may be off for data, where nothing is expected to first order in 1/width.

Pairs of data differ in their cosines and norms, and theory follows their mean. So what compares
samples is off by two sizes, both computed for drawn samples of like norm and cosine: the first
order in 1/width, and the change of the average over pairs whose cosines lie one standard deviation
to either side of the mean.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

import numpy as np

from snstat.gaussian.quadrature import FloatArray
from snstat.network.stack import Stack
from snstat.results import GRADIENT, STATISTICS, InputMoments
from snstat.theory.predict import predict

# Statistics whose size is relative to their value. That of the others is absolute.
RELATIVE = ("mean", "variance", "second_moment", "variance_over_batch", "variance_over_units",
            "kurtosis")  # fmt: skip
# A size stands for what is like it, so twice as much is allowed.
_ALLOWED = 2.0


# Nothing is known of data whose squares are no floats.
@np.errstate(divide="ignore", invalid="ignore", over="ignore")
def sizes_of_data(
    stack: Stack,
    batch: int,
    inputs: InputMoments,
    off: Callable[[InputMoments], Mapping[str, FloatArray]],
) -> dict[str, FloatArray]:
    """Return by how much theory of data may be off, (depth + 1,) by name of the statistic.

    Sizes are relative to theory for `RELATIVE`, absolute for others (for the gradient, of its
    logarithm), and NaN where not known. `off` returns the same for drawn inputs, due to the width.
    """
    total = dict.fromkeys((*STATISTICS, GRADIENT), np.zeros(stack.depth + 1))
    if math.isnan(inputs.cosine_spread):
        return dict.fromkeys(total, np.full(stack.depth + 1, math.nan))
    for alike in _alike(inputs, batch):
        by_width, by_pairs = off(alike), _by_pairs(stack, batch, alike, inputs.cosine_spread)
        for name, most in total.items():
            size = by_width[name] + by_pairs.get(name, 0.0)
            total[name] = np.maximum(most, _ALLOWED * size)
    return total


def alike_samples(batch: int, inputs: InputMoments) -> int:
    """Return about how many samples of equal norm vary as a batch of the data does: fewer, where a
    few large ones decide its averages."""
    if inputs.norms is None or batch == 1:
        return batch
    seconds, count = np.array(inputs.norms.second_moment), np.array(inputs.norms.count, float)
    seconds = seconds / seconds.max()  # so that no square underflows
    uneven = inputs.norms.samples * float(count @ seconds**2) / float(count @ seconds) ** 2
    return max(2, int(batch / uneven))


def _alike(inputs: InputMoments, batch: int) -> Iterator[InputMoments]:
    """Yield the moments of drawn samples like the data: of the smallest norm and of the largest."""
    seconds = {inputs.second_moment}
    if inputs.norms is not None:
        seconds = {min(s for s in inputs.norms.second_moment if s > 0), inputs.norms.largest}
    for second_moment in sorted(seconds):
        yield _drawn(inputs, batch, second_moment, inputs.cosine)


def _drawn(inputs: InputMoments, batch: int, second_moment: float, cosine: float) -> InputMoments:
    """Return the moments of drawn samples with this `second_moment` and `cosine`, which is at
    least 0 for them."""
    cosine = min(max(cosine, 0.0), 1.0) if batch > 1 else math.nan
    shared = 0.0 if batch == 1 else cosine
    variance = (1.0 - shared) * second_moment
    return replace(
        inputs,
        mean=math.sqrt(shared * second_moment),
        variance=variance,
        second_moment=second_moment,
        variance_over_batch=(1.0 - 1.0 / batch) * variance,
        variance_over_units=variance,
        cosine=cosine,
        kurtosis=3.0,
        length_variance=0.0,
        drawn=True,
        norms=None,
    )


def _by_pairs(
    stack: Stack, batch: int, alike: InputMoments, spread: float
) -> dict[str, FloatArray]:
    """Return by how much the averages over pairs change if cosines differ by ±`spread`."""
    if batch == 1:
        return {}
    names = ("variance_over_batch", "cosine", "dead_fraction")
    middle, low, high = (
        predict(stack, batch, _drawn(alike, batch, alike.second_moment, alike.cosine + step))
        for step in (0.0, -spread, spread)
    )
    found = {}
    for name in names:
        m, a, b = (theory.statistics[name] for theory in (middle, low, high))
        change = np.abs(0.5 * (a + b) - m)
        with np.errstate(invalid="ignore", divide="ignore"):
            found[name] = change / np.abs(m) if name in RELATIVE else change
    return found
