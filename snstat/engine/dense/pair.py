"""The dense sampler for activations that are Python functions, layer by layer.

Weights are drawn and multiplied as in the dense sampler, so a pair of functions that equals a
listed activation gives the same network. The functions are called with the pre-activations of a
whole layer.
"""

from __future__ import annotations

import math

import numpy as np

from snstat.activation import checked, resolve
from snstat.engine.dense.sampler import DenseSampler
from snstat.engine.dense.way import Way
from snstat.engine.history import State
from snstat.engine.kernels import dense, dense_backward, statistics
from snstat.engine.kernels.counts import count_outside
from snstat.engine.kernels.layers import Record, Records, give_up, record_of
from snstat.engine.sampler import quiet
from snstat.network.stack import Stretch
from snstat.results import FloatArray


class PairSampler(DenseSampler):
    """A dense sampler that calls φ and φ′ of `Activation.pair`, possibly from several threads at
    once."""

    def run_stretch(self, trials: range, stretch: Stretch, records: Records, kept: State) -> None:
        """See DenseSampler."""
        if resolve(stretch.later.activation).pair is None:
            super().run_stretch(trials, stretch, records, kept)
            return
        for i, number in enumerate(trials):
            record = record_of(records, i)
            if self.alive[number]:
                self._run_trial(number, stretch, record, kept[i])
            else:
                give_up(record, 0)
                # The states of trials that share a call of a kernel have one shape.
                shape = stretch.later.fan_out, self.inputs.batch
                self.states[number] = np.empty(shape, self.dtype)
            self.alive[number] = record.finite[-1]

    def _run_trial(self, number: int, stretch: Stretch, record: Record, kept: State) -> None:
        """Run the layers of a stretch of one trial."""
        for i, out in enumerate(record.out):
            with quiet():
                finite = self._layer(number, stretch.first + i, out, kept[i : i + 1])
            if self.stop[0]:
                return
            if not finite:
                give_up(record, i)
                return
            record.finite[i] = True
            record.done[0] += 1

    def back(self, way: Way, stretch: Stretch, z: State) -> None:
        """See DenseSampler."""
        if resolve(stretch.later.activation).pair is None:
            super().back(way, stretch, z)
        else:
            self.back_by_layer(way, stretch, z)

    def into_preactivations(self, layer: int, z: State, h: State) -> tuple[float, float]:
        """See DenseSampler."""
        pair = resolve(self.stack.activation_of(layer)).pair
        if pair is None:
            return super().into_preactivations(layer, z, h)
        before: float = dense_backward.sum_of_squares(h)
        h *= checked(pair[1], "dphi", z)
        return before, dense_backward.sum_of_squares(h)

    def _layer(self, number: int, layer: int, out: FloatArray, kept: State) -> bool:
        """Make and measure one layer; return if it is finite (and not stopped)."""
        own = resolve(self.stack.activation_of(layer))
        assert own.pair is not None  # noqa: S101  # for the type checker: see run_stretch
        phi, dphi = own.pair
        shape = self.stack.width_of(layer), self.inputs.batch
        z = kept[0] if len(kept) else np.empty(shape, self.dtype)
        self._preactivate(number, layer, z)
        if self.stop[0]:
            return False
        x = np.empty_like(z)
        x[:] = checked(phi, "phi", z)
        self.states[number] = x
        dead = int(np.count_nonzero(~np.any(checked(dphi, "dphi", z), axis=1)))
        steep, share = self.activations[self.stack.activation_of(layer)].steep, math.nan
        if steep.low < steep.high:
            share = count_outside(z, z.shape[1], *steep) / z.size
        return bool(statistics.measure(x, dead / len(z), share, out))

    def _preactivate(self, number: int, layer: int, z: State) -> None:
        """Write the pre-activations (width, batch) of the layer that comes next to `z`. They are
        incomplete after a stop."""
        drawn = self.drawn(self.stack.layer(layer))
        x, draw = self.states[number], self.draw(number, layer)
        self.together(dense.preactivate, x, z, drawn, draw, self.tiles(drawn))
