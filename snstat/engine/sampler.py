"""The interface between the loop over depth and a sampler, and what samplers share."""

from __future__ import annotations

import math
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, Protocol

import numpy as np

from snstat.activation import Activation as Function
from snstat.activation import resolve
from snstat.activation.saturated import steep_range
from snstat.engine.inputs import Inputs
from snstat.engine.kernels.codes import Code, code_of
from snstat.engine.kernels.layers import Activation, Range, Records
from snstat.engine.kernels.random import Draw
from snstat.engine.kernels.team import Team, new_team
from snstat.network.stack import Stack, Stretch
from snstat.results import MEASURED, BoolArray, FloatArray

# One call of a kernel runs as many trials as have at most this many activations of a layer.
AT_ONCE = 2**14


class Sampler(Protocol):
    """The interface of a sampler to the loop over depth.

    A sampler holds the data that its trials share and the state of each trial. `begin` makes
    layer 0 of a trial, `advance` runs layers of some trials. Both write statistics, so that the
    loop works for any sampler.
    """

    # The statistics that it writes, in their order.
    names: tuple[str, ...]
    done: Any
    stop: Any
    dtype: np.dtype[Any]

    @property
    def depth(self) -> int:
        """The number of layers."""
        ...

    def remember(self) -> None:
        """Prepare for gradients, before anything runs."""
        ...

    def begin(self, number: int, out: FloatArray) -> bool:
        """Make layer 0 of a trial and measure it to `out` (statistics,); return if it is finite."""
        ...

    def advance(self, trials: range, first: int, out: FloatArray, finite: BoolArray) -> None:
        """Run layers first... of some trials: `out` (trials, layers, statistics) and `finite`
        (trials, layers)."""
        ...


def quiet() -> np.errstate:
    """Return a context that silences numpy. Overflow is a result, and only kernels that run as
    plain Python would warn about it."""
    return np.errstate(over="ignore", invalid="ignore", divide="ignore")


class Trials:
    """What all samplers share: inputs, flags to signal running kernels, finished layers of each
    trial and whether it is finite so far."""

    names: tuple[str, ...] = MEASURED

    def __init__(self, inputs: Inputs, trials: int, seed: int, dtype: str) -> None:
        self.inputs, self.dtype = inputs, np.dtype(dtype)
        self.seed, self.key = seed, np.uint64(seed)
        self.done = np.zeros(trials, np.int64)
        self.stop = np.zeros(1, np.uint8)
        self.alive = np.ones(trials, np.bool_)


class Shared(Trials):
    """What the samplers of uniform stacks share: the stack, and teams of threads."""

    def __init__(self, stack: Stack, inputs: Inputs, trials: int, seed: int, dtype: str) -> None:
        super().__init__(inputs, trials, seed, dtype)
        self.stack = stack
        self.activations = {name: kernel_activation(name) for name in stack.activations}

    @property
    def depth(self) -> int:
        """The number of layers."""
        return self.stack.depth

    def assemble(self, members: int, lanes: int) -> None:
        """Let a team of `members` threads run each trial, with at most `lanes` trials at once."""
        self.members = members
        others = (members - 1) * lanes
        self.pool = ThreadPoolExecutor(others) if others else None

    def draw(self, number: int, layer: int) -> Draw:
        """Return which random numbers a layer of a trial takes."""
        return Draw(self.key, number, layer)

    def together(self, kernel: Any, *arguments: Any) -> None:
        """Run a kernel on every member of a team, led by this thread."""
        run = partial(_quietly, kernel, arguments)
        leader, *others = new_team(self.members, self.stop)
        tasks = [] if self.pool is None else [self.pool.submit(run, other) for other in others]
        run(leader)
        for task in tasks:
            task.result()

    def shares_histories(self, layers: int) -> bool:
        """Return whether trials that keep what they know of this many layers can share a call of a
        kernel. Kernels are compiled for contiguous arrays, as where a stretch is the whole stack.
        """
        return layers == self.stack.depth and len(list(self.stack.stretches())) == 1

    def stretches(
        self, trials: range, first: int, out: FloatArray, finite: BoolArray
    ) -> Iterator[tuple[Stretch, Records]]:
        """Yield the layers first..first+layers−1 of some trials in stretches for a kernel to run.

        The layers of a stretch have one width and activation. Each comes with the records of `out`
        (trials, layers, statistics) and `finite` (trials, layers).
        """
        done, alive = (all_[trials.start : trials.stop] for all_ in (self.done, self.alive))
        for stretch in self.stack.stretches(first, out.shape[1]):
            if self.stop[0]:
                return
            yield stretch, Records(out, finite, done, alive, stretch.first - first, stretch.count)


def _quietly(kernel: Any, arguments: tuple[Any, ...], team: Team) -> None:
    with quiet():
        kernel(team, *arguments)


def kernel_activation(activation: str | Function) -> Activation:
    """Return an activation as kernels take it; a pair of Python functions has no code."""
    own = resolve(activation)
    code = Code(-1) if own.custom else code_of(own)
    return Activation(code, live_range(own), Range(*steep_range(own)))


def live_range(activation: str | Function) -> Range:
    """Return the bounds strictly between which the derivative is not 0."""
    low, high = -math.inf, math.inf
    for start, end in resolve(activation).flat:
        if start == -math.inf:
            low = end
        else:
            high = start
    return Range(low, high)


def over_last(logarithms: FloatArray) -> FloatArray:
    """Return `logarithms` (…, layers) minus the last one; NaN where that is −inf."""
    with np.errstate(invalid="ignore"):
        result: FloatArray = logarithms - logarithms[..., -1:]
    return result
