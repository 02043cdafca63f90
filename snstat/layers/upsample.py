"""Upsampling: every position is repeated."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import MISSING, dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from snstat.layers.draw import Draw, Pass, Values
from snstat.layers.layer import Layer, one
from snstat.layers.no_theory import NoTheory
from snstat.layers.resampled import resampled
from snstat.layers.shape import Shape
from snstat.layers.signal import Signal, Step
from snstat.layers.window_axis import Index
from snstat.layers.window_options import SIZES, grid_of
from snstat.values.option import option
from snstat.values.sizes import Sizes, of_axes

AnyArray = npt.NDArray[Any]


@dataclass(frozen=True)
class Upsample(Layer):
    """Every position of a grid `factor` times along each axis: the nearest neighbour.

    E[x_u x_v] of two positions is that of the positions they copy, for any law of x, and the
    gradients of copies add up: E[δ²] becomes the sum over all pairs of copies, exactly. Where pairs
    of positions are not followed, gradients of different ones are uncorrelated: those of an
    independent read-out are, and convolutions, norms, activations and copies leave them so. Then it
    is the sum over copies, so the squared norm stays; after what correlates gradients of different
    positions, such as averages over positions, theory is null. Copies are alike, so a convolution
    that follows has blocks of correlated positions, whatever their average
    (Odena, Dumoulin, Olah 2016; in networks: arXiv:1505.04597).
    """

    kind: ClassVar[str] = "upsample"
    linear: ClassVar[bool] = True
    arrays: ClassVar[int] = 1

    factor: Sizes = option(SIZES, "Copies of a position, along each axis.", default=MISSING)

    def factors(self, shape: Shape) -> tuple[int, ...]:
        """Return the factor along each axis. Raises InvalidValueError for a vector, and for another
        number of factors."""
        return of_axes("factor", self.factor, len(grid_of(shape)))

    def shape(self, inputs: Sequence[Shape]) -> Shape:
        """See Layer. Raises InvalidValueError for a vector, and for a factor that does not fit."""
        shape = one(inputs)
        sizes = zip(shape.grid, self.factors(shape), strict=True)
        return Shape(shape.channels, tuple(size * factor for size, factor in sizes))

    def moments(self, inputs: Sequence[Signal], batch: int) -> Step | NoTheory:  # noqa: ARG002
        """See Layer."""
        signal = one(inputs)
        return resampled(signal, self.shape([signal.shape]), self.sources(signal.shape)[None])

    def sources(self, shape: Shape) -> Index:
        """Return the position that each one after is a copy of, (positions after,)."""
        found = np.arange(shape.positions).reshape(shape.grid)
        return _copied(found, self.factors(shape)).ravel()

    def sample(self, inputs: Sequence[Values], draw: Draw) -> Pass:  # noqa: ARG002
        """See Layer."""
        values = one(inputs)
        before = values.shape
        factors = self.factors(Shape(before[0], before[2:]))

        def pull(slope: Values) -> tuple[Values, ...]:
            split = [n for pair in zip(before[2:], factors, strict=True) for n in pair]
            copies = slope.reshape(*before[:2], *split)
            return (copies.sum(axis=tuple(range(3, copies.ndim, 2))),)

        return Pass(_copied(values, factors), pull)


def _copied(values: AnyArray, factors: Sequence[int]) -> AnyArray:
    """Return values with the positions of the last axes repeated."""
    first = values.ndim - len(factors)
    for axis, factor in enumerate(factors, first):
        values = np.repeat(values, factor, axis=axis)
    return values
