"""What the weights and biases of one matrix are drawn from, and how second moments pass them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal, Self, TypeVar

import numpy as np

from snstat.gaussian.quadrature import FloatArray
from snstat.layers.initialisers import INITIALISERS, TRUNCATED_STD, Distribution
from snstat.layers.shape import Shape
from snstat.layers.signal import GAUSSIAN, ZERO, Signal, Step

# Squares of larger second moments overflow during evaluation, so there is no prediction.
LARGEST_SECOND_MOMENT = 1e280
# A number, or an array of numbers.
Moment = TypeVar("Moment", float, FloatArray)


@dataclass(frozen=True, slots=True)
class Weights:
    """The distribution of weights (fan_out, fan_in) and biases (fan_out,).

    Weights are drawn from `distribution` with variance `square_gain`/fan_in; biases from
    `bias_distribution` with standard deviation `bias_std`.
    """

    fan_in: int
    fan_out: int
    distribution: Distribution
    square_gain: float
    bias_distribution: Literal["normal", "uniform"]
    bias_std: float

    @classmethod
    def of(
        cls,
        init: str,
        fan_in: int,
        fan_out: int,
        *,
        weight_gain: float | None = None,
        weight_std: float | None = None,
        bias_std: float | None = None,
        **others: Any,
    ) -> Self:
        """Return the weights of an initialiser, whose own gain and biases None stands for.

        `others` are the fields that a subclass adds.
        """
        scheme = INITIALISERS[init]
        if weight_std is not None:
            square_gain = fan_in * weight_std**2
            if scheme.distribution == "truncated_normal":  # cut, and not rescaled
                square_gain *= TRUNCATED_STD**2
        elif weight_gain is not None:
            square_gain = weight_gain**2
            if scheme.distribution == "orthogonal":  # the gain multiplies the matrix
                square_gain *= scheme.square_gain(fan_in, fan_out)
        else:
            square_gain = scheme.square_gain(fan_in, fan_out)
        own_bias = bias_std is None and scheme.bias_square_gain > 0
        if own_bias:
            bias_std = math.sqrt(scheme.bias_square_gain / fan_in)
        return cls(
            fan_in,
            fan_out,
            scheme.distribution,
            square_gain,
            "uniform" if own_bias else "normal",
            bias_std or 0.0,
            **others,
        )

    def pre_second_moment(self, second_moment: Moment) -> Moment:
        """Return q = E[z²] of the pre-activations from E[x²] of what the layer is fed."""
        return self.square_gain * second_moment + self.bias_std**2

    def keeps_silent(self, *, silent: bool) -> bool:
        """Return whether pre-activations are exactly 0 in all networks, after inputs that are if
        `silent`."""
        return (silent or self.square_gain == 0) and self.bias_std == 0

    def through(self, signal: Signal) -> Step | None:
        """Return the step to the pre-activations, None where they are too large to square."""
        same = self.pre_second_moment(signal.same)
        if not np.max(same) <= LARGEST_SECOND_MOMENT:
            return None
        still = self.keeps_silent(silent=signal.law == ZERO)
        factor = self.square_gain * self.fan_out / self.fan_in
        after = Signal(
            Shape(self.fan_out, signal.shape.grid),
            np.zeros_like(signal.mean),
            same,
            self.square_gain * signal.gap,
            ZERO if still else GAUSSIAN,
        )
        return Step(after, lambda slope: (slope.scaled(factor),))
