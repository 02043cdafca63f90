"""What the weights and biases of one matrix are drawn from."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal, Self

from snstat.layers.initialisers import INITIALISERS, TRUNCATED_STD, Distribution


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
