"""An estimate of the memory that a simulation needs, made before anything is allocated.

It is accurate to some tens of MiB, which libraries use in addition.
"""

from __future__ import annotations

import numpy as np

from snstat.engine.inputs import Inputs
from snstat.engine.strategies import STRATEGIES
from snstat.engine.strategy import Load
from snstat.network.stack import Stack
from snstat.results import MEASURED

# The objects of a trial, and its statistics of one layer while they are reduced.
BYTES_PER_TRIAL = 2500
# Estimate, error and theory of every statistic, and about as much again while they are computed.
BYTES_PER_LAYER = 1000
DOUBLE = 8


def footprint(
    stack: Stack,
    inputs: Inputs,
    *,
    trials: int,
    dtype: str,
    sampler: str,
    threads: int,
    backward: bool,
    keep_trials: bool = False,
) -> float:
    """Return the bytes that `simulate` needs with these arguments. `sampler` is not "auto"."""
    size = np.dtype(dtype).itemsize
    running = min(threads, trials)
    units = max(stack.widest, inputs.width)
    # Layer 0 as it is drawn or read.
    drawn = running * units * inputs.batch * size
    needed = drawn + STRATEGIES[sampler].bytes(stack, inputs, Load(trials, threads, size, backward))
    needed += trials * BYTES_PER_TRIAL + stack.depth * BYTES_PER_LAYER
    needed += per_trial(trials, stack.depth, backward=backward, keep_trials=keep_trials)
    return needed + inputs.reading_bytes()


def per_trial(
    trials: int,
    depth: int,
    *,
    backward: bool,
    keep_trials: bool,
    statistics: int = len(MEASURED),
) -> float:
    """Return the bytes of the `statistics` of all layers that are kept of each trial."""
    needed = 2.0 * trials * depth * DOUBLE if backward else 0.0
    if keep_trials:
        # Every statistic, in blocks and joined, and the gradient with its logarithm.
        numbers = 2 * statistics + (1 if backward else 0)
        needed += numbers * float(trials) * (depth + 1) * DOUBLE
    return needed
