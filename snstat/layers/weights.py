"""What the weights and biases of one matrix are drawn from, and how second moments pass them."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, Literal, Self, TypeVar

import numpy as np

from snstat.gaussian.quadrature import FloatArray
from snstat.layers.initialisers import (
    EXCESS,
    INITIALISERS,
    NORMALIZED,
    PLAIN,
    TRUNCATED_STD,
    Distribution,
)
from snstat.layers.spread import Given, Spread

# Squares of larger second moments overflow during evaluation, so there is no prediction.
LARGEST_SECOND_MOMENT = 1e280
# A number, or an array of numbers.
Moment = TypeVar("Moment", float, FloatArray)


@dataclass(frozen=True, slots=True)
class Weights:
    """The distribution of weights (fan_out, fan_in) and biases (fan_out,).

    Weights are drawn from `distribution` with variance `square_gain`/fan_in; biases from
    `bias_distribution` with standard deviation `bias_std`. Of the weights of a unit, whose norm
    after that is G, the `form` "normalized" keeps the direction, and "standardized" the direction
    of their deviations from their mean.
    """

    fan_in: int
    fan_out: int
    distribution: Distribution
    square_gain: float
    bias_distribution: Literal["normal", "uniform"]
    bias_std: float
    form: str = field(default=PLAIN, kw_only=True)

    @property
    def count(self) -> int:
        """The number of weights and biases."""
        return self.fan_out * (self.fan_in + 1)

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
        taps: int = 1,
        **others: Any,
    ) -> Self:
        """Return the weights of an initialiser, whose own gain and biases None stands for.

        Of a convolution, the initialiser counts the fan-out at all `taps` of the kernel. `others`
        are the fields that a subclass adds.
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
            # An orthogonal matrix is that of all inputs and outputs.
            times = 1 if scheme.distribution == "orthogonal" else taps
            square_gain = scheme.square_gain(fan_in, times * fan_out)
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

    @property
    def gain(self) -> float:
        """G: weights have variance G²/fan_in."""
        return math.sqrt(self.square_gain)

    @property
    def orthogonal(self) -> bool:
        """Whether rows or columns, whichever are fewer, are orthogonal and of equal norm."""
        return self.distribution == "orthogonal"

    @property
    def larger(self) -> int:
        """Inputs or outputs, whichever are more."""
        return max(self.fan_in, self.fan_out)

    @property
    def pinned(self) -> float:
        """The share of squares that orthogonal weights hold fixed: 1 for a square matrix, 0 for
        independent weights."""
        return self.fan_out / self.larger if self.orthogonal else 0.0

    @property
    def kept(self) -> float:
        """The same of the squares of gradients, on the way back."""
        return self.fan_in / self.larger if self.orthogonal else 0.0

    @property
    def excess(self) -> float:
        """The fourth cumulant of a weight over its squared variance, 0 for Gaussian ones."""
        return EXCESS[self.distribution]

    @property
    def bias_excess(self) -> float:
        """The same of a bias."""
        return EXCESS[self.bias_distribution] if self.bias_std > 0 else 0.0

    def share(self, second_moment: FloatArray, q: FloatArray) -> FloatArray:
        """Return λ, the share of the weights in q, from E[x²] of what the layer is fed; arrays."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(q == 0, 0.0, self.square_gain * second_moment / q)

    def pre_second_moment(self, second_moment: Moment) -> Moment:
        """Return q = E[z²] of the pre-activations from E[x²] of what the layer is fed."""
        return self.square_gain * second_moment + self.bias_std**2

    def uniform_share(self, share: Moment) -> Moment | float:
        """Return the share of uniform biases in q, from the `share` of the weights."""
        return 1.0 - share if self.bias_excess else 0.0

    def spread(self, share: float, before: Spread) -> Given:
        """Return the fluctuations of q from those `before`; weights have the `share` of q."""
        return Given(
            share,
            self.pinned,
            self.uniform_share(share),
            share * share * before.variance,
            share * share * before.pair,
            share * before.bias,
            self._shape(share, before.fourth),
            share * before.residual,
            self.pinned,
        )

    def _shape(self, share: float, fourth: float) -> float:
        """Return κ₄/(3q²) of a pre-activation given its inputs, whose E[x⁴]/E[x²]² is `fourth`.

        For weights that are not Gaussian and uniform biases it is the sum of independent cumulants.
        For orthogonal weights it is that of a coordinate of a vector uniform on a sphere.
        """
        rest = 1.0 - share
        biases = self.bias_excess / 3.0 * rest * rest
        if self.orthogonal:
            return -2.0 * share * share / self.larger + biases
        if self.form == NORMALIZED:  # a coordinate of a vector of fixed norm
            fixed = self.excess / 3.0 * fourth - 2.0 - self.excess
            return fixed * share * share / self.fan_in + biases
        if not self.excess:
            return biases
        return self.excess / 3.0 * share * share * fourth / self.fan_in + biases

    def keeps_silent(self, *, silent: bool) -> bool:
        """Return whether pre-activations are exactly 0 in all networks, after inputs that are if
        `silent`."""
        return (silent or self.square_gain == 0) and self.bias_std == 0
