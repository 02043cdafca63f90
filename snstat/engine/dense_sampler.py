"""The dense sampler: weights are drawn, a tile at a time, and multiplied."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from snstat.engine.gradients import dense_gradient
from snstat.engine.inputs import Inputs
from snstat.engine.kernels import dense, dense_backward, functions, orthogonal, statistics
from snstat.engine.sampler import Shared, quiet
from snstat.engine.sampling import strip_blocks, tile_rows, weight_scale
from snstat.results import BoolArray, FloatArray
from snstat.stack import Stack

# A tile of fewer weights costs more to hand to another thread than to draw and multiply.
SPREAD_VALUES = 2**16
# Elementwise work on fewer activations is done before other threads have heard of it.
SPREAD_ELEMENTS = 2**20
# With so many trials to a thread it matters little if they end at different times.
EVEN_ENOUGH = 8

State = npt.NDArray[np.floating]
Result = TypeVar("Result")


class DenseSampler(Shared):
    """Weights are drawn and multiplied in blocks of units, which threads share where trials leave
    them idle. Blocks depend on the shape alone, and so do results."""

    name = "dense"

    def __init__(
        self, stack: Stack, inputs: Inputs, trials: int, seed: int, dtype: str, threads: int
    ) -> None:
        super().__init__(stack, inputs, trials, seed, dtype)
        width, batch = stack.width, inputs.batch
        self.states: list[State] = [np.empty((0, 0), self.dtype)] * trials
        self.orthogonal = stack.layer(1).distribution == "orthogonal"
        # Numbers that one counter gives: see random.draw_rows.
        self.values = 16 // self.dtype.itemsize
        fan_ins = (inputs.width, width)
        # Units of a block; the reflectors of an orthogonal matrix know no blocks of rows.
        self.rows = np.array(
            [width if self.orthogonal else tile_rows(fan_in, width) for fan_in in fan_ins]
        )
        tiles = self.rows * fan_ins
        uneven = trials % threads != 0 and trials < EVEN_ENOUGH * threads
        blocks = -(-width // int(self.rows[1]))
        spread = uneven and blocks > 1 and tiles[1] >= SPREAD_VALUES
        self.pool = ThreadPoolExecutor(threads) if spread else None
        strips = [
            strip_blocks(fan_in, width, self.values) * self.values * width for fan_in in fan_ins
        ]
        size = 0 if self.orthogonal else max(int(tiles.max()), *strips)
        # Pre-activations of a block and a tile of weights, for each thread; activations of a
        # layer, for each trial under way.
        self.scratch: SimpleQueue[tuple[State, State]] = SimpleQueue()
        self.spares: SimpleQueue[State] = SimpleQueue()
        for _ in range(threads):
            z = np.empty((int(self.rows.max()), batch), self.dtype)
            self.scratch.put((z, np.empty(size, self.dtype)))
        for _ in range(min(threads, trials)):
            self.spares.put(np.empty((width, batch), self.dtype))

    def begin(self, number: int, out: FloatArray) -> bool:
        """Make layer 0 of a trial: see Sampler."""
        self.states[number] = self.inputs.sample(number, self.seed, self.dtype.name)
        with quiet():
            self.alive[number] = statistics.measure(self.states[number], math.nan, out)
        return bool(self.alive[number])

    def advance(self, number: int, first: int, out: FloatArray, finite: BoolArray) -> None:
        """Run some layers of one trial: see Sampler."""
        if self.skip(number, out, finite):
            return
        if self.pool is None:
            self._advance_alone(number, first, out, finite)
        else:
            self._advance_together(number, first, out, finite)
        self.alive[number] = finite[-1]

    def gradient(self, number: int) -> FloatArray:
        """Return ln of the mean square gradients of one trial: see gradients.dense_gradient."""
        return dense_gradient(self, number)

    # ------------------------------------------------------------------- steps of the way back

    def preactivate(self, number: int, layer: int, x: State) -> State:
        """Return the pre-activations (width, batch) of a layer fed with `x` (fan_in, batch).

        After a stop they are not all there.
        """
        z = np.empty((self.stack.width, x.shape[1]), self.dtype)
        biases = self._biases(number, layer)
        spec = self.stack.layer(layer)
        uniform, scale = spec.distribution == "uniform", weight_scale(spec)
        if self.orthogonal:
            orthogonal.orthogonal(x, z, scale, layer, number, self.key, self.stop)
            dense.add_biases(z, 0, biases)
            return z

        def run(a: int, b: int) -> None:
            if self.stop[0]:
                return
            with self._borrowed() as (_, tile):
                dense.preactivations(
                    x, z[a:b], a, tile, uniform, scale, biases, layer, number, self.key
                )

        self._each_block(layer, run)
        return z

    def activate(self, z: State) -> State:
        """Return the activations of `z`, same shape."""
        x = np.empty_like(z)
        self._each_part(2, lambda a, b: functions.activate(self.code, z[a:b], x[a:b]))
        return x

    def scale_by_derivative(self, z: State, h: State) -> float:
        """Multiply `h` by φ'(z), scale it to mean square 1, and return the mean square it had."""
        sums = self._each_part(
            2, lambda a, b: dense_backward.into_preactivations(self.code, z[a:b], h[a:b])
        )
        square = float(sum(sums)) / h.size
        if square > 0:
            factor = self.dtype.type(1.0 / math.sqrt(square))
            self._each_part(2, lambda a, b: dense_backward.rescale(h[a:b], factor))
        return square

    def through_weights(self, number: int, layer: int, h: State, out: State) -> None:
        """Write Wᵀ h to `out` (fan_in, batch); `h` (width, batch)."""
        spec = self.stack.layer(layer)
        scale = weight_scale(spec)
        if self.orthogonal:
            orthogonal.orthogonal_transposed(h, out, scale, layer, number, self.key, self.stop)
            return
        total = -(-spec.fan_in // self.values)
        step = strip_blocks(spec.fan_in, spec.fan_out, self.values)

        def run(strip: int) -> None:
            first = strip * step
            with self._borrowed() as (_, tile):
                dense_backward.through_weights(
                    h,
                    out,
                    first,
                    min(step, total - first),
                    tile,
                    spec.distribution == "uniform",
                    scale,
                    layer,
                    number,
                    self.key,
                    self.stop,
                )

        self._each(-(-total // step), run)

    # ------------------------------------------------------------------------------- the way on

    def _advance_alone(self, number: int, first: int, out: FloatArray, finite: BoolArray) -> None:
        """Run some layers of one trial in this thread, without coming back in between."""
        leading, later = self.layers_from(first)
        source, spare = self.states[number], self.spares.get()
        state = source if source.shape == spare.shape else np.empty_like(spare)
        scales = np.array([weight_scale(leading), weight_scale(later)])
        bias_stds = np.array([leading.bias_std, later.bias_std])
        rest = (
            leading.bias_distribution == "uniform", self.live, number, self.key, out, finite,
            self.done[number : number + 1], self.stop,
        )  # fmt: skip
        with self._borrowed() as (z, tile):
            head = (first, source, spare, state, z)
            if self.orthogonal:
                orthogonal.forward(self.code, *head, scales, bias_stds, *rest)
            else:
                uniform = leading.distribution == "uniform"
                rows = self.rows[[min(first, 2) - 1, 1]]
                dense.forward(self.code, uniform, *head, tile, rows, scales, bias_stds, *rest)
        if len(out) % 2 == 1:
            spare, state = state, spare
        self.states[number] = state
        self.spares.put(spare)

    def _advance_together(
        self, number: int, first: int, out: FloatArray, finite: BoolArray
    ) -> None:
        """Do what dense.forward does, with the blocks of a layer spread over threads."""
        for i in range(len(out)):
            source, target = self.states[number], self.spares.get()
            finite[i] = self._layer(number, first + i, source, target, out[i])
            self.states[number] = target
            self.spares.put(source if source.shape == target.shape else np.empty_like(target))
            if self.stop[0]:
                return
            if not finite[i]:
                statistics.give_up(i, out, finite, self.done[number : number + 1])
                return
            self.done[number] += 1

    def _layer(self, number: int, layer: int, x: State, target: State, out: FloatArray) -> bool:
        """Make and measure one layer fed with `x`; return if it is finite (and not stopped)."""
        width, batch = target.shape
        step = self._step(layer)
        unit_mean = np.empty(width)
        sums = np.empty((-(-width // step), statistics.SAMPLE_SUMS, batch))
        centres, powers = np.empty((2, batch)), np.empty((len(sums), statistics.POWERS))
        spec, biases = self.stack.layer(layer), self._biases(number, layer)
        uniform, scale = spec.distribution == "uniform", weight_scale(spec)

        def run(a: int, b: int) -> int:
            with self._borrowed() as (z, tile):
                count: int = dense.run_block(
                    self.code, x, z[: b - a], a, tile, uniform, scale, biases, layer, number,
                    self.key, target[a:b], self.live, unit_mean[a:b], sums[a // step], self.stop,
                )  # fmt: skip
            return count

        dead = self._each_block(layer, run)
        if self.stop[0] or min(dead) < 0:
            return False
        mean, squares, alive = statistics.centre(sums, width, centres)
        self._each_part(
            layer,
            lambda a, b: statistics.second_pass(
                target[a:b], unit_mean[a:b], mean, centres, powers[a // step]
            ),
        )
        statistics.conclude(width, batch, mean, squares, alive, powers, sum(dead) / width, out)
        return True

    def _biases(self, number: int, layer: int) -> State:
        """Return the biases of a layer (1, width), or (1, 0) where there are none."""
        spec = self.stack.layer(layer)
        uniform = spec.bias_distribution == "uniform"
        biases: State = dense.draw_biases(
            spec.fan_out, spec.bias_std, uniform, layer, number, self.key, self.states[number]
        )
        return biases

    # ------------------------------------------------------------------------------ the threads

    @contextlib.contextmanager
    def _borrowed(self) -> Iterator[tuple[State, State]]:
        """Lend a thread its scratch (z, tile)."""
        scratch = self.scratch.get()
        try:
            with quiet():
                yield scratch
        finally:
            self.scratch.put(scratch)

    def _blocks(self, layer: int) -> list[tuple[int, int]]:
        """Return the first and last+1 unit of every block of a layer."""
        step, width = self._step(layer), self.stack.width
        return [(a, min(a + step, width)) for a in range(0, width, step)]

    def _step(self, layer: int) -> int:
        """Return how many units of a layer make a block."""
        return int(self.rows[0 if layer == 1 else 1])

    def _each_part(self, layer: int, task: Callable[[int, int], Result]) -> list[Result]:
        """Do what _each_block does for elementwise work: in this thread if that is soonest."""
        if self.stack.width * self.inputs.batch >= SPREAD_ELEMENTS:
            return self._each_block(layer, task)
        return [task(a, b) for a, b in self._blocks(layer)]

    def _each_block(self, layer: int, task: Callable[[int, int], Result]) -> list[Result]:
        """Call `task` with the first and last+1 unit of every block of a layer, in any thread."""
        blocks = self._blocks(layer)
        return self._each(len(blocks), lambda block: task(*blocks[block]))

    def _each(self, count: int, task: Callable[[int], Result]) -> list[Result]:
        """Return the results of `task` for 0..count−1, in order; after a stop it may do nothing."""
        if self.pool is None or count == 1:
            return [task(k) for k in range(count)]
        return list(self.pool.map(task, range(count)))
