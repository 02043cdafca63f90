"""The loop over depth and trials: all trials advance together, one block of layers at a time.

A share of the trials is one task of a thread pool (kernels release the GIL). BLAS is limited to one
thread, because several thread pools at once slow matrix products down 30- to 100-fold. A block of
layers is reduced to estimates and standard errors before the next one starts, so memory grows with
depth only by the results themselves.
"""

from __future__ import annotations

import contextlib
import math
import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from dataclasses import dataclass
from functools import cache, partial
from typing import TYPE_CHECKING, Any

import numpy as np

from snstat.engine.inputs import Inputs
from snstat.engine.reduction import reduced
from snstat.engine.strategies import choose
from snstat.network.stack import Stack
from snstat.results import MEASURED, BoolArray, FloatArray

if TYPE_CHECKING:
    from threadpoolctl import ThreadpoolController

    from snstat.engine.sampler import Sampler  # which loads kernels

KURTOSIS = MEASURED.index("kurtosis")
# A block of layers grows until it takes about this long. An interrupt then leaves no trial far
# ahead of the others, and handing out tasks costs almost nothing.
BLOCK_SECONDS = 0.1
# Multiplications of a core in a second, a low estimate that is used for the first block only.
MULTIPLICATIONS = 1e10
# The most numbers of a block's per-trial statistics, which are kept until the block is reduced.
BLOCK_VALUES = 2**21
POLL_SECONDS = 0.05
# The number of tasks into which the trials of a block are divided.
SHARES = 64


@dataclass(frozen=True, slots=True, eq=False)
class Measured:
    """The measurements of a simulation: `estimate` and `stderr` (layers, statistics) and `finite`
    (layers,), over layers 0..; fewer than depth + 1 if it was interrupted. The statistics are those
    of `names`.

    `log_gradient` (trials, layers) is ln of the squared gradient over that of the last layer, None
    if it was not requested or the run was interrupted. `values` (trials, layers, statistics) are
    the values of each trial, whose mean is `estimate`, None if they were not to be kept.
    `log_kurtosis` (trials,) is the mean over layers 1.. of ln of the kurtosis, NaN where that is.
    """

    estimate: FloatArray
    stderr: FloatArray
    finite: BoolArray
    interrupted: bool
    log_gradient: FloatArray | None = None
    values: FloatArray | None = None
    log_kurtosis: FloatArray | None = None
    names: tuple[str, ...] = MEASURED


def simulate(
    stack: Stack,
    inputs: Inputs,
    *,
    trials: int,
    seed: int,
    dtype: str,
    sampler: str = "auto",
    threads: int | None = None,
    backward: bool = False,
    keep_trials: bool = False,
    progress: Callable[[int], None] | None = None,
) -> Measured:
    """Simulate `trials` independent networks and measure every layer.

    `sampler` is "auto", "dense" or "matrix-free". `threads` defaults to the cores this process
    may use. `progress` is called from time to time with the number of (layer, trial) pairs
    finished. `backward` measures gradients too, in a second pass. `keep_trials` keeps the values of
    every trial. An interrupt (KeyboardInterrupt) ends the run early; the result then holds the
    layers that every trial completed, and is marked as interrupted.
    """
    threads = threads or available_cores()
    chosen = choose(stack, inputs.batch, sampler, backward=backward)
    network = chosen.sampler(stack, inputs, trials, seed, dtype, threads)
    other = stack.widest if chosen.name == "dense" else inputs.batch
    work = float(inputs.batch) * stack.widest * other
    return run_trials(
        network,
        partial(chosen.way_back, network) if backward else None,
        threads=threads,
        length=first_length(work, trials, threads),
        keep_trials=keep_trials,
        progress=progress,
    )


