"""The dense strategy draws weights and multiplies by them. It can sample every stack."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, cast

import numpy as np

from snstat.engine.costs import dense_work
from snstat.engine.history import HISTORY_BYTES, units_of
from snstat.engine.inputs import Inputs
from snstat.engine.strategy import Load, calls_python
from snstat.network.stack import Stack
from snstat.results import FloatArray

if TYPE_CHECKING:
    from snstat.engine.dense.sampler import DenseSampler
    from snstat.engine.sampler import Sampler


class Dense:
    """See `Strategy`."""

    name = "dense"

    def obstacle(self, stack: Stack, batch: int, *, backward: bool) -> str:  # noqa: ARG002
        """Return "": this strategy can sample every stack."""
        return ""

    def work(self, stack: Stack, batch: int, *, backward: bool) -> float:
        """Return the work of all layers; see costs."""
        kinds = stack.equal_layers()
        return sum(count * dense_work(layer, batch, backward=backward) for _, count, layer in kinds)

    def bytes(self, stack: Stack, inputs: Inputs, load: Load) -> float:
        """Return the memory of a state for each trial, a spare for each in progress, a tile of
        weights and a block of units for each thread, and what the backward pass needs."""
        from snstat.engine.draws import MIN_ROWS, MOST_VALUES

        units, running = max(stack.width, inputs.width), min(load.threads, load.trials)
        column = inputs.batch * load.size
        state = units * column
        # See draws.tile_rows.
        tile = min(stack.width * units, max(MOST_VALUES, MIN_ROWS * units))
        needed = (load.trials + running) * state
        needed += load.threads * (tile * load.size + min(state, MIN_ROWS * column))
        if load.backward:
            whole = load.trials * units_of(stack, 1, stack.depth) * column
            # All pre-activations; or states between segments and the pre-activations of a segment.
            segments = running * (2 * math.isqrt(stack.depth) + 2) * state
            needed += whole if whole <= HISTORY_BYTES else segments
            # The gradients of two layers.
            needed += running * 2 * state
        if calls_python(stack):
            # Pre-activations, what a Python function returns, and about as much that it needs.
            needed += running * 3 * state
        return float(needed)

    def sampler(
        self, stack: Stack, inputs: Inputs, trials: int, seed: int, dtype: str, threads: int
    ) -> Sampler:
        """Return the sampler; pairs of Python functions have a sampler of their own."""
        if calls_python(stack):
            from snstat.engine.dense.pair import PairSampler

            return PairSampler(stack, inputs, trials, seed, dtype, threads)
        from snstat.engine.dense.sampler import DenseSampler

        return DenseSampler(stack, inputs, trials, seed, dtype, threads)

    def way_back(self, sampler: Sampler, trials: range) -> FloatArray:
        """Return ln of the squared gradients of some trials over the last, (trials, depth + 1)."""
        from snstat.engine.dense.gradient import dense_gradient

        network = cast("DenseSampler", sampler)
        return np.array([dense_gradient(network, number) for number in trials])
