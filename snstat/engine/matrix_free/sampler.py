"""The matrix-free sampler, which draws no weights; see kernels/matrix_free.py."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from snstat.engine.draws import weight_scale
from snstat.engine.history import HISTORY_BYTES, segment_length
from snstat.engine.inputs import Inputs
from snstat.engine.kernels import matrix_free, sums
from snstat.engine.kernels.layers import Layers, MatrixFreeLayer, Records
from snstat.engine.sampler import AT_ONCE, Shared, quiet
from snstat.layers.dense_layer import DenseLayer
from snstat.layers.weights import Weights
from snstat.network.stack import Stack, Stretch
from snstat.results import MEASURED, BoolArray, FloatArray

# With fewer multiplications in a layer, a second thread costs more than it saves.
MIN_WORK = 2**18


class MatrixFreeSampler(Shared):
    """Samples trials whose state is the Gram matrix of the activations. No weights are drawn.

    Exact for Gaussian and Haar-orthogonal weights and Gaussian biases.
    """

    def __init__(
        self, stack: Stack, inputs: Inputs, trials: int, seed: int, dtype: str, threads: int
    ) -> None:
        super().__init__(stack, inputs, trials, seed, dtype)
        self.batch = inputs.batch
        self.states = matrix_free.State(
            np.empty((trials, self.batch, self.batch)),
            np.zeros((trials, matrix_free.CONTROLS), np.int64),
        )
        # The factors of all layers (trials, layers, batch, batch) for the backward pass, no layers
        # if memory does not suffice.
        self.histories = np.empty((trials, 0, self.batch, self.batch))
        self.orthogonal = stack.repeated.orthogonal
        # Threads without a trial share the tiles of another trial.
        work = self.batch**2 * stack.width // MIN_WORK
        tiles = int(matrix_free.count_tiles(stack.width))
        self.assemble(max(1, min(threads // trials, tiles, work)), trials)

    def begin(self, number: int, out: FloatArray) -> bool:
        """Make layer 0 of a trial; see Sampler."""
        source = self.inputs.sample(number, self.seed, self.dtype.name)
        gram, control = self.states.gram[number], self.states.control[number]
        with quiet():
            self.alive[number] = matrix_free.begin(source, gram, control, out)
        return bool(self.alive[number])

    def advance(self, trials: range, first: int, out: FloatArray, finite: BoolArray) -> None:
        """Run some layers of some trials; see Sampler."""
        # A team has one trial at a time: see matrix_free.forward.
        shared = not self.histories.size or self.shares_histories(out.shape[1])
        step = len(trials) if self.members == 1 and shared else 1
        for begin in range(0, len(trials), step):
            part = slice(begin, begin + step)
            some = trials[part]
            kept = self.histories[some.start : some.stop, first - 1 :]
            self.run(some, first, out[part], finite[part], kept)

    def run(
        self, trials: range, first: int, out: FloatArray, finite: BoolArray, factors: FloatArray
    ) -> None:
        """Do the same as `advance`; `factors` (trials, layers or 0, batch, batch) receives those of
        K."""
        for stretch, records in self.stretches(trials, first, out, finite):
            end = records.begin + stretch.count
            self._run_stretch(trials, stretch, records, factors[:, records.begin : end])

    def _run_stretch(
        self, trials: range, stretch: Stretch, records: Records, factors: FloatArray
    ) -> None:
        batch, members, tile = self.batch, self.members, self.tile_of(stretch.later)
        own = slice(trials.start, trials.stop)
        self.together(
            matrix_free.forward,
            self.layers(stretch),
            self.draw(trials.start, stretch.first),
            matrix_free.State(self.states.gram[own], self.states.control[own]),
            factors,
            records,
            matrix_free.Workspace(
                lower=np.empty((batch, batch)),
                matrix=np.empty((batch, batch), self.dtype),
                roots=np.empty((2, batch, batch)) if self.orthogonal else None,
                ahead=np.empty((members if members > 1 else 0, batch, tile), self.dtype),
                tiles=np.empty((members, 2, batch, tile), self.dtype),
                wide=np.empty((members, batch, tile)),
                product=np.empty((members, batch, batch), self.dtype),
                sums=sums.new_sums(members, batch),
                whole=np.empty(members, np.bool_),
            ),
        )

    def layers(self, stretch: Stretch) -> Layers[MatrixFreeLayer]:
        """Return a stretch as kernels take it."""
        activation = self.activations[stretch.later.activation]
        return Layers(
            matrix_free_layer(stretch.leading), matrix_free_layer(stretch.later), activation
        )

    def tile_of(self, layer: DenseLayer) -> int:
        """Return the number of units in a tile of a layer."""
        return int(matrix_free.tile_width(layer.fan_out))

    def remember(self) -> None:
        """Keep what the backward pass needs; see Sampler."""
        size = self.stack.depth * self.batch**2
        trials = len(self.alive)
        if trials * size * 8 <= HISTORY_BYTES:
            self.histories = np.empty((trials, self.stack.depth, self.batch, self.batch))

    def back_at_once(self) -> int:
        """Return how many trials at most share a call of a kernel on the way back."""
        if self.members > 1 or not self.histories.size:
            return 1
        size = self.stack.input_width * self.batch
        return max(1, AT_ONCE // size) if self.shares_histories(self.stack.depth) else 1

    def history(self, trials: range) -> Iterator[tuple[int, FloatArray]]:
        """Yield (first, factors of layers first… (trials, layers, batch, batch)) by segments of
        layers, the last one first. Nothing is yielded if no trial is finite.

        If the forward pass has not kept the factors, the only trial runs again and keeps a state
        every √depth layers. Each segment is then computed once more from its state, so memory grows
        as √depth.
        """
        depth, number = self.stack.depth, trials.start
        if not self.alive[number : trials.stop].any():
            return
        if self.histories.size:
            yield 1, self.histories[number : trials.stop]
            return
        step = segment_length(depth)
        scratch, finite = np.empty((1, step, len(MEASURED))), np.empty((1, step), np.bool_)
        gram, control = self.states
        self.begin(number, scratch[0, 0])
        marks = []
        for first in range(1, depth + 1, step):
            marks.append((gram[number].copy(), control[number].copy()))
            count = min(step, depth + 1 - first)
            self.advance(trials, first, scratch[:, :count], finite[:, :count])
        if not self.alive[number]:
            return
        for segment in range(len(marks) - 1, -1, -1):
            first = 1 + segment * step
            count = min(step, depth + 1 - first)
            gram[number], control[number] = marks[segment]
            factors = np.empty((1, count, self.batch, self.batch))
            self.run(trials, first, scratch[:, :count], finite[:, :count], factors)
            yield first, factors


def matrix_free_layer(layer: Weights) -> MatrixFreeLayer:
    """Return a layer as kernels take it."""
    return MatrixFreeLayer(
        layer.fan_in, layer.fan_out, scale=weight_scale(layer) ** 2, bias=layer.bias_std**2
    )
