"""An estimate of the memory that a simulation needs, made before anything is allocated.

It is accurate to some tens of MiB, which libraries use in addition.
"""

from __future__ import annotations

import math

import numpy as np

from snstat.engine.inputs import Inputs
from snstat.engine.sampling import MIN_ROWS, MOST_VALUES
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
    units = max(stack.width, inputs.width)
    # Layer 0 as it is drawn or read.
    drawn = running * units * inputs.batch * size
    own = _dense if sampler == "dense" else _matrix_free
    needed = drawn + own(stack, inputs, trials, size, threads, backward=backward)
    needed += trials * BYTES_PER_TRIAL + stack.depth * BYTES_PER_LAYER
    if backward:
        needed += 2 * trials * stack.depth * DOUBLE
    if keep_trials:
        # Every statistic, in blocks and joined, and the gradient with its logarithm.
        numbers = 2 * len(MEASURED) + (1 if backward else 0)
        needed += numbers * float(trials) * (stack.depth + 1) * DOUBLE
    return needed + inputs.reading_bytes()


def _dense(
    stack: Stack, inputs: Inputs, trials: int, size: int, threads: int, *, backward: bool
) -> float:
    """Return the bytes of the dense sampler: a state for each trial, a spare for each trial in
    progress, and a tile for each thread."""
    units, running = max(stack.width, inputs.width), min(threads, trials)
    state = units * inputs.batch * size
    # See sampling.tile_rows.
    tile = min(stack.width * units, max(MOST_VALUES, MIN_ROWS * units))
    needed = (trials + running) * state + threads * tile * size
    if backward:
        # States between segments, pre-activations of one segment, and gradients.
        needed += running * (2 * math.isqrt(stack.depth) + 4) * state
    return needed


def _matrix_free(
    stack: Stack, inputs: Inputs, trials: int, size: int, threads: int, *, backward: bool
) -> float:
    """Return the bytes of the matrix-free sampler: Gram matrices."""
    square: float = inputs.batch**2
    running = min(threads, trials)
    # Trials in progress share these; see MatrixFreeSampler.advance.
    members = max(1, threads // trials)
    needed = trials * square * DOUBLE + running * square * (3 * DOUBLE + size)
    needed += running * members * square * (DOUBLE + size)
    if backward:
        states = running * (2 * math.isqrt(stack.depth) + 1) * square * DOUBLE
        needed += states + running * square * (
            9 * DOUBLE + 3 * size + members * (4 * DOUBLE + size)
        )
        needed += running * 4 * max(stack.width, inputs.width) * inputs.batch * size
    return needed
