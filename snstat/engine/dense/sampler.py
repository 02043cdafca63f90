"""The dense sampler: draws weights one tile at a time and multiplies by them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from threading import Semaphore

import numpy as np

from snstat.engine.costs import dense_work
from snstat.engine.dense.way import Way
from snstat.engine.history import (
    HISTORY_BYTES,
    History,
    State,
    nothing,
    segment_length,
    units_of,
)
from snstat.engine.inputs import Inputs
from snstat.engine.kernels import dense, dense_backward, orthogonal, statistics
from snstat.engine.kernels.codes import Code
from snstat.engine.kernels.random import LAWS
from snstat.engine.sampler import Shared, quiet
from snstat.engine.sampling import strip_blocks, tile_rows, weight_law, weight_scale
from snstat.layers.dense import DenseLayer
from snstat.network.stack import Stack, Stretch
from snstat.results import MEASURED, BoolArray, FloatArray

# With less work in a layer (see costs.dense_work), a second thread costs more than it saves.
MIN_WORK = 2**19
# With this many trials per thread, different end times matter little.
EVEN_ENOUGH = 8


class DenseSampler(Shared):
    """Weights are drawn and multiplied in blocks of units. Where trials cannot keep all threads
    busy, a team of threads shares the blocks of a layer. Blocks, and so the results, depend only on
    the shape."""

    def __init__(
        self, stack: Stack, inputs: Inputs, trials: int, seed: int, dtype: str, threads: int
    ) -> None:
        super().__init__(stack, inputs, trials, seed, dtype)
        self.states: list[State] = [np.empty((0, 0), self.dtype)] * trials
        # The pre-activations of each trial for the backward pass, empty if memory does not suffice.
        self.histories: list[History] = []
        self.orthogonal = stack.repeated.orthogonal
        # The number of values from one counter; see random.draw_rows.
        self.values = 16 // self.dtype.itemsize
        members = self._members(trials, threads)
        self.assemble(members, lanes := max(1, threads // members))
        # Teams take turns if there are more trials than teams.
        self.turns = Semaphore(lanes)

    def begin(self, number: int, out: FloatArray) -> bool:
        """Make layer 0 of a trial; see Sampler."""
        self.states[number] = self.inputs.sample(number, self.seed, self.dtype.name)
        with quiet():
            self.alive[number] = statistics.measure(self.states[number], math.nan, math.nan, out)
        return bool(self.alive[number])

    def advance(self, number: int, first: int, out: FloatArray, finite: BoolArray) -> None:
        """Run some layers of one trial; see Sampler."""
        self.run(number, first, out, finite, self.histories[number] if self.histories else None)

    def run(
        self,
        number: int,
        first: int,
        out: FloatArray,
        finite: BoolArray,
        history: History | None = None,
    ) -> None:
        """Do what `advance` does; `history` receives the pre-activations."""
        with self.turns:
            for stretch, values, flags in self.stretches(number, first, out, finite):
                kept = nothing(self.inputs.batch, self.dtype)
                if history is not None:
                    kept = history.of(stretch)
                self.run_stretch(number, stretch, values, flags, kept)

    def remember(self) -> None:
        """Keep what the backward pass needs; see Sampler."""
        size = units_of(self.stack, 1, self.stack.depth) * self.inputs.batch
        if len(self.states) * size * self.dtype.itemsize <= HISTORY_BYTES:
            for _ in self.states:
                memory = np.empty(size, self.dtype)
                whole = History(self.stack, 1, self.stack.depth, memory, self.inputs.batch)
                self.histories.append(whole)

    def history(self, number: int) -> Iterator[tuple[int, History]]:
        """Yield (first, pre-activations of layers first…) by segments of layers, the last one
        first. Nothing is yielded for a trial that is not finite, or after a stop.

        If the forward pass has not kept them, the trial runs again and keeps a state every √depth
        layers. Each segment is then computed once more from its state, so memory grows as √depth.
        """
        depth = self.stack.depth
        if self.histories:
            if self.alive[number]:
                yield 1, self.histories[number]
            return
        step = segment_length(depth)
        scratch, finite = np.empty((step, len(MEASURED))), np.empty(step, np.bool_)
        self.begin(number, scratch[0])
        marks, most = [], 0
        for first in range(1, depth + 1, step):
            marks.append(self.states[number].copy())
            count = min(step, depth + 1 - first)
            most = max(most, units_of(self.stack, first, count))
            self.run(number, first, scratch[:count], finite[:count])
        if not self.alive[number]:
            return
        memory = np.empty(most * self.inputs.batch, self.dtype)
        while marks:
            first, self.states[number] = 1 + (len(marks) - 1) * step, marks.pop()
            count = min(step, depth + 1 - first)
            kept = History(self.stack, first, count, memory, self.inputs.batch)
            self.run(number, first, scratch[:count], finite[:count], kept)
            if self.stop[0]:
                return
            yield first, kept

    def run_stretch(
        self, number: int, stretch: Stretch, out: FloatArray, finite: BoolArray, kept: State
    ) -> None:
        """Run layers of equal width and activation; `kept` (layers or 0, width, batch) receives
        their pre-activations."""
        first, leading, later = stretch.first, stretch.leading, stretch.later
        code, live = self.codes[later.activation], self.lives[later.activation]
        width, batch = later.fan_out, self.inputs.batch
        source, spare = self.states[number], np.empty((width, batch), self.dtype)
        state = source if source.shape == spare.shape else np.empty_like(spare)
        scales = np.array([weight_scale(leading), weight_scale(later)])
        bias_stds = np.array([leading.bias_std, later.bias_std])
        bias_law = LAWS[leading.bias_distribution]
        rest = kept, out, finite, self.done[number : number + 1], self.stop
        if self.orthogonal:
            with quiet():
                orthogonal.forward(
                    code, first, source, spare, state, np.empty_like(spare), scales, bias_stds,
                    bias_law, live, number, self.key, *rest,
                )  # fmt: skip
        else:
            rows = np.array([self.rows_of(leading), self.rows_of(later)])
            blocks = -(-width // int(rows.min()))
            scratch = 0 if len(kept) else int(rows.max())
            self.together(
                dense.forward,
                code,
                weight_law(leading),
                first,
                source,
                spare,
                state,
                np.empty((self.members, scratch, batch), self.dtype),
                np.empty((self.members, self._tile_values(leading, later)), self.dtype),
                rows,
                scales,
                bias_stds,
                bias_law,
                live,
                number,
                self.key,
                np.empty(width),
                np.empty((blocks, statistics.SAMPLE_SUMS, batch)),
                np.empty((blocks, statistics.POWERS)),
                np.empty((blocks, 2), np.int64),
                *rest,
            )
        self.states[number] = spare if len(out) % 2 == 1 else state

    def way(self, number: int) -> Way:
        """Begin a backward pass."""
        return Way(self.stack, self.inputs.batch, self.dtype, number, self.key)

    def back(self, way: Way, stretch: Stretch, z: State) -> None:
        """Go back through layers of equal width and activation, with their pre-activations `z`
        (layers, width, batch)."""
        go = self.back_by_layer if self.orthogonal else self._back_together
        go(way, stretch, z)

    def into_preactivations(self, layer: int, z: State, h: State) -> tuple[float, float]:
        """Multiply `h` by φ'(z), both (width, batch); return its sums of squares before and
        after."""
        before, after = dense_backward.into_preactivations(self.code_of(layer), z, h)
        return before, after

    def _back_together(self, way: Way, stretch: Stretch, z: State) -> None:
        """Go back through layers of equal width and activation; `z` (layers, width, batch)."""
        leading, later, batch = stretch.leading, stretch.later, way.batch
        strips = np.array([self.strips_of(leading), self.strips_of(later)])
        columns = strips * self.values
        members, rows = self.members, self.rows_of(later)
        self.together(
            dense_backward.backward,
            self.codes[later.activation],
            weight_law(leading),
            stretch.first,
            leading.fan_in,
            z,
            way.buffers,
            way.turn,
            rows,
            strips,
            np.array([weight_scale(leading), weight_scale(later)]),
            way.number,
            self.key,
            np.empty((members, later.fan_out * int(columns.max())), self.dtype),
            np.empty((members, int(columns.max()), batch), self.dtype),
            np.empty((-(-later.fan_out // rows), 2)),
            np.empty(members, np.uint8),
            way.squares,
            way.shifts,
            self.stop,
        )
        way.went(stretch.count, leading.fan_in)

    def back_by_layer(self, way: Way, stretch: Stretch, z: State) -> None:
        """Do what `back` does, layer by layer: for orthogonal layers and Python functions."""
        for layer in range(stretch.first + stretch.count - 1, stretch.first - 1, -1):
            h = way.gradient
            with quiet():
                before, after = self.into_preactivations(layer, z[layer - stretch.first], h)
            if self.stop[0]:
                return
            way.squares[layer] = before
            if after == 0.0:
                way.squares[:layer] = 0.0
                return
            mean = after / h.size
            if not mean < math.inf:
                return
            way.shifts[layer] = math.log(mean)
            dense_backward.rescale(h, 1.0 / math.sqrt(mean))
            spec = self.stack.layer(layer)
            out = way.view(1 - way.turn, spec.fan_in)
            with quiet():
                self._through_weights(way.number, layer, h, out)
            way.went(1, spec.fan_in)
        way.squares[stretch.first - 1] = dense_backward.sum_of_squares(way.gradient)

    def _through_weights(self, number: int, layer: int, h: State, out: State) -> None:
        """Write Wᵀ h to `out` (fan_in, batch); `h` (width, batch)."""
        spec = self.stack.layer(layer)
        scale = weight_scale(spec)
        if self.orthogonal:
            orthogonal.orthogonal_transposed(h, out, scale, layer, number, self.key, self.stop)
            return
        step = self.strips_of(spec)
        columns = step * self.values
        self.together(
            dense_backward.through_weights,
            h,
            out,
            np.empty((self.members, columns, h.shape[1]), self.dtype),
            np.empty((self.members, spec.fan_out * columns), self.dtype),
            step,
            weight_law(spec),
            scale,
            layer,
            number,
            self.key,
            self.stop,
        )

    def rows_of(self, layer: DenseLayer) -> int:
        """Return the number of units in a block of a layer. For an orthogonal layer, a block is the
        whole layer."""
        return layer.fan_out if self.orthogonal else tile_rows(layer.fan_in, layer.fan_out)

    def strips_of(self, layer: DenseLayer) -> int:
        """Return the number of random blocks of columns in a strip of the weights of a layer."""
        return strip_blocks(layer.fan_in, layer.fan_out, self.values)

    def code_of(self, layer: int) -> Code:
        """Return the code of a layer's activation, for kernels."""
        return self.codes[self.stack.activation_of(layer)]

    def _tile_values(self, *layers: DenseLayer) -> int:
        """Return how many weights of a layer are drawn at once in the forward pass."""
        return max(self.rows_of(layer) * layer.fan_in for layer in layers)

    def _members(self, trials: int, threads: int) -> int:
        """Return the number of threads that share a trial: one if trials are enough for all threads
        or layers are too small, and for orthogonal layers, whose reflectors have no blocks."""
        even = trials % threads == 0 or trials >= EVEN_ENOUGH * threads
        if even or self.orthogonal:
            return 1
        kinds = {layer for _, _, layer in self.stack.segments()}
        blocks = max(-(-layer.fan_out // self.rows_of(layer)) for layer in kinds)
        work = max(dense_work(layer, self.inputs.batch, backward=False) for layer in kinds)
        wanted = threads // trials if threads % trials == 0 else threads
        return max(1, min(wanted, blocks, int(work) // MIN_WORK))
