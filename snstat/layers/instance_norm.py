"""Instance norm."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from snstat.layers.draw import Draw, Pass, Values
from snstat.layers.layer import one
from snstat.layers.no_theory import NoTheory
from snstat.layers.normalise import Norm, normalised
from snstat.layers.shape import Shape
from snstat.layers.signal import Signal
from snstat.layers.window_options import grid_of


@dataclass(frozen=True, kw_only=True)
class InstanceNorm(Norm):
    """(x − m)/s with s² = ν + ε: mean m and variance ν of each channel of each sample over its
    positions.

    A sample has only as many values of a channel as it has positions, so m and s are not numbers in
    any limit of width, and depend on the covariance of the positions. Theory is null. A grid of one
    position becomes 0 (arXiv:1607.08022).
    """

    kind: ClassVar[str] = "instance_norm"

    def shape(self, inputs: Sequence[Shape]) -> Shape:
        """See Layer. Raises InvalidValueError for a vector."""
        shape = one(inputs)
        grid_of(shape)
        return shape

    def moments(self, inputs: Sequence[Signal], batch: int) -> NoTheory:  # noqa: ARG002
        """See Layer."""
        return NoTheory(
            "a channel of one sample has too few values for its variance to be a number"
        )

    def sample(self, inputs: Sequence[Values], draw: Draw) -> Pass:  # noqa: ARG002
        """See Layer."""
        values = one(inputs)
        return normalised(values, tuple(range(2, values.ndim)), self.epsilon)
