"""Theory of samples of data that are followed one by one: what a batch of them averages to.

Given one sample, the units after the first weights are Gaussian, with the products of its own
positions. So each sample has theory of its own, and a statistic of a batch is an average over it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from weakref import WeakKeyDictionary

import numpy as np

from snstat.gaussian.quadrature import FloatArray
from snstat.layers.block import Block
from snstat.layers.container_step import ContainerStep
from snstat.layers.higher import Higher, pooled
from snstat.layers.shape import Shape
from snstat.layers.signal import Signal, Slope
from snstat.layers.squares import alone
from snstat.network.network import Network
from snstat.results import Samples
from snstat.results.theory_end import OF_SAMPLES, OF_SIGNAL, OF_WIDTH, TheoryEnd
from snstat.theory.between_samples import between_samples
from snstat.theory.columns import MOMENTS, WALKED, kurtosis_of, log_norm, moments_of
from snstat.theory.ends import (
    MANY_SAMPLES,
    OF_EACH,
    ends_of_gradients,
    ends_of_signals,
    ends_of_sizes,
    told,
)
from snstat.theory.profiles import Profiles
from snstat.theory.repeated import layers_within
from snstat.theory.start import (
    MOST_PAIRS,
    Followed,
    products_of,
    signal_of_sample,
    why_no_pairs,
)
from snstat.theory.through import backward, forward

# The places of columns.
MEAN, SQUARE, OVER_POSITIONS, POSITION_COSINE, LEAST, KURTOSIS = 0, 1, 4, 5, 6, 7


_KEPT = WeakKeyDictionary[Samples, dict[tuple[Network, bool], "OverSamples"]]()


@dataclass(frozen=True, slots=True, eq=False)
class OverSamples:
    """What batches of samples average to: the `moments` (columns, depth + 1) and `log_gradient`
    (depth + 1,) of a `Walk`, its `ends`, and statistics of its `own`."""

    moments: FloatArray
    log_gradient: FloatArray
    ends: tuple[TheoryEnd, ...]
    own: Mapping[str, FloatArray]


def over_samples(network: Network, samples: Samples, *, train: bool) -> OverSamples:
    """Return theory of the batches of `samples`: averages over their samples, and over batches.

    Vectors of a network whose layers treat positions as they treat samples are followed together, a
    batch as the positions of one sample, so that theory knows how alike they are. What is found is
    kept as long as the samples are: a run and its check ask for the same.
    """
    kept, key = _KEPT.setdefault(samples, {}), (network, train)
    if key not in kept:
        kept[key] = _found(network, samples, train=train)
    return kept[key]


@np.errstate(over="ignore", invalid="ignore", divide="ignore")  # of squares that overflow
def _found(network: Network, samples: Samples, *, train: bool) -> OverSamples:
    block = network.block if train else network.block.evaluated()
    pairs = samples.batches.size * samples.batches.shape[1] * network.depth
    apart = all(layer.per_position for layer in layers_within(block))
    if apart and pairs <= MOST_PAIRS and not network.input.grid:
        found = _together(network, block, samples)
        if np.isfinite(found.moments[SQUARE]).all():
            return found
    return _one_by_one(network, block, samples)


def _together(network: Network, block: Block, samples: Samples) -> OverSamples:
    """Return theory of vectors, each batch of which is followed as positions."""
    layers, ends = network.depth + 1, list[TheoryEnd]()
    found = np.empty((len(samples.batches), MOMENTS, layers))
    logs = np.empty((len(samples.batches), layers))
    for number, batch in enumerate(samples.batches):
        shape = Shape(network.input.channels, (len(batch),))
        start = signal_of_sample(shape, samples.values[batch].ravel(), pairs=True)
        step = block.moments([start], 1)
        _follow(start, step, found[number], logs[number])
        own = [end for end in ends_of_signals(network, start, step) if end.of == OF_SIGNAL]
        own += ends_of_gradients(network.input, step, logs[number], own)
        ends = [*told([*ends, *own, *ends_of_sizes(*found[number, [MEAN, SQUARE]])])]
    logs -= logs[:, -1:]
    moments = found.mean(axis=0)[:WALKED]
    mean, square = found[:, MEAN], found[:, SQUARE]
    own_statistics = {
        "variance": np.maximum(square - mean**2, 0.0).mean(axis=0),
        "variance_over_batch": moments[OVER_POSITIONS].copy(),
        "cosine": moments[POSITION_COSINE].copy(),
    }
    moments[[OVER_POSITIONS, POSITION_COSINE, LEAST]] = math.nan
    ends.append(TheoryEnd(OF_WIDTH, 1, OF_EACH))
    return OverSamples(moments, logs.mean(axis=0), tuple(ends), own_statistics)


def _one_by_one(network: Network, block: Block, samples: Samples) -> OverSamples:
    """Return theory of samples that are followed one by one, and of pairs of them where these are
    few."""
    layers, count, pairs = network.depth + 1, len(samples.values), not why_no_pairs(network)
    moments, logs = np.empty((count, MOMENTS, layers)), np.empty((count, layers))
    ends, profiles, steps = list[TheoryEnd](), Profiles(), list[ContainerStep]()
    compared = products_of(network, Followed(count, *samples.batches.shape)) > 0
    for number, (values, share) in enumerate(zip(samples.values, samples.shares, strict=True)):
        start = signal_of_sample(network.input, values, pairs=pairs)
        step = block.moments([start], 1)  # a sample by itself: a batch of one
        _follow(start, step, moments[number], logs[number])
        profiles.add(start, step, float(share))
        found = [end for end in ends_of_signals(network, start, step) if end.of != OF_SAMPLES]
        found += ends_of_gradients(network.input, step, logs[number], found)
        found += ends_of_sizes(*moments[number, [MEAN, SQUARE]])
        ends = [*told([*ends, *found])]
        if compared:
            steps.append(step)
    every = [_of_batch(moments[batch], logs[batch]) for batch in samples.batches]
    averages, gradients, variances = (np.mean(part, axis=0) for part in zip(*every, strict=True))
    averages[LEAST] = profiles.least(layers)
    own = {"variance": variances, "cosine": np.full(layers, math.nan)}
    if compared:
        shape = network.input.positions, network.input.channels
        alike = []
        for batch in samples.batches:
            values = samples.values[batch].reshape(len(batch), *shape)
            alike.append(between_samples(block, [steps[row] for row in batch], values))
            ends += alike[-1].ends
        own["cosine"][1:] = np.mean([each.cosine for each in alike], axis=0)
        own["variance_over_batch"] = np.full(layers, math.nan)
        own["variance_over_batch"][1:] = np.mean([each.variance for each in alike], axis=0)
    elif samples.batches.shape[1] > 1:
        ends.append(TheoryEnd(OF_SAMPLES, 1, MANY_SAMPLES))
    ends.append(TheoryEnd(OF_WIDTH, 1, OF_EACH))
    return OverSamples(averages, gradients, tuple(ends), own)


def _follow(start: Signal, step: ContainerStep, moments: FloatArray, logs: FloatArray) -> None:
    """Write the columns of every layer, (columns, depth + 1), and ln of the squared norms of
    gradients, (depth + 1,)."""
    moments[:, 0] = moments_of(start)
    forward(step, moments[:, 1:])
    own = alone(np.ones(step.signal.mean.size), step.signal.same)
    logs[0] = log_norm(backward(step, Slope(own, own), logs[1:])[0], start)


def _of_batch(moments: FloatArray, logs: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return the columns of a `Walk` (columns, layers), ln of gradients and the variance (layers,)
    of a batch, from those of its samples, (batch, columns, layers) and (batch, layers)."""
    found = moments.mean(axis=0)[:WALKED]
    mean, square, _, _, _, cosine, _, _, third, fourth, angles = moments.swapaxes(0, 1)
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        variance, _, tail = pooled(Higher(third, fourth), mean, square)
        found[KURTOSIS] = [kurtosis_of(*of) for of in zip(variance, tail, strict=True)]
        # The average over all pairs of positions, of which samples may have unequally many.
        counted = np.where(np.isnan(square), math.nan, angles)
        cosines = np.where(angles > 0, cosine * angles, 0.0 * counted)
        found[POSITION_COSINE] = cosines.sum(axis=0) / counted.sum(axis=0)
        total = np.logaddexp.reduce(logs, axis=0)
        return found, total - total[-1], variance
