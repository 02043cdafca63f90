"""The dense sampler for activations that are Python functions, layer by layer.

Weights are drawn and multiplied as in the dense sampler, so a pair of functions that equals a
listed activation gives the same network. The functions are called with the pre-activations of a
whole layer.
"""

from __future__ import annotations

import math

import numpy as np

from snstat.activation import Activation, checked, resolve
from snstat.engine.dense.sampler import DenseSampler, State
from snstat.engine.kernels import dense_backward, statistics
from snstat.engine.sampler import quiet
from snstat.results import BoolArray, FloatArray


class PairSampler(DenseSampler):
    """A dense sampler that calls φ and φ′ of `Activation.pair`, possibly from several threads at
    once."""

    def advance(self, number: int, first: int, out: FloatArray, finite: BoolArray) -> None:
        """Run some layers of one trial; see Sampler."""
        for stretch, values, flags in self.stretches(number, first, out, finite):
            self._run_together(number, stretch, values, flags)

    def activate(self, layer: int, z: State) -> State:
        """Return the activations of a layer for its pre-activations `z`, same shape."""
        pair = self._own(layer).pair
        return super().activate(layer, z) if pair is None else checked(pair[0], "phi", z)

    def scale_by_derivative(self, layer: int, z: State, h: State) -> tuple[float, float]:
        """See DenseSampler."""
        pair = self._own(layer).pair
        if pair is None:
            return super().scale_by_derivative(layer, z, h)
        before = dense_backward.sum_of_squares(h)
        with quiet():
            h *= checked(pair[1], "dphi", z)
        square = dense_backward.sum_of_squares(h) / h.size
        if square > 0:
            dense_backward.rescale(h, self.dtype.type(1.0 / math.sqrt(square)))
        return before, square

    def _own(self, layer: int) -> Activation:
        """Return the activation of a layer."""
        return resolve(self.stack.activation_of(layer))

    def _layer(self, number: int, layer: int, x: State, target: State, out: FloatArray) -> bool:
        """Make and measure one layer fed with `x`; return if it is finite (and not stopped)."""
        own = self._own(layer)
        if own.pair is None:
            return super()._layer(number, layer, x, target, out)
        with quiet():
            z = self.preactivate(number, layer, x)
            if self.stop[0]:
                return False
            target[:] = checked(own.pair[0], "phi", z)
            dead = int(np.count_nonzero(~np.any(checked(own.pair[1], "dphi", z), axis=1)))
            live, share = self.lives[own.name], math.nan
            if live[2] < live[3]:
                share = statistics.count_outside(z, live[2], live[3]) / z.size
            return bool(statistics.measure(target, dead / len(z), share, out))
