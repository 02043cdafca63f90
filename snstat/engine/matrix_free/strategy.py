"""The matrix-free strategy, which draws no weights; see kernels/matrix_free.py."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, cast

from snstat.engine.costs import matrix_free_work
from snstat.engine.history import HISTORY_BYTES
from snstat.engine.inputs import Inputs
from snstat.engine.strategy import Load, calls_python
from snstat.network.stack import Stack
from snstat.results import FloatArray

if TYPE_CHECKING:
    from snstat.engine.matrix_free.sampler import MatrixFreeSampler
    from snstat.engine.sampler import Sampler

DOUBLE = 8


class MatrixFree:
    """See `Strategy`."""

    name = "matrix-free"

    def obstacle(self, stack: Stack, batch: int, *, backward: bool) -> str:
        """Return why the stack cannot be sampled exactly without its weights, or ""."""
        if calls_python(stack):
            return "with an activation that is a pair of functions"
        layer, narrowest = stack.layer(1), stack.width
        if stack.runs:
            narrowest = min(units for units, _ in stack.runs)
        if layer.distribution not in {"normal", "orthogonal"}:
            return f"with {stack.init}, whose weights are neither Gaussian nor orthogonal"
        if layer.bias_std > 0 and layer.bias_distribution != "normal":
            return f"with {stack.init}, whose biases are not Gaussian"
        if layer.distribution == "orthogonal" and batch > min(narrowest, stack.input_width):
            return f"with orthogonal weights and a batch of {batch:,}, which exceeds the width"
        if layer.distribution == "orthogonal" and backward and 2 * batch > narrowest:
            return (
                f"with orthogonal weights, gradients and a batch of {batch:,}, which exceeds half"
                " the width"
            )
        return ""

    def work(self, stack: Stack, batch: int, *, backward: bool) -> float:
        """Return the work of all layers; see costs."""
        kinds = stack.equal_layers()
        return sum(
            count * matrix_free_work(layer, batch, backward=backward) for _, count, layer in kinds
        )

    def bytes(self, stack: Stack, inputs: Inputs, load: Load) -> float:
        """Return the memory of the Gram matrices."""
        square, size = float(inputs.batch**2), load.size
        running = min(load.threads, load.trials)
        # Each member of a team has sums and a product of its own; see MatrixFreeSampler.run.
        members = max(1, load.threads // load.trials)
        needed = load.trials * square * DOUBLE + running * square * (3 * DOUBLE + size)
        needed += running * members * square * (DOUBLE + size)
        if load.backward:
            whole = load.trials * stack.depth * square * DOUBLE
            segments = running * (2 * math.isqrt(stack.depth) + 1) * square * DOUBLE
            needed += whole if whole <= HISTORY_BYTES else segments
            needed += running * square * (9 * DOUBLE + 3 * size + members * (4 * DOUBLE + size))
            needed += running * 4 * max(stack.width, inputs.width) * inputs.batch * size
        return needed

    def sampler(
        self, stack: Stack, inputs: Inputs, trials: int, seed: int, dtype: str, threads: int
    ) -> Sampler:
        """Return the sampler."""
        from snstat.engine.matrix_free.sampler import MatrixFreeSampler

        return MatrixFreeSampler(stack, inputs, trials, seed, dtype, threads)

    def way_back(self, sampler: Sampler, trials: range) -> FloatArray:
        """Return ln of the squared gradients of some trials over the last, (trials, depth + 1)."""
        from snstat.engine.matrix_free.gradient import matrix_free_gradients

        return matrix_free_gradients(cast("MatrixFreeSampler", sampler), trials)