def run_trials(
    network: Sampler,
    way_back: Callable[[range], FloatArray] | None,
    *,
    threads: int,
    length: int,
    keep_trials: bool,
    progress: Callable[[int], None] | None,
) -> Measured:
    """Advance all trials of a sampler to its last layer, as `simulate` says.

    `way_back` returns ln of the squared gradients of some trials over the last, (trials,
    depth + 1); None if they are not wanted. The first block has `length` layers, and later ones
    grow.
    """
    trials, depth = len(network.done), network.depth
    if way_back is not None:
        network.remember()
    blocks: list[tuple[FloatArray, FloatArray, BoolArray]] = []
    kept: list[FloatArray] = []  # appended first, because an interrupt may come between the two
    interrupted = False
    log_gradient = None
    log_kurtosis = np.zeros(trials)
    with one_blas_thread(), ThreadPoolExecutor(min(threads, trials)) as pool:
        try:
            values = np.empty((trials, 1, len(network.names)))
            finite = each_trial(pool, trials, lambda t: network.begin(t, values[t, 0]))
            if keep_trials:
                kept.append(values)
            blocks.append(reduced(values, finite[:, None], 0, network.dtype))
            first = 1
            while first <= depth and not interrupted:
                length = min(length, depth + 1 - first)
                began = time.perf_counter()
                values = np.full((trials, length, len(network.names)), math.nan)
                flags = np.zeros((trials, length), np.bool_)
                interrupted = _run_block(pool, network, first, values, flags, progress)
                complete = int(network.done.min()) - (first - 1)
                if keep_trials:
                    kept.append(values[:, :complete])
                measured = values[:, :complete], flags[:, :complete]
                blocks.append(reduced(*measured, first, network.dtype))
                with np.errstate(divide="ignore", invalid="ignore"):
                    log_kurtosis += np.log(values[:, :complete, KURTOSIS]).sum(axis=1)
                first += length
                if time.perf_counter() - began < BLOCK_SECONDS:
                    length = max(1, min(2 * length, BLOCK_VALUES // values[:, 0].size))
            if way_back is not None and not interrupted:
                log_gradient = np.concatenate(list(pool.map(way_back, shares(trials))))
        except KeyboardInterrupt:
            network.stop[0] = 1
            interrupted = True
        except BaseException:
            network.stop[0] = 1  # the pool waits for tasks that still run
            raise
    if not blocks:
        raise KeyboardInterrupt
    estimate, stderr, layer_finite = (
        np.concatenate(column) for column in zip(*blocks, strict=True)
    )
    found = np.concatenate(kept[: len(blocks)], axis=1) if keep_trials else None
    log_kurtosis /= max(len(estimate) - 1, 1)
    return Measured(
        estimate,
        stderr,
        layer_finite,
        interrupted,
        log_gradient,
        found,
        log_kurtosis,
        network.names,
    )


def each_trial(pool: ThreadPoolExecutor, trials: int, task: Callable[[int], Any]) -> Any:
    """Return what `task` returns for every trial, in order, as an array."""
    done = pool.map(lambda share: [task(t) for t in share], shares(trials))
    return np.array([result for share in done for result in share])


def _run_block(
    pool: ThreadPoolExecutor,
    network: Sampler,
    first: int,
    values: FloatArray,
    flags: BoolArray,
    progress: Callable[[int], None] | None,
) -> bool:
    """Run one block of layers of every trial; return whether it was interrupted."""

    def advance(share: range) -> None:
        part = slice(share.start, share.stop)
        network.advance(share, first, values[part], flags[part])

    pending = {pool.submit(advance, share) for share in shares(len(values))}
    interrupted = False
    while pending:
        try:
            finished, pending = wait(pending, POLL_SECONDS, FIRST_COMPLETED)
            for task in finished:
                task.result()
            if progress is not None and not interrupted:
                progress(int(network.done.sum()))
        except KeyboardInterrupt:
            # Kernels check this flag between tiles of weights, and their tasks then end.
            network.stop[0] = 1
            interrupted = True
    return interrupted


def first_length(work: float, trials: int, threads: int) -> int:
    """Return the number of layers in the first block, from the multiplications of a layer."""
    length = int(BLOCK_SECONDS * MULTIPLICATIONS / (work * -(-trials // threads)))
    return max(1, min(length, BLOCK_VALUES // (trials * 8)))


def shares(trials: int) -> list[range]:
    """Return the trials in at most `SHARES` ranges. A task of the pool costs as much as a small
    layer, and thousands of pending tasks cost far more."""
    size = -(-trials // SHARES)
    return [range(first, min(first + size, trials)) for first in range(0, trials, size)]


def available_cores() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@contextlib.contextmanager
def one_blas_thread() -> Iterator[None]:
    """Limit BLAS to one thread inside the block, whatever the environment says, then restore it."""
    with _blas().limit(limits=1, user_api="blas"):
        yield


@cache
def _blas() -> ThreadpoolController:
    """Return what limits the threads of the BLAS that kernels call. It is found once: to look
    through all libraries of a process takes longer than a small network."""
    from threadpoolctl import ThreadpoolController

    from snstat.engine.kernels import blas  # noqa: F401  # loads the library to be limited

    return ThreadpoolController()
