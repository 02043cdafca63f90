"""How a trial is carried through the layers: with the weights drawn, or without them.

A sampler holds what its trials share and the state of each; `begin` makes layer 0 of a trial and
`advance` carries it through some layers. Both write statistics, and return whether the trial is
finite, so that the loop over depth need not know which sampler it drives.
"""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
import numpy.typing as npt

from snstat.engine.dense_sampler import DenseSampler
from snstat.engine.gradients import free_gradient
from snstat.engine.inputs import Inputs
from snstat.engine.kernels import matrix_free
from snstat.engine.sampling import weight_scale
from snstat.engine.shared import Shared
from snstat.errors import InvalidValueError
from snstat.results import BoolArray, FloatArray
from snstat.stack import Stack

# Fewer tiles than this to a thread cost more to hand out than to run.
MIN_TILES = 4


class MatrixFreeSampler(Shared):
    """No weight is drawn: the state of a trial is the Gram matrix of its activations.

    Exact for Gaussian and Haar-orthogonal weights and Gaussian biases: see kernels/matrix_free.py.
    """

    name = "matrix-free"

    def __init__(
        self, stack: Stack, inputs: Inputs, trials: int, seed: int, dtype: str, threads: int
    ) -> None:
        super().__init__(stack, inputs, trials, seed, dtype)
        batch = inputs.batch
        self.states: list[npt.NDArray[np.floating]]
        self.states = [np.empty((batch, batch)) for _ in range(trials)]
        self.orthogonal = stack.layer(1).distribution == "orthogonal"
        self.sample = np.empty(0, self.dtype)
        tiles = -(-stack.width // matrix_free.tile_width(stack.width))
        # Threads that trials leave idle share the tiles of one.
        self.helpers = max(1, min(threads // trials, tiles // MIN_TILES))
        self.pool = ThreadPoolExecutor(self.helpers) if self.helpers > 1 else None

    def begin(self, number: int, out: FloatArray) -> bool:
        """Make layer 0 of a trial: see Sampler."""
        source = self.inputs.sample(number, self.seed, self.dtype.name)
        self.alive[number] = matrix_free.begin(source, out, self.states[number])
        return bool(self.alive[number])

    def advance(self, number: int, first: int, out: FloatArray, finite: BoolArray) -> None:
        """Run some layers of one trial: see Sampler."""
        if self.skip(number, out, finite):
            return
        leading, later = self.layers_from(first)
        scales = np.array([weight_scale(leading) ** 2, weight_scale(later) ** 2])
        biases = np.array([leading.bias_std**2, later.bias_std**2])
        with np.errstate(over="ignore", invalid="ignore"):
            if self.pool is not None:
                self._advance_together(number, first, scales, biases, out, finite)
            else:
                matrix_free.forward(
                    self.code,
                    self.orthogonal,
                    first,
                    self.states[number],
                    leading.fan_in,
                    self.stack.width,
                    self.sample,
                    scales,
                    biases,
                    self.live,
                    number,
                    self.key,
                    out,
                    finite,
                    self.done[number : number + 1],
                    self.stop,
                )
        self.alive[number] = finite[-1]

    def gradient(self, number: int) -> FloatArray:
        """Return ln of the mean square gradients of one trial: see gradients.free_gradient."""
        return free_gradient(self, number)

    def _advance_together(
        self,
        number: int,
        first: int,
        scales: FloatArray,
        biases: FloatArray,
        out: FloatArray,
        finite: BoolArray,
    ) -> None:
        """Do what matrix_free.forward does, with the tiles of a layer spread over threads."""
        assert self.pool is not None  # noqa: S101  # the caller has looked
        gram, units, batch = self.states[number], self.stack.width, self.inputs.batch
        tiles = -(-units // matrix_free.tile_width(units))
        edges = np.linspace(1, tiles, self.helpers + 1).astype(int).tolist()
        for i in range(len(out)):
            layer, which = first + i, min(i, 1)
            fan_in = self.stack.layer(layer).fan_in
            matrix = matrix_free.factor(
                gram, scales[which], biases[which], self.orthogonal, fan_in, units,
                layer, number, self.key, self.sample,
            )  # fmt: skip
            sums, sample_sums = np.zeros(matrix_free.SUMS), np.zeros((3, batch))
            gram[:] = 0.0

            run = partial(
                matrix_free.run_tiles,
                self.code,
                matrix,
                self.orthogonal,
                math.sqrt(biases[which]),
                units,
            )
            rest = (self.live, layer, number, self.key)
            good = run(0, 1, *rest, sums, sample_sums, gram, self.stop)
            parts = []
            for _ in range(self.helpers):
                own, own_samples = np.zeros_like(sums), np.zeros_like(sample_sums)
                # All share the shift that tile 0 has set.
                own[matrix_free.SHIFT], own_samples[0] = sums[matrix_free.SHIFT], sample_sums[0]
                parts.append((own, own_samples, np.zeros_like(gram)))
            tasks = [
                self.pool.submit(partial(run, edges[k], edges[k + 1], *rest, *part, self.stop))
                for k, part in enumerate(parts)
            ]
            # Every task must end before the next layer starts: no short cut.
            good = bool(np.all([task.result() for task in tasks])) and good
            if self.stop[0]:
                return
            for own, own_samples, own_gram in parts:
                sums[1:] += own[1:]
                sample_sums[1:] += own_samples[1:]
                gram += own_gram
            finite[i] = good
            self.done[number] += 1
            out[i] = math.nan
            if not good:
                out[i:], finite[i:] = math.nan, False
                self.done[number] += len(out) - i - 1
                return
            matrix_free.mirror(gram)
            dead = sums[matrix_free.DEAD] / units
            matrix_free.conclude(units, sums, sample_sums, gram, dead, out[i])


SAMPLERS: dict[str, type[DenseSampler | MatrixFreeSampler]] = {
    sampler.name: sampler for sampler in (DenseSampler, MatrixFreeSampler)
}


def choose_sampler(stack: Stack, batch: int, asked: str) -> str:
    """Return the sampler to use: the one `asked` for, or for "auto" the cheaper exact one.

    Raises InvalidValueError where matrix-free is asked for and not exact.
    """
    obstacle = matrix_free_obstacle(stack, batch)
    if asked == "matrix-free" and obstacle:
        raise InvalidValueError("sampler", asked, f"dense {obstacle}", "use --sampler auto")
    if asked != "auto":
        return asked
    # Work per layer: 3 batch² width against 2 batch width² multiplications, and the draws.
    cheaper = 2 * batch <= min(stack.width, stack.input_width)
    return "matrix-free" if cheaper and not obstacle else "dense"


def matrix_free_obstacle(stack: Stack, batch: int) -> str:
    """Return why a stack cannot be sampled exactly without its weights, or ""."""
    layer = stack.layer(1)
    if layer.distribution not in {"normal", "orthogonal"}:
        return f"with {stack.init}, whose weights are neither Gaussian nor orthogonal"
    if layer.bias_std > 0 and layer.bias_distribution != "normal":
        return f"with {stack.init}, whose biases are not Gaussian"
    if layer.distribution == "orthogonal" and batch > min(stack.width, stack.input_width):
        return f"with orthogonal weights and a batch of {batch} beyond the width"
    return ""
