"""The Gaussian expectations of each layer that determine fluctuations and biases.

All are relative to the size of the signal: ψ = φ/√E[φ²], ẑ = z/√q. Derivatives with respect to q
need no derivative of φ: for z ~ N(0, q),

    q ∂E[f]/∂q = ½E[f He₂(ẑ)],   q² ∂²E[f]/∂q² = ¼E[f He₄(ẑ)],

with the Hermite polynomials He₂ = ẑ² − 1 and He₄ = ẑ⁴ − 6ẑ² + 3. The third and fourth derivatives
follow in the same way.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from snstat.activation import Activation, resolve
from snstat.gaussian.by_q import Derivatives, by_q, derivatives
from snstat.gaussian.centred import rule
from snstat.gaussian.gram_moments import GramMoments, GramTable
from snstat.gaussian.kurtosis_moments import KurtosisMoments, kurtosis_moments
from snstat.gaussian.pair_moments import PairMoments, PairTable
from snstat.gaussian.quadrature import FloatArray
from snstat.network.stack import Stack
from snstat.theory.predict import Prediction


@dataclass(frozen=True, slots=True)
class ForwardMoments:
    """Moments of one layer's activations: derivatives of E[φ²] (over E[φ²]) and of E[φ]. `rms` is
    √E[φ²] and `fourth` E[ψ⁴]."""

    square: Derivatives
    mean: Derivatives
    rms: float
    fourth: float


@dataclass(frozen=True, slots=True)
class BackwardMoments:
    """Moments of one layer's slopes, with D = E[φ'²]: derivatives of ln D, `rms` √D, `fourth`
    E[φ'⁴]/D², `tilt` E[φ'²ẑ²]/D, `lean` E[ψφ'ẑ]²/D and `joint` E[φ'²ψ²]/D."""

    log_slope: Derivatives
    rms: float
    fourth: float
    tilt: float
    lean: float
    joint: float


# With all pre-activations 0, every sample of every network is the same.
_STILL = Derivatives(0.0, 0.0, 0.0)
_SILENT = ForwardMoments(_STILL, _STILL, 0.0, 1.0)


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
        self._one: dict[
            tuple[str, float], tuple[ForwardMoments, BackwardMoments | None] | None
        ] = {}
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
        if found[0] is _SILENT:
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
        if not 0 < q < math.inf:
            return None
        if state not in self._fourths:
            self._fourths[state] = kurtosis_moments(resolve(name), q)
        return self._fourths[state]

    @property
    def states(self) -> FloatArray:
        """A number per layer, (depth + 1,), equal where the moments of one sample are equal."""
        if self._stack.last is None:
            return self.q
        states = self.q.copy()
        states[-1] = -1.0 - states[-1]  # the last layer has another activation
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
        if state not in self._one:
            self._one[state] = one_sample(resolve(name), q, backward=self._backward)
        return self._one[state]


# Stacks that are tried as remedies share most of their states.
@lru_cache(maxsize=2**14)
def one_sample(
    activation: Activation, q: float, *, backward: bool
) -> tuple[ForwardMoments, BackwardMoments | None] | None:
    """Return the moments at pre-activation second moment `q`; those of slopes if `backward`."""
    if q == 0:
        return _SILENT, None
    std = math.sqrt(q)
    x, weight = rule(activation, std)
    value, z = activation.function(x), x / std
    largest = float(np.abs(value).max())
    if not 0 < largest < math.inf:
        return None
    rms = largest * math.sqrt(float(weight @ (value / largest) ** 2))
    square = (value / rms) ** 2
    rows = by_q(z, weight)
    forward = ForwardMoments(
        derivatives(rows @ square),
        derivatives(rows @ value),
        rms,
        float(weight @ (square * square)),
    )
    if not backward:
        return forward, None
    slope = activation.derivative(x)
    slope_rms = math.sqrt(float(weight @ (slope * slope)))
    if not slope_rms > 0:
        return forward, None
    slope = slope / slope_rms
    power = slope * slope
    of_power = derivatives(rows @ power)
    log_slope = Derivatives(
        of_power.slope,
        of_power.curvature - of_power.slope**2,
        of_power.roughness + 0.5 * of_power.slope**2,
    )
    return forward, BackwardMoments(
        log_slope,
        slope_rms,
        float(weight @ (power * power)),
        float(weight @ (power * z * z)),
        float(weight @ (value / rms * slope * z)) ** 2,
        float(weight @ (power * square)),
    )
