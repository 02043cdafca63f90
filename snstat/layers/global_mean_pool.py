"""A global mean pool: the average over all positions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from snstat.layers.draw import Draw, Pass, Values
from snstat.layers.layer import Layer, one
from snstat.layers.no_theory import NoTheory
from snstat.layers.resampled import resampled
from snstat.layers.shape import Shape
from snstat.layers.signal import Signal, Step
from snstat.layers.window_options import grid_of


@dataclass(frozen=True)
class GlobalMeanPool(Layer):
    """The mean over all positions: a vector of the channels.

    E[xx'] becomes the mean over all pairs of positions for any law of x, and all P positions have
    the gradient δ/P, exactly. Theory is null where pairs of positions are not followed: of large
    grids, of data, and after recurrent layers. What positions share is kept: means stay, and
    cosines of samples rise (Lin, Chen, Yan 2014, arXiv:1312.4400).
    """

    kind: ClassVar[str] = "global_mean_pool"
    linear: ClassVar[bool] = True
    arrays: ClassVar[int] = 1

    @property
    def pairs(self) -> bool:
        """See Layer."""
        return True

    def shape(self, inputs: Sequence[Shape]) -> Shape:
        """See Layer. Raises InvalidValueError for a vector."""
        shape = one(inputs)
        grid_of(shape)
        return Shape(shape.channels)

    def moments(self, inputs: Sequence[Signal], batch: int) -> Step | NoTheory:  # noqa: ARG002
        """See Layer."""
        signal = one(inputs)
        every = np.arange(signal.shape.positions)[:, None]
        return resampled(signal, Shape(signal.shape.channels), every)

    def sample(self, inputs: Sequence[Values], draw: Draw) -> Pass:  # noqa: ARG002
        """See Layer."""
        values = one(inputs)
        shape = values.shape
        count = int(np.prod(shape[2:]))

        def pull(slope: Values) -> tuple[Values, ...]:
            share = (slope / slope.dtype.type(count)).reshape(*shape[:2], 1)
            return (np.repeat(share, count, axis=2).reshape(shape),)

        return Pass(values.reshape(*shape[:2], count).mean(axis=2, dtype=values.dtype), pull)
