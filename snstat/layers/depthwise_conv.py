"""A depthwise convolution: each channel by itself."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from snstat.activation import Pair, resolve
from snstat.activation.kind import ActivationName
from snstat.layers.convolved import convolved
from snstat.layers.dense import Dense
from snstat.layers.dense_layer import LINEAR, DenseLayer
from snstat.layers.draw import Draw, Pass, Values
from snstat.layers.initialisers import STANDARDIZED
from snstat.layers.law import OTHER
from snstat.layers.layer import one
from snstat.layers.no_theory import NoTheory
from snstat.layers.options import WeightOptions
from snstat.layers.shape import Shape
from snstat.layers.signal import Signal, Step
from snstat.layers.weighted import Weighted
from snstat.layers.weights import Weights
from snstat.layers.window import Window
from snstat.layers.window_options import WindowOptions
from snstat.limits import MAX_WIDTH
from snstat.values.kinds import Whole
from snstat.values.option import option


@dataclass(frozen=True, kw_only=True)
class DepthwiseConv(WindowOptions, WeightOptions, Weighted):
    """φ(w ∗ x + b) of each channel by itself, on a grid of one or two axes.

    A unit has one weight for each of the k positions of the kernel, in the one channel that it
    reads: the fan-in is k, and the biases of init torch_default do not vanish with width. E[zz'] is
    that of a convolution, G²/k Σ_Δ E[x_(su+rΔ) x'_(sv+rΔ)] + b², and gradients go back by the
    adjoint times `multiplier`; both are averages over many channels. But z is a sum of only k
    products, so it is not Gaussian: after Gaussian x at independent positions its kurtosis is 3(1 +
    2/k), and in general, with weights of variance σ², E[z⁴] = 3 σ⁴ Σ E[x_Δ² x_Δ'²] over pairs of
    taps, as far as theory knows these. So theory of an activation is null, in this layer or after
    it, but for the identity. It goes on through a layer that mixes channels (dense, conv), whose
    pre-activations are Gaussian again. It is null for standardized weights, whose sum of 0 needs
    pairs of positions.
    Source: arXiv:1610.02357.
    """

    kind: ClassVar[str] = "depthwise_conv"
    whole: ClassVar[int] = 1

    multiplier: int = option(
        Whole(1, MAX_WIDTH), "Channels of the output for each of the input.", default=1
    )
    activation: str | Pair | None = option(
        ActivationName(), "Activation of the units.", shown="none"
    )

    def shape(self, inputs: Sequence[Shape]) -> Shape:
        """See Layer. Raises InvalidValueError for a vector, and for a window that does not fit."""
        shape = one(inputs)
        window = self.window(shape)
        self.require_centred(window.taps)
        return Shape(self.multiplier * shape.channels, window.grid)

    def at(self, shape: Shape) -> DenseLayer:
        """Return the weights of all channels, which act on the window of one."""
        own = Dense(self.multiplier * shape.channels, self.activation, **self.weight_options())
        taps = self.window(shape).taps
        return own.at(taps, taps)

    def matrices(self, inputs: Sequence[Shape]) -> tuple[Weights, ...]:
        """See Layer."""
        return (self.at(one(inputs)),)

    def columns(self, inputs: Sequence[Shape]) -> int:
        """See Layer."""
        return self.window(one(inputs)).positions

    def slopes(self, shape: Shape, mean: float, second_moment: float) -> tuple[float, ...]:  # noqa: ARG002
        """See Layer."""
        return (1.0 if resolve(self.activation or LINEAR).linear else math.nan,)

    def weighed(self, inputs: Sequence[Signal]) -> Step | NoTheory:
        """See Weighted."""
        signal = one(inputs)
        if self.weights == STANDARDIZED:
            return NoTheory("weights of sum 0 over one window need pairs of positions")
        weights = self.at(signal.shape)
        own = convolved(weights, weights.fan_out, self.window(signal.shape), signal, OTHER)
        if isinstance(own, NoTheory):
            return own
        # A unit depends on what its channel depends on, beside its weights.
        after = replace(own.signal, fresh=own.signal.fresh | signal.fresh)
        return replace(own, signal=after)

    def sample(self, inputs: Sequence[Values], draw: Draw) -> Pass:
        """See Layer."""
        values = one(inputs)
        shape = Shape(len(values), values.shape[2:])
        own = _by_channel(values, self.window(shape), *draw.matrix(self.at(shape)))
        return self.activate(own, draw)


def _by_channel(values: Values, window: Window, weights: Values, biases: Values) -> Pass:
    """Return w ∗ x + b, with `weights` (channels after, taps), those of a channel before next to
    each other, and `biases` (channels after,)."""
    channels, batch = values.shape[:2]
    many = len(weights) // channels
    # (taps, channels, many, 1, …), to multiply values (channels, 1, batch, *grid).
    ones = [1] * (values.ndim - 1)
    of_taps = weights.T.reshape(window.taps, channels, many, *ones)
    shape = (channels, many, batch, *window.grid)
    z = np.empty(shape, values.dtype)
    z[:] = biases.reshape(channels, many, *ones)
    term = np.empty_like(z)
    for own, taken in zip(of_taps, window.parts(values), strict=True):
        # Copies of short rows of a grid are sooner multiplied.
        np.multiply(own, np.ascontiguousarray(taken)[:, None], out=term)
        z += term

    def pull(slope: Values) -> tuple[Values, ...]:
        whole = slope.reshape(shape)
        products = (own * whole for own in of_taps)
        # A sum of one is a copy of it.
        parts = (own[:, 0] if many == 1 else own.sum(axis=1) for own in products)
        return (window.together(parts),)

    return Pass(z.reshape(len(weights), *shape[2:]), pull)
