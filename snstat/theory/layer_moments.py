"""The Gaussian expectations of each layer that determine fluctuations and biases."""

from __future__ import annotations

import math

from snstat.activation import resolve
from snstat.gaussian.gram_moments import GramMoments, GramTable
from snstat.gaussian.kurtosis_moments import KurtosisMoments, kurtosis_moments
from snstat.gaussian.pair_moments import PairMoments, PairTable
from snstat.gaussian.quadrature import FloatArray
from snstat.gaussian.sample_moments import SILENT, BackwardMoments, ForwardMoments, one_sample
from snstat.network.stack import Stack
from snstat.theory.by_layer import activations_of
from snstat.theory.prediction import Prediction


class Moments:
    """The moments of every layer of a stack, evaluated on demand, once for each distinct state.

    None means that a moment is not known: the layer is not finite, or the signal or the slope is 0
    everywhere.
    """

    def __init__(self, stack: Stack, prediction: Prediction, *, backward: bool) -> None:
        self._stack = stack
        self._backward = backward
        self.q = prediction.pre_second_moment
        self.misalignment = prediction.misalignment
        self._pairs: dict[tuple[str, float], PairTable] = {}
        self._grams: dict[tuple[str, float], GramTable] = {}
        self._fourths: dict[tuple[str, float], KurtosisMoments | None] = {}

    def forward(self, layer: int) -> ForwardMoments | None:
        """Return the moments of one sample's activations."""
        found = self._of_one(self._state(layer))
        return found and found[0]

    def backward(self, layer: int) -> BackwardMoments | None:
        """Return the moments of one sample's slopes; also None where they were not requested."""
        found = self._of_one(self._state(layer))
        return found and found[1]

    def pair(self, layer: int) -> PairMoments | None:
        """Return the moments of two samples."""
        state = self._state(layer)
        found = self._of_one(state)
        if found is None:
            return None
        if found[0] is SILENT:
            return PairMoments(1.0)
        if state not in self._pairs:
            name, q = state
            slope = 0.0 if found[1] is None else found[1].rms
            self._pairs[state] = PairTable(resolve(name), q, found[0].rms, slope)
        return self._pairs[state].at(float(self.misalignment[layer]))

    def gram(self, layer: int) -> GramMoments | None:
        """Return the moments of the Gram matrix of two samples."""
        state, central = self._state(layer), self.kurtosis(layer)
        if central is None:
            return None
        if state not in self._grams:
            name, q = state
            self._grams[state] = GramTable(resolve(name), q, central.mean, central.std)
        return self._grams[state].gram(float(self.misalignment[layer]))

    def kurtosis(self, layer: int) -> KurtosisMoments | None:
        """Return the central moments of one sample's activations; also None where all are 0."""
        state = name, q = self._state(layer)
        if not math.isfinite(q):
            return None
        if state not in self._fourths:
            self._fourths[state] = kurtosis_moments(resolve(name), q)
        return self._fourths[state]

    @property
    def states(self) -> FloatArray:
        """A number per layer, (depth + 1,), equal where the moments of one sample are equal."""
        states = self.q.copy()
        names = self._stack.activations
        for name, layers in activations_of(self._stack):
            if name != names[0]:  # any number that no layer of another activation has
                states[layers] = -names.index(name) - states[layers]
        return states

    def _state(self, layer: int) -> tuple[str, float]:
        """Return what the moments of one sample depend on: the activation and q."""
        return self._stack.activation_of(layer), float(self.q[layer])

    def _of_one(
        self, state: tuple[str, float]
    ) -> tuple[ForwardMoments, BackwardMoments | None] | None:
        name, q = state
        if not math.isfinite(q):
            return None
        return one_sample(resolve(name), q, backward=self._backward)
