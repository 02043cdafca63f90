"""A mean pool: averages over windows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from snstat.layers.draw import Draw, Pass, Values
from snstat.layers.layer import Layer, one
from snstat.layers.no_theory import NoTheory
from snstat.layers.pool_options import PoolOptions
from snstat.layers.resampled import resampled
from snstat.layers.shape import Shape
from snstat.layers.signal import Signal, Step


@dataclass(frozen=True)
class MeanPool(PoolOptions, Layer):
    """The mean of the positions in a window that slides over a grid.

    With the matrix R of these averages, E[x_u x_v] becomes R E[xx] Rᵀ for any law of x, and E[δδ]
    goes back by Rᵀ E[δδ] R, exactly: a window of P positions that are all alike has
    (E[x_u²] + (P − 1) E[x_u x_v])/P. Theory is null where pairs of positions are not followed: of
    large grids, of data, and after recurrent layers. What positions share is kept: means stay, and
    cosines of samples rise (Lin, Chen, Yan 2014, arXiv:1312.4400).
    """

    kind: ClassVar[str] = "mean_pool"
    linear: ClassVar[bool] = True
    arrays: ClassVar[int] = 1

    @property
    def pairs(self) -> bool:
        """See Layer."""
        return True

    def shape(self, inputs: Sequence[Shape]) -> Shape:
        """See Layer. Raises InvalidValueError for a vector, and for a window that does not fit."""
        shape = one(inputs)
        return Shape(shape.channels, self.window(shape).grid)

    def moments(self, inputs: Sequence[Signal], batch: int) -> Step | NoTheory:  # noqa: ARG002
        """See Layer."""
        signal = one(inputs)
        return resampled(signal, self.shape([signal.shape]), self.window(signal.shape).sources)

    def sample(self, inputs: Sequence[Values], draw: Draw) -> Pass:  # noqa: ARG002
        """See Layer."""
        values = one(inputs)
        window = self.window(Shape(len(values), values.shape[2:]))
        share = values.dtype.type(1.0 / window.taps)
        total = np.zeros((*values.shape[:2], *window.grid), values.dtype)
        for part in window.parts(values):
            total += part
        total *= share

        def pull(slope: Values) -> tuple[Values, ...]:
            part = share * slope
            return (window.together(part for _ in range(window.taps)),)

        return Pass(total, pull)
