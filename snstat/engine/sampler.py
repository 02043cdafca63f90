"""The interface between the loop over depth and a sampler, and what both samplers share."""

from __future__ import annotations

import math
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, Protocol

import numpy as np

from snstat.activation import resolve
from snstat.activation.saturated import steep_range
from snstat.engine.inputs import Inputs
from snstat.engine.kernels.codes import code_of
from snstat.engine.kernels.team import new_team
from snstat.network.stack import Stack, Stretch
from snstat.results import BoolArray, FloatArray


class Sampler(Protocol):
    """The interface of a sampler to the loop over depth.

    A sampler holds the data that its trials share and the state of each trial. `begin` and
    `advance` advance a trial and write its statistics, so that the loop works for any sampler.
    """

    stack: Stack
    done: Any
    stop: Any

    def remember(self) -> None:
        """Prepare for gradients, before anything runs."""
        ...

    def begin(self, number: int, out: FloatArray) -> bool:
        """Make layer 0 of a trial and measure it to `out` (statistics,); return if it is finite."""
        ...

    def advance(self, number: int, first: int, out: FloatArray, finite: BoolArray) -> None:
        """Run layers first..first+len(out)−1 of one trial: `out` (layers, statistics)."""
        ...


def quiet() -> np.errstate:
    """Return a context that silences numpy. Overflow is a result, and only kernels that run as
    plain Python would warn about it."""
    return np.errstate(over="ignore", invalid="ignore", divide="ignore")


class Shared:
    """What both samplers share: the stack, flags to signal running kernels, finished trials."""

    def __init__(self, stack: Stack, inputs: Inputs, trials: int, seed: int, dtype: str) -> None:
        self.stack, self.inputs, self.dtype = stack, inputs, np.dtype(dtype)
        self.seed, self.key = seed, np.uint64(seed)
        self.done = np.zeros(trials, np.int64)
        self.stop = np.zeros(1, np.uint8)
        self.alive = np.ones(trials, np.bool_)
        listed = [name for name in stack.activations if not resolve(name).custom]
        self.codes = {name: code_of(name, resolve(name).parameters) for name in listed}
        self.lives = {
            name: np.array([*live_range(name), *steep_range(resolve(name))])
            for name in stack.activations
        }

    def assemble(self, members: int, lanes: int) -> None:
        """Let a team of `members` threads run each trial, with at most `lanes` trials at once."""
        self.members = members
        others = (members - 1) * lanes
        self.pool = ThreadPoolExecutor(others) if others else None

    def together(self, kernel: Any, *arguments: Any) -> None:
        """Run a kernel on every member of a team, led by this thread."""
        run = partial(_quietly, kernel, new_team(self.members), arguments)
        tasks = []
        if self.pool is not None:
            tasks = [self.pool.submit(run, member) for member in range(1, self.members)]
        run(0)
        for task in tasks:
            task.result()

    def skip(self, number: int, out: FloatArray, finite: BoolArray) -> bool:
        """Fill the layers of a trial that is no longer finite; return whether that is the case."""
        if self.alive[number]:
            return False
        out[:] = math.nan
        finite[:] = False
        self.done[number] += len(out)
        return True

    def stretches(
        self, number: int, first: int, out: FloatArray, finite: BoolArray
    ) -> Iterator[tuple[Stretch, FloatArray, BoolArray]]:
        """Yield the layers first..first+len(out)−1 of a trial in stretches for a kernel to run.

        The layers of a stretch have one width and activation. Each comes with its part of `out` and
        `finite`. Layers after one that is not finite are filled.
        """
        for stretch in self.stack.stretches(first, len(out)):
            if self.stop[0]:
                return
            begin = stretch.first - first
            part = slice(begin, begin + stretch.count)
            if not self.skip(number, out[part], finite[part]):
                yield stretch, out[part], finite[part]
                self.alive[number] = finite[part][-1]


def _quietly(kernel: Any, team: Any, arguments: tuple[Any, ...], member: int) -> None:
    with quiet():
        kernel(member, team, *arguments)


def live_range(activation: str) -> tuple[float, float]:
    """Return (low, high); the derivative is nonzero only strictly between them."""
    low, high = -math.inf, math.inf
    for start, end in resolve(activation).flat:
        if start == -math.inf:
            low = end
        else:
            high = start
    return low, high


def over_last(logarithms: FloatArray) -> FloatArray:
    """Return `logarithms` (layers,) minus the last one; NaN where that is −inf."""
    with np.errstate(invalid="ignore"):
        result: FloatArray = logarithms - logarithms[-1]
    return result
