"""The dense sampler: weights are drawn, a tile at a time, and multiplied (kernels/dense.py)."""

from __future__ import annotations

import math
from queue import SimpleQueue

import numpy as np
import numpy.typing as npt

from snstat.engine.gradients import dense_gradient
from snstat.engine.inputs import Inputs
from snstat.engine.kernels import dense
from snstat.engine.sampler import Shared
from snstat.engine.sampling import tile_rows, weight_scale
from snstat.results import BoolArray, FloatArray
from snstat.stack import Stack


class DenseSampler(Shared):
    """Weights are drawn, a tile at a time, and multiplied."""

    name = "dense"
    distributions = dense.DISTRIBUTIONS

    def __init__(
        self, stack: Stack, inputs: Inputs, trials: int, seed: int, dtype: str, threads: int
    ) -> None:
        super().__init__(stack, inputs, trials, seed, dtype)
        self.states: list[npt.NDArray[np.floating]] = [np.empty((0, 0), self.dtype)] * trials
        # Pre-activations and a tile of weights, for each thread.
        self.scratch: SimpleQueue[tuple[npt.NDArray[np.floating], npt.NDArray[np.floating]]]
        self.scratch = SimpleQueue()
        fan_in, width = max(inputs.width, stack.width), stack.width
        drawn = stack.layer(1).distribution != "orthogonal"
        for _ in range(threads):
            tile = np.empty(tile_rows(fan_in, width) * fan_in if drawn else 0, self.dtype)
            self.scratch.put((np.empty((width, inputs.batch), self.dtype), tile))

    def begin(self, number: int, out: FloatArray) -> bool:
        """Make layer 0 of a trial: see Sampler."""
        self.states[number] = self.inputs.sample(number, self.seed, self.dtype.name)
        self.alive[number] = dense.measure(self.states[number], math.nan, out)
        return bool(self.alive[number])

    def advance(self, number: int, first: int, out: FloatArray, finite: BoolArray) -> None:
        """Run some layers of one trial: see Sampler."""
        if self.skip(number, out, finite):
            return
        leading, later = self.layers_from(first)
        source = self.states[number]
        if first == 1 and source.shape[0] != self.stack.width:
            self.states[number] = np.empty((self.stack.width, source.shape[1]), self.dtype)
        z, tile = self.scratch.get()
        try:
            # Overflow is a result here; only kernels run as plain Python would warn of it.
            with np.errstate(over="ignore", invalid="ignore"):
                dense.forward(
                    self.code,
                    dense.DISTRIBUTIONS[leading.distribution],
                    first,
                    source,
                    self.states[number],
                    z,
                    tile,
                    np.array([weight_scale(leading), weight_scale(later)]),
                    np.array([leading.bias_std, later.bias_std]),
                    leading.bias_distribution == "uniform",
                    self.live,
                    number,
                    self.key,
                    out,
                    finite,
                    self.done[number : number + 1],
                    self.stop,
                )
        finally:
            self.scratch.put((z, tile))
        self.alive[number] = finite[-1]

    def gradient(self, number: int) -> FloatArray:
        """Return ln of the mean square gradients of one trial: see gradients.dense_gradient."""
        return dense_gradient(self, number)
