"""A highway: a gate between a dense layer and its input."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import MISSING, dataclass
from typing import ClassVar

from snstat.activation import Pair, resolve
from snstat.activation.kind import ActivationName
from snstat.activation.shifted import shifted
from snstat.gaussian.centred import centred_moments
from snstat.gaussian.pairs import pair_slope
from snstat.gaussian.quadrature import FloatArray
from snstat.layers.dense import Dense
from snstat.layers.draw import Draw, Pass, Values
from snstat.layers.gaussian_inputs import after, gap_after, misalignment
from snstat.layers.law import OTHER, ZERO
from snstat.layers.layer import Layer, one
from snstat.layers.no_theory import NoTheory
from snstat.layers.options import WeightOptions
from snstat.layers.shape import Shape
from snstat.layers.signal import Signal, Slope, Step
from snstat.layers.through_weights import pre_second_moment, through
from snstat.layers.weights import Weights
from snstat.values.kinds import Real
from snstat.values.option import option

GATE = "sigmoid"
# The panels of quadrature resolve gates up to this bias, which are closed to 5e-5.
LARGEST_BIAS = 10.0


@dataclass(frozen=True)
class Highway(WeightOptions, Layer):
    """t φ(W x + b) + (1 − t) x with the gate t = σ(V x + c + transfer_bias), as wide as its input.

    W and V are drawn alike, each with the default initialiser of its own activation. Both
    pre-activations are Gaussian and independent of each other, and of the same unit of x. With
    h = φ(W x + b), E[yy'] = E[tt'] E[hh'] + E[(1 − t)(1 − t')] E[xx'] + E[t(1 − t')] E[h]E[x'] +
    E[t'(1 − t)] E[h']E[x]. Squared gradients are multiplied by E(1 − t)² + G² E[t²] E[φ'²] +
    G² E[σ'²] E(h − x)², each G² that of its matrix. Nothing is known of pairs of positions.
    Source: arXiv:1505.00387.
    """

    kind: ClassVar[str] = "highway"
    arrays: ClassVar[int] = 6  # of each matrix W x and its activation, the gate with its bias

    activation: str | Pair = option(ActivationName(), "Activation of the units.", default=MISSING)
    transfer_bias: float = option(
        Real(-LARGEST_BIAS, LARGEST_BIAS),
        "What is added to the argument of the gate; below 0, most of the input is kept.",
        default=-1.0,
    )

    def matrices(self, inputs: Sequence[Shape]) -> tuple[Weights, ...]:
        """See Layer."""
        units = one(inputs).channels
        return tuple(self._dense(units, name).at(units) for name in (self.activation, GATE))

    def slopes(self, shape: Shape, mean: float, second_moment: float) -> tuple[float, ...]:
        """See Layer: E[t²] E[φ'²] of W, and E[σ'²] E(h − x)² of V."""
        q, p = (pre_second_moment(own, mean, second_moment) for own in self.matrices([shape]))
        h = centred_moments(resolve(self.activation), q)
        t = centred_moments(shifted(resolve(GATE), self.transfer_bias), p)
        apart = h.second_moment + second_moment - 2.0 * h.mean * mean
        return t.second_moment * h.derivative_square, t.derivative_square * apart

    def shape(self, inputs: Sequence[Shape]) -> Shape:
        """See Layer."""
        shape = one(inputs)
        return self._dense(shape.channels, self.activation).shape([shape])

    def moments(self, inputs: Sequence[Signal], batch: int) -> Step | NoTheory:
        """See Layer."""
        x = one(inputs)
        if x.mean.size > 1 or not x.known:
            return NoTheory("gates are not derived on grids")
        width = x.shape.channels
        hidden = self._dense(width, self.activation).moments([x], batch)
        gate = through(self._dense(width, GATE).at(width), x)
        if isinstance(hidden, NoTheory):
            return hidden
        if isinstance(gate, NoTheory):
            return gate
        t = _Gate.of(gate.signal, self.transfer_bias)
        h, cross = hidden.signal, hidden.signal.mean[0] * x.mean
        shared = t.gap * (h.same - h.gap + x.same - x.gap - 2.0 * cross)
        law = ZERO if x.law == h.law == ZERO else OTHER
        signal = Signal(
            x.shape,
            t.mean * h.mean + (1.0 - t.mean) * x.mean,
            t.square * h.same + t.closed * x.same + 2.0 * (t.mean - t.square) * cross,
            # The same less that of two samples, without cancellation.
            t.square * h.gap + t.closed * x.gap + shared,
            law,
            x.fresh | h.fresh | gate.signal.fresh,
        )
        apart = h.same + x.same - 2.0 * cross
        two = apart - h.gap - x.gap

        def pull(slope: Slope) -> tuple[Slope, ...]:
            kept = _times(slope, t.closed, t.closed - t.gap).scaled(1.0)
            (through,) = hidden.pull(_times(slope, t.square, t.square - t.gap))
            (gated,) = gate.pull(_times(slope, t.slope * apart, t.slopes * two))
            return (kept + through + gated,)

        return Step((x,), signal, pull)

    def sample(self, inputs: Sequence[Values], draw: Draw) -> Pass:
        """See Layer."""
        x = one(inputs)
        hidden = self._dense(len(x), self.activation).sample([x], draw)
        linear = draw.linear(x, self._dense(len(x), GATE).at(len(x)))
        gate = draw.activate(resolve(GATE), linear.values + self.transfer_bias)
        h, t = hidden.values, gate.values

        def pull(slope: Values) -> tuple[Values, ...]:
            (through,) = hidden.pull(t * slope)
            (gated,) = linear.pull(*gate.pull((h - x) * slope))
            return ((1.0 - t) * slope + through + gated,)

        return Pass(t * h + (1.0 - t) * x, pull)

    def _dense(self, width: int, activation: str | Pair) -> Dense:
        """Return one of the two layers."""
        return Dense(width, activation, **self.weight_options())


@dataclass(frozen=True, slots=True)
class _Gate:
    """Moments of a gate t = σ(z + bias): E[t], E[t²], E[t²] − E[tt'], E[σ'²] and E[σ'σ'']."""

    mean: float
    square: float
    gap: float
    slope: float
    slopes: float

    @property
    def closed(self) -> float:
        """E[(1 − t)²]."""
        return 1.0 - 2.0 * self.mean + self.square

    @classmethod
    def of(cls, z: Signal, bias: float) -> _Gate:
        """Return the moments for the Gaussian pre-activations z."""
        function = shifted(resolve(GATE), bias)
        q = float(z.same[0, 0])
        apart = misalignment(q, float(z.gap[0, 0]))
        state = after(function, q, still=z.law == ZERO)
        square = state.second_moment
        return cls(
            state.mean,
            square,
            gap_after(function, q, apart, square),
            state.derivative_square,
            pair_slope(function, q, apart),
        )


def _times(slope: Slope, same: float | FloatArray, two: float | FloatArray) -> Slope:
    """Return the slope times a factor that has E[xx] = `same` of one sample, and `two` of two."""
    square = slope.same * same
    return Slope(square, square - (slope.same - slope.gap) * two, slope.log)
