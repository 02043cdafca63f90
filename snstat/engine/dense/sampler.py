"""The dense sampler: draws weights one tile at a time and multiplies by them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from threading import Semaphore

import numpy as np

from snstat.engine.costs import dense_work
from snstat.engine.dense.way import Way
from snstat.engine.draws import drawn_layer
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
from snstat.engine.kernels.layers import DrawnLayer, Layers, Records
from snstat.engine.kernels.random import BLOCK_BYTES
from snstat.engine.sampler import AT_ONCE, Shared, quiet
from snstat.layers.dense_layer import DenseLayer
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
        # Pre-activations (trials, values) for the backward pass, None if memory does not suffice.
        self.kept: State | None = None
        self.orthogonal = stack.repeated.orthogonal
        # The number of values from one counter; see random.draw_rows.
        self.values = BLOCK_BYTES // self.dtype.itemsize
        members = self._members(trials, threads)
        self.assemble(members, lanes := max(1, threads // members))
        # A team has one trial at a time: see dense.forward.
        size = max(stack.input_width, stack.width) * inputs.batch
        self.at_once = max(1, AT_ONCE // size) if members == 1 else 1
        # Teams take turns if there are more trials than teams.
        self.turns = Semaphore(lanes)

    def begin(self, number: int, out: FloatArray) -> bool:
        """Make layer 0 of a trial; see Sampler."""
        self.states[number] = self.inputs.sample(number, self.seed, self.dtype.name)
        with quiet():
            self.alive[number] = statistics.measure(self.states[number], math.nan, math.nan, out)
        return bool(self.alive[number])

    def advance(self, trials: range, first: int, out: FloatArray, finite: BoolArray) -> None:
        """Run some layers of some trials; see Sampler."""
        step = self.at_once if self.kept is None or self.shares_histories(out.shape[1]) else 1
        for begin in range(0, len(trials), step):
            part = slice(begin, begin + step)
            some = trials[part]
            self.run(some, first, out[part], finite[part], self._history_of(some))

    def run(
        self,
        trials: range,
        first: int,
        out: FloatArray,
        finite: BoolArray,
        history: History | None = None,
    ) -> None:
        """Do what `advance` does; `history` receives the pre-activations."""
        with self.turns:
            for stretch, records in self.stretches(trials, first, out, finite):
                kept = nothing(len(trials), self.inputs.batch, self.dtype)
                if history is not None:
                    kept = history.of(stretch)
                self.run_stretch(trials, stretch, records, kept)

    def remember(self) -> None:
        """Keep what the backward pass needs; see Sampler."""
        size = units_of(self.stack, 1, self.stack.depth) * self.inputs.batch
        if len(self.states) * size * self.dtype.itemsize <= HISTORY_BYTES:
            self.kept = np.empty((len(self.states), size), self.dtype)

    def _history_of(self, trials: range) -> History | None:
        """Return what some trials keep of all layers, None if they do not."""
        if self.kept is None:
            return None
        memory = self.kept[trials.start : trials.stop]
        return History(self.stack, 1, self.stack.depth, memory, self.inputs.batch)

    def history(self, number: int) -> Iterator[tuple[int, History]]:
        """Yield (first, pre-activations of layers first…) by segments of layers, the last one
        first. Nothing is yielded for a trial that is not finite, or after a stop.

        If the forward pass has not kept them, the trial runs again and keeps a state every √depth
        layers. Each segment is then computed once more from its state, so memory grows as √depth.
        """
        depth = self.stack.depth
        if not self.alive[number]:
            return
        trial = range(number, number + 1)
        if whole := self._history_of(trial):
            yield 1, whole
            return
        step = segment_length(depth)
        scratch, finite = np.empty((1, step, len(MEASURED))), np.empty((1, step), np.bool_)
        self.begin(number, scratch[0, 0])
        marks, most = [], 0
        for first in range(1, depth + 1, step):
            marks.append(self.states[number].copy())
            count = min(step, depth + 1 - first)
            most = max(most, units_of(self.stack, first, count))
            self.run(trial, first, scratch[:, :count], finite[:, :count])
        if not self.alive[number]:
            return
        memory = np.empty((1, most * self.inputs.batch), self.dtype)
        while marks:
            first, self.states[number] = 1 + (len(marks) - 1) * step, marks.pop()
            count = min(step, depth + 1 - first)
            kept = History(self.stack, first, count, memory, self.inputs.batch)
            self.run(trial, first, scratch[:, :count], finite[:, :count], kept)
            if self.stop[0]:
                return
            yield first, kept

    def run_stretch(self, trials: range, stretch: Stretch, records: Records, kept: State) -> None:
        """Run layers of equal width and activation; `kept` (trials, layers or 0, width, batch)
        receives their pre-activations."""
        layers = self.layers(stretch)
        units, batch = layers.later.units, self.inputs.batch
        rows = layers.leading.rows, layers.later.rows
        blocks = -(-units // min(rows))
        states, history = self.states[trials.start : trials.stop], kept.shape[1] > 0
        source = states[0][None] if len(states) == 1 else np.stack(states)
        spare = np.empty((len(states), units, batch), self.dtype)
        state = source if source.shape == spare.shape else np.empty_like(spare)
        self.together(
            dense.forward,
            layers,
            self.draw(trials.start, stretch.first),
            dense.States(source, spare, state),
            kept,
            records,
            dense.Workspace(
                tiles=self.tiles(layers.leading, layers.later),
                z=np.empty((self.members, 0 if history else max(rows), batch), self.dtype),
                unit_mean=np.empty(units),
                sums=np.empty((blocks, statistics.SAMPLE_SUMS, batch)),
                powers=np.empty((blocks, statistics.POWERS)),
                counts=np.empty((blocks, 2), np.int64),
            ),
        )
        last = spare if stretch.count % 2 == 1 else state
        self.states[trials.start : trials.stop] = list(last)

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
        code = self.activations[self.stack.activation_of(layer)].code
        before, after = dense_backward.into_preactivations(code, z, h)
        return before, after

    def _back_together(self, way: Way, stretch: Stretch, z: State) -> None:
        """Go back through layers of equal width and activation; `z` (layers, width, batch)."""
        layers = self.layers(stretch)
        tiles, products = self.strips(way.batch, layers.leading, layers.later)
        blocks = -(-layers.later.units // layers.later.rows)
        self.together(
            dense_backward.backward,
            layers,
            self.draw(way.number, stretch.first),
            z,
            dense_backward.Gradient(way.buffers, way.turn),
            way.norms,
            dense_backward.Workspace(
                tiles, products, np.empty((blocks, 2)), np.empty(self.members, np.uint8)
            ),
        )
        way.went(stretch.count, stretch.leading.fan_in)

    def back_by_layer(self, way: Way, stretch: Stretch, z: State) -> None:
        """Do what `back` does, layer by layer: for orthogonal layers and Python functions."""
        for layer in range(stretch.first + stretch.count - 1, stretch.first - 1, -1):
            h = way.gradient
            with quiet():
                before, after = self.into_preactivations(layer, z[layer - stretch.first], h)
            if self.stop[0]:
                return
            way.norms.squares[layer] = before
            if after == 0.0:
                way.norms.squares[:layer] = 0.0
                return
            mean = after / h.size
            if not mean < math.inf:
                return
            way.norms.shifts[layer] = math.log(mean)
            dense_backward.rescale(h, 1.0 / math.sqrt(mean))
            spec = self.stack.layer(layer)
            out = way.view(1 - way.turn, spec.fan_in)
            with quiet():
                self._through_weights(way.number, layer, h, out)
            way.went(1, spec.fan_in)
        way.norms.squares[stretch.first - 1] = dense_backward.sum_of_squares(way.gradient)

    def _through_weights(self, number: int, layer: int, h: State, out: State) -> None:
        """Write Wᵀ h to `out` (fan_in, batch); `h` (width, batch)."""
        drawn, draw = self.drawn(self.stack.layer(layer)), self.draw(number, layer)
        if self.orthogonal:
            orthogonal.orthogonal_transposed(h, out, drawn.weights.std, draw, self.stop)
            return
        strips = self.strips(h.shape[1], drawn)
        self.together(dense_backward.through_weights, h, out, drawn, draw, *strips)

    def layers(self, stretch: Stretch) -> Layers[DrawnLayer]:
        """Return a stretch as kernels take it."""
        leading, later = self.drawn(stretch.leading), self.drawn(stretch.later)
        return Layers(leading, later, self.activations[stretch.later.activation])

    def drawn(self, layer: DenseLayer) -> DrawnLayer:
        """Return a layer as kernels take it."""
        return drawn_layer(layer, self.dtype.itemsize)

    def tiles(self, *layers: DrawnLayer) -> State | None:
        """Return room for the weights of a block, (members, values); None for orthogonal ones."""
        most = max(layer.rows * layer.fan_in for layer in layers)
        return None if self.orthogonal else np.empty((self.members, most), self.dtype)

    def strips(self, batch: int, *layers: DrawnLayer) -> tuple[State, State]:
        """Return room for the weights of a strip, (members, values), and for what they multiply to,
        (members, columns, batch)."""
        columns = max(layer.strip for layer in layers) * self.values
        tiles = np.empty((self.members, layers[-1].units * columns), self.dtype)
        return tiles, np.empty((self.members, columns, batch), self.dtype)

    def _members(self, trials: int, threads: int) -> int:
        """Return the number of threads that share a trial: one if trials are enough for all threads
        or layers are too small, and for orthogonal layers, whose reflectors have no blocks."""
        even = trials % threads == 0 or trials >= EVEN_ENOUGH * threads
        if even or self.orthogonal:
            return 1
        kinds = {layer for _, _, layer in self.stack.equal_layers()}
        blocks = max(-(-layer.fan_out // self.drawn(layer).rows) for layer in kinds)
        work = max(dense_work(layer, self.inputs.batch, backward=False) for layer in kinds)
        wanted = threads // trials if threads % trials == 0 else threads
        return max(1, min(wanted, blocks, int(work) // MIN_WORK))
