"""Histograms of activations at chosen layers. The network is simulated again up to those layers."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt

from snstat.engine.dense.sampler import DenseSampler
from snstat.engine.inputs import Inputs
from snstat.engine.simulate import available_cores, each_trial, one_blas_thread, shares
from snstat.engine.strategies import STRATEGIES
from snstat.network.stack import Stack
from snstat.results import MEASURED, BoolArray, FloatArray

BINS = 160
# Bins span this many standard deviations around the mean, or less where there are no values.
SPAN = 6.0


@dataclass(frozen=True, slots=True, eq=False)
class Histogram:
    """The activations of one layer, pooled over all trials.

    Bins have `edges` (bins + 1,) and `density` (bins,), which leaves out the atoms. `mean` and
    `variance` are those of all values, `shares` (atoms,) the shares of the values at each atom.
    """

    layer: int
    edges: FloatArray
    density: FloatArray
    mean: float
    variance: float
    shares: FloatArray


def densities(
    stack: Stack,
    inputs: Inputs,
    layers: Sequence[int],
    atoms: Callable[[int], Sequence[float]],
    *,
    trials: int,
    seed: int,
    dtype: str,
) -> list[Histogram]:
    """Return the densities of the activations at `layers` (ascending), all trials pooled.

    `atoms` gives the values that activations of a layer take on whole intervals; they are counted
    separately. Layers from the first non-finite one on are left out. Weights are drawn even if the
    run used another sampler: the network is the same, or equal in distribution.
    """
    threads = available_cores()
    network = STRATEGIES["dense"].sampler(stack, inputs, trials, seed, dtype, threads)
    assert isinstance(network, DenseSampler)  # noqa: S101  # for the type checker
    with one_blas_thread(), ThreadPoolExecutor(min(threads, trials)) as pool:
        try:
            return [
                histogram(layer, network.states, atoms(layer))
                for layer in _reached(network, pool, layers, trials)
            ]
        except BaseException:
            network.stop[0] = 1  # the pool waits for tasks that still run
            raise


def _reached(
    network: DenseSampler, pool: ThreadPoolExecutor, layers: Sequence[int], trials: int
) -> Iterator[int]:
    """Advance all trials to each of `layers` in turn, as long as all are finite."""
    scratch = np.empty((trials, len(MEASURED)))
    finite = each_trial(pool, trials, lambda t: network.begin(t, scratch[t]))
    reached = 0
    for layer in layers:
        count = layer - reached
        if count > 0:
            advance = partial(_advance, network, reached + 1, count)
            finite = np.concatenate(list(pool.map(advance, shares(trials))))
            reached = layer
        if not finite.all():
            return
        yield layer


def _advance(network: DenseSampler, first: int, count: int, trials: range) -> BoolArray:
    """Run layers first..first+count−1 of some trials; return which of them are finite."""
    values = np.empty((len(trials), count, len(MEASURED)))
    flags = np.zeros((len(trials), count), np.bool_)
    network.advance(trials, first, values, flags)
    return flags[:, -1]


def histogram(
    layer: int, states: Sequence[npt.NDArray[np.floating]], atoms: Sequence[float]
) -> Histogram:
    """Return the histogram of the pooled values; those equal to one of `atoms` are separate."""
    size = sum(state.size for state in states)
    shares = np.array(
        [sum(int((state == state.dtype.type(atom)).sum()) for state in states) for atom in atoms]
    )
    # Use float64, because the square of a large float32 overflows. That of a float64 still may.
    wide = [state.astype(np.float64).ravel() for state in states]
    with np.errstate(over="ignore", invalid="ignore"):
        mean = sum(float(state.sum()) for state in wide) / size
        variance = sum(float(((state - mean) ** 2).sum()) for state in wide) / size
    deviation = math.sqrt(variance) if math.isfinite(variance) else math.inf
    low = max(mean - SPAN * deviation, min(float(state.min()) for state in wide))
    high = min(mean + SPAN * deviation, max(float(state.max()) for state in wide))
    if not high > low:
        # A constant layer gets one narrow bar around its value.
        half_width = max(abs(mean), 1.0) * 1e-3
        low, high = mean - half_width, mean + half_width
    edges = np.linspace(low, high, BINS + 1)
    counts = np.zeros(BINS)
    for state, own in zip(wide, states, strict=True):
        free = np.ones(state.size, np.bool_)
        for atom in atoms:
            free &= own.ravel() != own.dtype.type(atom)
        counts += np.histogram(state[free], edges)[0]
    return Histogram(layer, edges, counts / size / np.diff(edges), mean, variance, shares / size)
