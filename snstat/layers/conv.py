"""A convolution: φ(W ∗ x + b)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import MISSING, dataclass, replace
from typing import ClassVar

from snstat.activation import Pair
from snstat.activation.kind import ActivationName
from snstat.errors import InvalidValueError
from snstat.layers.convolved import convolved
from snstat.layers.dense import Dense
from snstat.layers.dense_layer import DenseLayer
from snstat.layers.draw import Draw, Pass, Values
from snstat.layers.law import GAUSSIAN, OTHER
from snstat.layers.layer import one
from snstat.layers.no_theory import BY_PLACE, NoTheory
from snstat.layers.options import WeightOptions
from snstat.layers.shape import Shape
from snstat.layers.signal import PLACE, Signal, Step
from snstat.layers.through_weights import pre_second_moment
from snstat.layers.weighted import Weighted
from snstat.layers.weights import Weights
from snstat.layers.window_options import WindowOptions
from snstat.limits import MAX_WIDTH
from snstat.values.kinds import Whole
from snstat.values.option import option


@dataclass(frozen=True, kw_only=True)
class Conv(WindowOptions, WeightOptions, Weighted):
    """φ(W ∗ x + b) on a grid of one or two axes.

    Every unit has one weight for each channel of its group at each of the k positions of the
    kernel, so the fan-in is k · channels / groups. E[z_u z_v] = G²/k Σ_Δ E[x_(su+rΔ) x_(sv+rΔ)] +
    b², the same Δ for both positions, with stride s, dilation r and 0 beyond the border, whatever
    the law of x; E[δδ'] goes back by the adjoint of the sum, times G²/k (channels after / before).
    So zero padding lowers E[z²] at the border, and the deficit moves inwards layer by layer; causal
    padding does so at the start. Pre-activations are Gaussian given x if weights are, else in the
    limit of large fan-in: not for the first layer on one or three channels, nor for as many groups
    as channels, which are a depthwise_conv. Padding same and causal
    give every stride-th position; same pads (r(k − 1))/2 zeros on the left, rounded down.
    Standardized weights are centred over their fan-in (arXiv:1810.05148, arXiv:1806.05393).
    """

    kind: ClassVar[str] = "conv"

    channels: int = option(Whole(1, MAX_WIDTH), "Channels of the output.", default=MISSING)
    groups: int = option(
        Whole(1, MAX_WIDTH),
        "Groups of equally many channels, each with weights of its own to as many of the output.",
        default=1,
    )
    activation: str | Pair | None = option(
        ActivationName(), "Activation of the units.", shown="none"
    )

    def shape(self, inputs: Sequence[Shape]) -> Shape:
        """See Layer. Raises InvalidValueError for a vector, for a window that does not fit, and
        unless the groups divide the channels before and after."""
        shape = one(inputs)
        for channels in (shape.channels, self.channels):
            if channels % self.groups:
                bound = (
                    f"a divisor of {shape.channels:,} channels before and {self.channels:,} after"
                )
                raise InvalidValueError("groups", self.groups, bound)
        grid = self.window(shape).grid
        self.require_centred(self.at(shape).fan_in)
        return Shape(self.channels, grid)

    def at(self, shape: Shape) -> DenseLayer:
        """Return the weights of one group, which act on a patch of its channels."""
        taps = self.window(shape).taps
        own = Dense(self.channels // self.groups, self.activation, **self.weight_options())
        # PyTorch counts the channels of all groups.
        return own.at(taps * shape.channels // self.groups, taps * self.groups)

    def unlimited(self, own: Sequence[Shape], wide: Sequence[Shape]) -> str:  # noqa: ARG002
        """See Layer. As many groups have many channels each, which is no limit of one channel."""
        alone = self.groups > 1 and one(own).channels == self.groups
        return "groups of one channel are a depthwise_conv; write one" if alone else ""

    def matrices(self, inputs: Sequence[Shape]) -> tuple[Weights, ...]:
        """See Layer."""
        return (self.at(one(inputs)),) * self.groups

    def columns(self, inputs: Sequence[Shape]) -> int:
        """See Layer."""
        return self.window(one(inputs)).positions

    def gathered(self, inputs: Sequence[Shape]) -> int:
        """See Layer: the patches."""
        return self.at(one(inputs)).fan_in * self.groups * self.columns(inputs)

    def slopes(self, shape: Shape, mean: float, second_moment: float) -> tuple[float, ...]:
        """See Layer. With zeros at the border q is that of an average over positions."""
        q = pre_second_moment(self.at(shape), mean, second_moment)
        return (self.square_slope(q),) * self.groups

    def weighed(self, inputs: Sequence[Signal]) -> Step | NoTheory:
        """See Weighted."""
        signal = one(inputs)
        if self.groups > 1 and PLACE in signal.fresh:  # groups of a concatenation are not alike
            return NoTheory(BY_PLACE)
        alone = self.groups == signal.shape.channels > 1
        law = OTHER if alone else GAUSSIAN
        weights, over = self.at(signal.shape), self.window(signal.shape)
        own = convolved(weights, self.channels, over, signal, law)
        if alone and not isinstance(own, NoTheory):
            # A depthwise_conv: a unit depends on what its channel does.
            after = replace(own.signal, fresh=own.signal.fresh | signal.fresh)
            own = replace(own, signal=after)
        return own

    def sample(self, inputs: Sequence[Values], draw: Draw) -> Pass:
        """See Layer."""
        values = one(inputs)
        shape = Shape(len(values), values.shape[2:])
        own = draw.convolve(values, self.window(shape), self.at(shape), self.groups)
        return self.activate(own, draw)
