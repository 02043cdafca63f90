"""The dense sampler: draws weights one tile at a time and multiplies by them."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from snstat.engine.inputs import Inputs
from snstat.engine.kernels import dense, dense_backward, functions, orthogonal, statistics
from snstat.engine.kernels.codes import Code
from snstat.engine.kernels.random import LAWS
from snstat.engine.sampler import Shared, quiet
from snstat.engine.sampling import strip_blocks, tile_rows, weight_law, weight_scale
from snstat.network.stack import DenseLayer, Stack, Stretch
from snstat.results import BoolArray, FloatArray

# Handing a tile with fewer weights to another thread costs more than drawing and multiplying it.
SPREAD_VALUES = 2**16
# Elementwise work on fewer activations ends before another thread could start on it.
SPREAD_ELEMENTS = 2**20
# With this many trials per thread, different end times matter little.
EVEN_ENOUGH = 8

State = npt.NDArray[np.floating]
Result = TypeVar("Result")


class DenseSampler(Shared):
    """Weights are drawn and multiplied in blocks of units. Threads without a trial share the blocks
    of another. Blocks, and so the results, depend only on the shape."""

    def __init__(
        self, stack: Stack, inputs: Inputs, trials: int, seed: int, dtype: str, threads: int
    ) -> None:
        super().__init__(stack, inputs, trials, seed, dtype)
        batch = inputs.batch
        self.states: list[State] = [np.empty((0, 0), self.dtype)] * trials
        self.orthogonal = stack.square.distribution == "orthogonal"
        # The number of values from one counter; see random.draw_rows.
        self.values = 16 // self.dtype.itemsize
        kinds = {layer for _, _, layer in stack.segments()}
        uneven = trials % threads != 0 and trials < EVEN_ENOUGH * threads
        spread = uneven and any(
            self.rows_of(layer) < layer.fan_out
            and self.rows_of(layer) * layer.fan_in >= SPREAD_VALUES
            for layer in kinds
        )
        self.pool = ThreadPoolExecutor(threads) if spread else None
        size = 0 if self.orthogonal else max(self._tile_values(layer) for layer in kinds)
        # Each thread has the pre-activations of a block and a tile of weights. Each trial in
        # progress has the activations of a layer.
        self.scratch: SimpleQueue[tuple[State, State]] = SimpleQueue()
        self.spares: SimpleQueue[State] = SimpleQueue()
        for _ in range(threads):
            z = np.empty((max(self.rows_of(layer) for layer in kinds), batch), self.dtype)
            self.scratch.put((z, np.empty(size, self.dtype)))
        for _ in range(min(threads, trials)):
            self.spares.put(np.empty((stack.width, batch), self.dtype))

    def begin(self, number: int, out: FloatArray) -> bool:
        """Make layer 0 of a trial; see Sampler."""
        self.states[number] = self.inputs.sample(number, self.seed, self.dtype.name)
        with quiet():
            self.alive[number] = statistics.measure(self.states[number], math.nan, math.nan, out)
        return bool(self.alive[number])

    def advance(self, number: int, first: int, out: FloatArray, finite: BoolArray) -> None:
        """Run some layers of one trial; see Sampler."""
        run = self._run_alone if self.pool is None else self._run_together
        for stretch, values, flags in self.stretches(number, first, out, finite):
            run(number, stretch, values, flags)

    # ----------------------------------------------------------------- steps of the backward pass

    def preactivate(self, number: int, layer: int, x: State) -> State:
        """Return the pre-activations (width, batch) of a layer fed with `x` (fan_in, batch).

        They are incomplete after a stop.
        """
        spec, biases = self.stack.layer(layer), self._biases(number, layer)
        z = np.empty((spec.fan_out, x.shape[1]), self.dtype)
        law, scale = weight_law(spec), weight_scale(spec)
        if self.orthogonal:
            orthogonal.orthogonal(x, z, scale, layer, number, self.key, self.stop)
            dense.add_biases(z, 0, biases)
            return z

        def run(a: int, b: int) -> None:
            if self.stop[0]:
                return
            with self._borrowed() as (_, tile):
                dense.preactivations(
                    x, z[a:b], a, tile, law, scale, biases, layer, number, self.key
                )

        self._each_block(layer, run)
        return z

    def activate(self, layer: int, z: State) -> State:
        """Return the activations of a layer for its pre-activations `z`, same shape."""
        x, code = np.empty_like(z), self.code_of(layer)
        self._each_part(layer, lambda a, b: functions.activate(code, z[a:b], x[a:b]))
        return x

    def scale_by_derivative(self, layer: int, z: State, h: State) -> tuple[float, float]:
        """Multiply `h` by φ'(z) and scale it to mean square 1.

        Return the sum of squares of `h` before, and its mean square after the multiplication.
        """
        code = self.code_of(layer)
        sums = self._each_part(
            layer, lambda a, b: dense_backward.into_preactivations(code, z[a:b], h[a:b])
        )
        before, after = (float(sum(column)) for column in zip(*sums, strict=True))
        square = after / h.size
        if square > 0:
            factor = self.dtype.type(1.0 / math.sqrt(square))
            self._each_part(layer, lambda a, b: dense_backward.rescale(h[a:b], factor))
        return before, square

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
                    weight_law(spec),
                    scale,
                    layer,
                    number,
                    self.key,
                    self.stop,
                )

        self._each(-(-total // step), run)

    # ---------------------------------------------------------------------------- the forward pass

    def _run_alone(self, number: int, stretch: Stretch, out: FloatArray, finite: BoolArray) -> None:
        """Run some layers of one trial in this thread within a single kernel call."""
        first, leading, later = stretch.first, stretch.leading, stretch.later
        code, live = self.codes[later.activation], self.lives[later.activation]
        source, spare = self.states[number], self._spare(later.fan_out)
        state = source if source.shape == spare.shape else np.empty_like(spare)
        scales = np.array([weight_scale(leading), weight_scale(later)])
        bias_stds = np.array([leading.bias_std, later.bias_std])
        rest = (
            LAWS[leading.bias_distribution], live, number, self.key, out, finite,
            self.done[number : number + 1], self.stop,
        )  # fmt: skip
        with self._borrowed() as (z, tile):
            head = (first, source, spare, state, z)
            if self.orthogonal:
                head = (*head[:-1], z[: later.fan_out])
                orthogonal.forward(code, *head, scales, bias_stds, *rest)
            else:
                law = weight_law(leading)
                rows = np.array([self.rows_of(leading), self.rows_of(later)])
                dense.forward(code, law, *head, tile, rows, scales, bias_stds, *rest)
        if len(out) % 2 == 1:
            spare, state = state, spare
        self.states[number] = state
        self.spares.put(spare)

    def _run_together(
        self, number: int, stretch: Stretch, out: FloatArray, finite: BoolArray
    ) -> None:
        """Run dense.forward with the blocks of a layer distributed over threads."""
        for i in range(len(out)):
            source, target = self.states[number], self._spare(stretch.later.fan_out)
            try:
                finite[i] = self._layer(number, stretch.first + i, source, target, out[i])
            except BaseException:
                self.stop[0] = 1
                self.spares.put(target)  # another trial may be waiting for it
                raise
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
        law, scale = weight_law(spec), weight_scale(spec)
        code, live = self.codes[spec.activation], self.lives[spec.activation]

        def run(a: int, b: int) -> tuple[int, int]:
            with self._borrowed() as (z, tile):
                counts: tuple[int, int] = dense.run_block(
                    code, x, z[: b - a], a, tile, law, scale, biases, layer, number,
                    self.key, target[a:b], live, unit_mean[a:b], sums[a // step], self.stop,
                )  # fmt: skip
            return counts

        dead, flat = zip(*self._each_block(layer, run), strict=True)
        if self.stop[0] or min(dead) < 0:
            return False
        found = statistics.centre(sums, width, centres)
        self._each_part(
            layer,
            lambda a, b: statistics.second_pass(
                target[a:b], unit_mean[a:b], found[0], centres, powers[a // step]
            ),
        )
        share = sum(flat) / target.size if live[2] < live[3] else math.nan
        statistics.conclude(width, batch, found, powers, sum(dead) / width, share, out)
        return True

    def _biases(self, number: int, layer: int) -> State:
        """Return the biases of a layer (1, width), or (1, 0) if it has none."""
        spec = self.stack.layer(layer)
        law = LAWS[spec.bias_distribution]
        biases: State = dense.draw_biases(
            spec.fan_out, spec.bias_std, law, layer, number, self.key, self.states[number]
        )
        return biases

    # ------------------------------------------------------------------------------ the threads

    @contextlib.contextmanager
    def _borrowed(self) -> Iterator[tuple[State, State]]:
        """Lend scratch (z, tile) to a thread."""
        scratch = self.scratch.get()
        try:
            with quiet():
                yield scratch
        finally:
            self.scratch.put(scratch)

    def _spare(self, width: int) -> State:
        """Return a buffer for the activations of a layer, (width, batch)."""
        spare = self.spares.get()
        return spare if len(spare) == width else np.empty((width, self.inputs.batch), self.dtype)

    def rows_of(self, layer: DenseLayer) -> int:
        """Return the number of units in a block of a layer. An orthogonal layer is one block,
        because reflectors act on whole columns."""
        return layer.fan_out if self.orthogonal else tile_rows(layer.fan_in, layer.fan_out)

    def _tile_values(self, layer: DenseLayer) -> int:
        """Return the number of weights of a layer drawn at once, forward and backward."""
        strip = strip_blocks(layer.fan_in, layer.fan_out, self.values) * self.values
        return max(self.rows_of(layer) * layer.fan_in, strip * layer.fan_out)

    def code_of(self, layer: int) -> Code:
        """Return the kernels' code of the activation of a layer."""
        return self.codes[self.stack.activation_of(layer)]

    def _blocks(self, layer: int) -> list[tuple[int, int]]:
        """Return the first and last+1 unit of every block of a layer."""
        step, width = self._step(layer), self.stack.width_of(layer)
        return [(a, min(a + step, width)) for a in range(0, width, step)]

    def _step(self, layer: int) -> int:
        """Return the number of units in a block of a layer."""
        return self.rows_of(self.stack.layer(layer))

    def _each_part(self, layer: int, task: Callable[[int, int], Result]) -> list[Result]:
        """Do the same as `_each_block` for elementwise work; in this thread if that is faster."""
        if self.stack.width_of(layer) * self.inputs.batch >= SPREAD_ELEMENTS:
            return self._each_block(layer, task)
        return [task(a, b) for a, b in self._blocks(layer)]

    def _each_block(self, layer: int, task: Callable[[int, int], Result]) -> list[Result]:
        """Call `task` with the first and last+1 unit of every block of a layer, in any thread."""
        blocks = self._blocks(layer)
        return self._each(len(blocks), lambda block: task(*blocks[block]))

    def _each(self, count: int, task: Callable[[int], Result]) -> list[Result]:
        """Return the results of `task` for 0..count−1, in order. After a stop it may do nothing."""
        if self.pool is None or count == 1:
            return [task(k) for k in range(count)]
        return list(self.pool.map(task, range(count)))
