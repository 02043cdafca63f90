"""A dense layer: φ(W x + b)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import MISSING, dataclass
from functools import lru_cache
from typing import ClassVar

from snstat.activation import Pair, resolve
from snstat.activation.kind import ActivationName
from snstat.layers.activation_spread import spread_at
from snstat.layers.dense_layer import LINEAR, DenseLayer
from snstat.layers.draw import Draw, Pass, Values
from snstat.layers.gaussian_inputs import misalignment
from snstat.layers.initialisers import STANDARDIZED
from snstat.layers.layer import one
from snstat.layers.no_theory import ON_GRID, NoTheory
from snstat.layers.options import WeightOptions, defaults
from snstat.layers.shape import Shape
from snstat.layers.signal import Signal, Step
from snstat.layers.spread import Spread
from snstat.layers.through_weights import pre_second_moment, through
from snstat.layers.weighted import Weighted
from snstat.layers.weights import Weights
from snstat.limits import MAX_WIDTH
from snstat.values.kinds import Whole
from snstat.values.option import option


@dataclass(frozen=True)
class Dense(WeightOptions, Weighted):
    """φ(W x + b) over channels, at every position alike.

    With weights of variance G²/fan_in and biases of variance b², E[zz'] = G² E[xx'] + b² whatever
    the law of x, and E[δδ'] becomes G² (fan_out/fan_in) E[δδ'] on the way back. Pre-activations are
    Gaussian at any width given x if weights are Gaussian, else in the limit of large fan-in.
    Normalized weights, each unit's of norm G, do the same (arXiv:1602.07868). Standardized ones,
    which also sum to 0, do not see the mean over units: E[zz'] = G² (E[xx'] − E[x] E[x']) + b²,
    with the same E[δδ'] on the way back (arXiv:2101.08692). A stack of them follows `unit_map`, the
    map of the paper on self-normalizing networks (arXiv:1706.02515), which is about weights of sum
    0: of the common initialisers only this one draws such weights. Orthogonal weights are plain.
    Gradients go back through weights, ReLU and leaky ReLU even where theory does not know x.
    """

    kind: ClassVar[str] = "dense"
    per_position: ClassVar[bool] = True

    width: int = option(Whole(1, MAX_WIDTH), "Units.", default=MISSING)
    activation: str | Pair | None = option(
        ActivationName(), "Activation of the units.", shown="none"
    )

    @property
    def activation_name(self) -> str:
        """The name of the activation; a layer without one is linear."""
        return resolve(self.activation or LINEAR).name

    def at(self, fan_in: int, taps: int = 1) -> DenseLayer:
        """Return the layer for inputs of `fan_in` units, at `taps` positions of a kernel. Every
        unit is then read at so many positions, which Glorot's initialisers count as its fan-out."""
        # The cache keeps no functions of users alive.
        find = _at.__wrapped__ if isinstance(self.activation, tuple) else _at
        return find(self, fan_in, taps)

    def shape(self, inputs: Sequence[Shape]) -> Shape:
        """See Layer."""
        shape = one(inputs)
        self.require_centred(shape.channels)
        return Shape(self.width, shape.grid)

    def matrices(self, inputs: Sequence[Shape]) -> tuple[Weights, ...]:
        """See Layer."""
        return (self.at(one(inputs).channels),)

    def slopes(self, shape: Shape, mean: float, second_moment: float) -> tuple[float, ...]:
        """See Layer."""
        q = pre_second_moment(self.at(shape.channels), mean, second_moment)
        return (self.square_slope(q),)

    def weighed(self, inputs: Sequence[Signal]) -> Step | NoTheory:
        """See Weighted."""
        signal = one(inputs)
        return through(self.at(signal.shape.channels), signal)

    def sample(self, inputs: Sequence[Values], draw: Draw) -> Pass:
        """See Layer."""
        values = one(inputs)
        own = draw.linear(values, self.at(len(values)))
        return self.activate(own, draw)

    def spread(self, step: Step, inputs: Sequence[Spread]) -> Spread | NoTheory:
        """See Layer."""
        signal = step.inputs[0]
        if signal.mean.size > 1:
            return NoTheory(ON_GRID)
        if self.weights == STANDARDIZED:
            return NoTheory("first order in 1/width is not derived for standardized weights")
        layer = self.at(signal.shape.channels)
        q = layer.pre_second_moment(signal.same)
        given = layer.spread(float(layer.share(signal.same, q)[0, 0]), one(inputs))
        apart = misalignment(float(q[0, 0]), layer.square_gain * float(signal.gap[0, 0]))
        function = resolve(layer.activation)
        found = spread_at(function, given, float(q[0, 0]), apart, step.signal)
        if isinstance(found, NoTheory):
            return found
        responses = (given.share * found.responses[0],)
        return found._replace(responses=responses, detailed=False)


@lru_cache(maxsize=1024)  # a repeated layer is sampled once for each repetition and trial
def _at(layer: Dense, fan_in: int, taps: int) -> DenseLayer:
    name = layer.activation_name
    init, gain = defaults(name, layer.init, layer.weight_gain, layer.weight_std)
    return DenseLayer.of(
        init,
        fan_in,
        layer.width,
        weight_gain=gain,
        weight_std=layer.weight_std,
        bias_std=layer.bias_std,
        activation=name,
        form=layer.weights,
        taps=taps,
    )
