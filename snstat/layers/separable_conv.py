"""A separable convolution: depthwise, then pointwise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import MISSING, dataclass, fields, replace
from typing import ClassVar

from snstat.activation import Pair
from snstat.activation.kind import ActivationName
from snstat.layers.dense import Dense
from snstat.layers.depthwise_conv import DepthwiseConv
from snstat.layers.draw import Draw, Pass, Values
from snstat.layers.layer import one
from snstat.layers.no_theory import NoTheory
from snstat.layers.options import WeightOptions
from snstat.layers.shape import Shape
from snstat.layers.signal import Signal, Step
from snstat.layers.through_weights import pre_second_moment
from snstat.layers.weighted import Weighted
from snstat.layers.weights import Weights
from snstat.layers.window_options import WindowOptions
from snstat.limits import MAX_WIDTH
from snstat.values.kinds import Whole
from snstat.values.option import option


@dataclass(frozen=True, kw_only=True)
class SeparableConv(WindowOptions, WeightOptions, Weighted):
    """φ(W (w ∗ x + b) + c): a depthwise convolution, then a dense layer at every position.

    There is no activation between. With k positions in the kernel and N channels before and after,
    it has kN + N² weights where a convolution has kN². E[zz'] is G² (E[yy'] of the depthwise y) +
    c², so with the same gains and no biases it is that of a convolution with the product of both,
    for any law of x, and gradients likewise. Pre-activations are Gaussian in the limit of many
    channels, though y is not. Options of weights hold for both, each with the default initialiser
    of its own activation; both have biases. Theory is null for standardized weights, as in a
    depthwise convolution.
    Sources: arXiv:1610.02357, arXiv:1706.03059.
    """

    kind: ClassVar[str] = "separable_conv"
    whole: ClassVar[int] = 1

    channels: int = option(Whole(1, MAX_WIDTH), "Channels of the output.", default=MISSING)
    activation: str | Pair | None = option(
        ActivationName(), "Activation of the units.", shown="none"
    )

    @property
    def depthwise(self) -> DepthwiseConv:
        """The first of the two layers."""
        own = {entry.name: getattr(self, entry.name) for entry in fields(WindowOptions)}
        return DepthwiseConv(**own, **self.weight_options())

    @property
    def pointwise(self) -> Dense:
        """The second one."""
        return Dense(self.channels, self.activation, **self.weight_options())

    def shape(self, inputs: Sequence[Shape]) -> Shape:
        """See Layer. Raises InvalidValueError as the two layers do."""
        return self.pointwise.shape([self.depthwise.shape(inputs)])

    def matrices(self, inputs: Sequence[Shape]) -> tuple[Weights, ...]:
        """See Layer. The second one acts on what the first one gives."""
        between = self.depthwise.shape(inputs)
        return self.depthwise.matrices(inputs) + self.pointwise.matrices([between])

    def columns(self, inputs: Sequence[Shape]) -> int:
        """See Layer."""
        return self.depthwise.columns(inputs)

    def gathered(self, inputs: Sequence[Shape]) -> int:
        """See Layer: what is between the two layers."""
        return self.depthwise.shape(inputs).units

    def slopes(self, shape: Shape, mean: float, second_moment: float) -> tuple[float, ...]:
        """See Layer. Of the second one, times E[y²]/E[x²] of what it acts on."""
        first, second = self.matrices([shape])
        between = pre_second_moment(first, mean, second_moment)
        q = pre_second_moment(second, 0.0, between)
        own = self.square_slope(q)
        back = second.square_gain * second.fan_out / second.fan_in
        return own * back, own * between / second_moment

    def weighed(self, inputs: Sequence[Signal]) -> Step | NoTheory:
        """See Weighted: through both, without the activation of the latter."""
        first = self.depthwise.moments(inputs, 1)
        if isinstance(first, NoTheory):
            return first
        second = self.pointwise.weighed([first.signal])
        if isinstance(second, NoTheory):
            return second
        return replace(
            second,
            inputs=(one(inputs),),
            pull=lambda slope: first.pull(*second.pull(slope)),
            why_pairs=first.why_pairs or second.why_pairs,
            why_gradient=first.why_gradient or second.why_gradient,
        )

    def sample(self, inputs: Sequence[Values], draw: Draw) -> Pass:
        """See Layer."""
        first = self.depthwise.sample(inputs, draw)
        second = self.pointwise.sample([first.values], draw)
        back = first.pull  # does not keep the values that are between
        return Pass(second.values, lambda slope: back(*second.pull(slope)))
