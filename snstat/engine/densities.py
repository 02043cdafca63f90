"""Histograms of activations at chosen layers: the network is simulated again, stopping there."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import numpy.typing as npt

from snstat.engine.dense_sampler import DenseSampler
from snstat.engine.inputs import Inputs
from snstat.engine.simulate import available_cores, one_blas_thread
from snstat.results import STATISTICS, Densities, FloatArray, StackSummary
from snstat.stack import Stack

BINS = 160
# Bins span this many standard deviations about the mean, or less where no value is.
SPAN = 6.0


def densities(
    stack: Stack,
    summary: StackSummary,
    inputs: Inputs,
    layers: Sequence[int],
    *,
    trials: int,
    seed: int,
    dtype: str,
) -> Densities:
    """Return the densities of the activations at `layers` (ascending), all trials pooled.

    Layers from the first non-finite one on are left out. Weights are drawn, whatever the sampler
    of a run: the same network, or one equal in distribution.
    """
    threads = available_cores()
    network = DenseSampler(stack, inputs, trials, seed, dtype, threads)
    with one_blas_thread(), ThreadPoolExecutor(min(threads, trials)) as pool:
        try:
            rows = [
                (layer, *_histogram(network.states))
                for layer in _reached(network, pool, layers, trials)
            ]
        except BaseException:
            network.stop[0] = 1  # the pool waits for what still runs
            raise
    columns = list(zip(*rows, strict=True)) if rows else [(), (), (), (), ()]
    return Densities(
        summary,
        np.array(columns[0], dtype=np.int64),
        np.array(columns[1]).reshape(len(rows), BINS + 1),
        np.array(columns[2]).reshape(len(rows), BINS),
        np.array(columns[3], dtype=np.float64),
        np.array(columns[4], dtype=np.float64),
    )


def _reached(
    network: DenseSampler, pool: ThreadPoolExecutor, layers: Sequence[int], trials: int
) -> Iterator[int]:
    """Bring all trials to one of `layers` after the other, as long as all are finite."""
    scratch = np.empty((trials, len(STATISTICS)))
    finite = list(pool.map(lambda t: network.begin(t, scratch[t]), range(trials)))
    reached = 0
    for layer in layers:
        count = layer - reached
        if count > 0:
            values = np.empty((trials, count, len(STATISTICS)))
            flags = np.zeros((trials, count), np.bool_)
            first = reached + 1
            list(
                pool.map(
                    lambda t, v=values, f=flags, n=first: network.advance(t, n, v[t], f[t]),
                    range(trials),
                )
            )
            finite = list(flags[:, -1])
            reached = layer
        if not all(finite):
            return
        yield layer


def _histogram(
    states: Sequence[npt.NDArray[np.floating]],
) -> tuple[FloatArray, FloatArray, float, float]:
    """Return edges (bins + 1,), density (bins,), mean and variance of all values together."""
    # float64: the square of a large float32 overflows. That of a float64 may still.
    states = [state.astype(np.float64) for state in states]
    size = sum(state.size for state in states)
    with np.errstate(over="ignore", invalid="ignore"):
        mean = sum(float(state.sum()) for state in states) / size
        variance = sum(float(((state - mean) ** 2).sum()) for state in states) / size
    deviation = math.sqrt(variance) if math.isfinite(variance) else math.inf
    low = max(mean - SPAN * deviation, min(float(state.min()) for state in states))
    high = min(mean + SPAN * deviation, max(float(state.max()) for state in states))
    if not high > low:
        # A constant layer: one narrow bar around it.
        half_width = max(abs(mean), 1.0) * 1e-3
        low, high = mean - half_width, mean + half_width
    edges = np.linspace(low, high, BINS + 1)
    counts = np.zeros(BINS)
    for state in states:
        counts += np.histogram(state, edges)[0]
    return edges, counts / size / np.diff(edges), mean, variance
