"""Any network, sampled and measured."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from itertools import islice
from typing import Any

from snstat.engine.general.given import NOT_GIVEN, GivenLayer
from snstat.engine.general.gradient import general_gradients
from snstat.engine.general.population import PopulationSampler
from snstat.engine.general.sampler import General
from snstat.engine.general.samplers import require_sampler
from snstat.engine.general.workers import workers
from snstat.engine.inputs import Inputs
from snstat.engine.simulate import Measured, first_length, run_trials
from snstat.engine.strategies import AUTO
from snstat.network.network import Network
from snstat.network.population import Population

# The layers from which it is estimated how long a layer takes.
_FIRST = 64


def sample_network(
    network: Network,
    inputs: Inputs,
    *,
    trials: int,
    seed: int,
    dtype: str,
    train: bool = True,
    sampler: str = AUTO,
    given: Mapping[int, GivenLayer] = NOT_GIVEN,
    population: Population | None = None,
    threads: int | None = None,
    backward: bool = False,
    keep_trials: bool = False,
    progress: Callable[[int], None] | None = None,
) -> Measured:
    """Simulate `trials` independent networks and measure the input and every layer of
    `network.rows()`. `threads` defaults to as many as pay; see `workers`.

    `inputs` have as many units as the network's input has channels at all positions, channels of a
    position next to each other. `train` is whether dropout and the statistics of a batch are on.
    The rest is as in `simulate`.

    `sampler` is "dense" (all weights are drawn; a uniform stack is then the network of the dense
    sampler), "matrix-free" (none are that need not be) or "auto" (those are whose product takes
    less work than sampling it without them). `samplers.samplers` tells which layers are. Layers
    whose matrices are `given`, by their number from 1, draw none. With a `population` of the
    network, that is sampled instead.

    Raises InvalidValueError for inputs of another width, and for "matrix-free" where all weights
    have to be drawn, and LayerError with the path of a layer that cannot be sampled.
    """
    simulated = network if population is None else population.wide
    threads = threads or workers(simulated, inputs.batch, sampler=sampler, backward=backward)
    if population is None:  # whose matrices need not be drawn
        require_sampler(network, inputs.batch, sampler, backward=backward)
    options: dict[str, Any] = {
        "train": train,
        "sampler": sampler,
        "backward": backward,
        "running": min(threads, trials),
    }
    shared = inputs, trials, seed, dtype
    general = (
        General(network, *shared, given=given, **options)
        if population is None
        else PopulationSampler(population, *shared, **options)
    )
    return run_trials(
        general,
        partial(general_gradients, general) if backward else None,
        threads=threads,
        length=first_length(_multiplications(simulated, inputs.batch), trials, threads),
        keep_trials=keep_trials,
        progress=progress,
    )


def _multiplications(network: Network, batch: int) -> float:
    """Return about how many multiplications the largest of the first layers takes."""
    return max(
        float(batch) * row.after.units * sum(shape.channels for shape in row.before)
        for row in islice(network.rows(), _FIRST)
    )
