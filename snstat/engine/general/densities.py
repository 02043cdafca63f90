"""Histograms of the activations of any network, at chosen layers."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from snstat.engine.densities import Histogram, histogram
from snstat.engine.general.given import NOT_GIVEN, GivenLayer
from snstat.engine.general.population import PopulationSampler
from snstat.engine.general.sampler import General, Walk, measure
from snstat.engine.general.workers import workers
from snstat.engine.inputs import Inputs
from snstat.engine.sampler import quiet
from snstat.engine.simulate import one_blas_thread
from snstat.layers.draw import Values
from snstat.network.network import Network
from snstat.network.population import Population
from snstat.results import MEASURED


def network_densities(
    network: Network,
    inputs: Inputs,
    layers: Sequence[int],
    atoms: Callable[[int], Sequence[float]],
    *,
    trials: int,
    seed: int,
    dtype: str,
    train: bool = True,
    given: Mapping[int, GivenLayer] = NOT_GIVEN,
    population: Population | None = None,
) -> list[Histogram]:
    """Return the densities of the activations at `layers` (ascending), all trials pooled; see
    `engine.densities.densities`."""
    shared = inputs, trials, seed, dtype
    sampler = (
        General(network, *shared, train=train, given=given)
        if population is None
        else PopulationSampler(population, *shared, train=train)
    )
    simulated = network if population is None else population.wide
    threads = min(workers(simulated, inputs.batch), trials)
    with one_blas_thread(), ThreadPoolExecutor(threads) as pool:
        try:
            return [
                histogram(layer, states, atoms(layer))
                for layer, states in _reached(sampler, pool, layers, trials)
            ]
        except BaseException:
            sampler.stop[0] = 1  # the pool waits for tasks that still run
            raise


def _reached(
    sampler: General, pool: ThreadPoolExecutor, layers: Sequence[int], trials: int
) -> Iterator[tuple[int, list[Values]]]:
    """Advance all trials to each of `layers` in turn, as long as all are finite."""
    walks = [
        Walk(sampler, number, {0: values})
        for number, values in enumerate(pool.map(sampler.first, range(trials)))
    ]
    reached = 0
    for layer in layers:
        count = layer - reached

        def advance(walk: Walk, steps: int = count, last: int = layer) -> Values:
            with quiet():
                for _ in range(steps):
                    walk.step()
            return walk.values[last]

        states, reached = list(pool.map(advance, walks)), layer
        with quiet():
            if not all(_finite(state) for state in states):
                return
        yield layer, states


def _finite(values: Values) -> bool:
    return measure(values, (math.nan, math.nan), np.empty(len(MEASURED)))
