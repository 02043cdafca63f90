"""Pixel shuffle: channels become positions of a larger grid."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import MISSING, dataclass
from typing import ClassVar

import numpy as np

from snstat.errors import InvalidValueError
from snstat.gaussian.quadrature import FloatArray
from snstat.layers.between import with_own
from snstat.layers.draw import Draw, Pass, Values
from snstat.layers.law import GAUSSIAN, OTHER, ZERO
from snstat.layers.layer import Layer, one
from snstat.layers.no_theory import BY_PLACE, NoTheory
from snstat.layers.shape import Shape
from snstat.layers.signal import PLACE, Signal, Slope, Step
from snstat.layers.squares import MOST_PAIRED, beyond_pairs, diagonal
from snstat.layers.window_axis import Index
from snstat.layers.window_options import SIZES, grid_of
from snstat.values.option import option
from snstat.values.sizes import Sizes, of_axes


@dataclass(frozen=True)
class PixelShuffle(Layer):
    """Channels as positions of a grid `factor` times larger along each axis: r channels become one.

    r is the product of the factors. The r places that a position becomes are those of channels
    rc, …, rc + r − 1 of channel c after it, row by row, as in PyTorch. Of drawn inputs, and behind
    weights, units are independent and alike, so E[x_U x_V] is that of the positions before where U
    and V have the same place, and E[x_u] E[x_v] where they do not, for any law of x. E[δ_u δ_v] is
    the average over places of E[δ_U δ_V], exactly: the squared norm stays. Gaussian units stay
    Gaussian. Theory is null where units differ by their place, as after concat and sinusoids, and a
    population of infinite width does not stand for it (arXiv:1609.05158).
    """

    kind: ClassVar[str] = "pixel_shuffle"
    arrays: ClassVar[int] = 1

    factor: Sizes = option(SIZES, "Places of a position, along each axis.", default=MISSING)

    def factors(self, shape: Shape) -> tuple[int, ...]:
        """Return the factor along each axis. Raises InvalidValueError for a vector, and for another
        number of factors."""
        return of_axes("factor", self.factor, len(grid_of(shape)))

    def shape(self, inputs: Sequence[Shape]) -> Shape:
        """See Layer. Raises InvalidValueError for a vector, and for a factor that does not fit."""
        shape = one(inputs)
        factors = self.factors(shape)
        places = math.prod(factors)
        if shape.channels % places:
            bound = f"one whose product {places:,} divides the {shape.channels:,} channels before"
            remedy = f"try {-(-shape.channels // places) * places:,} channels before"
            raise InvalidValueError("factor", self.factor, bound, remedy)
        sizes = zip(shape.grid, factors, strict=True)
        grid = tuple(size * factor for size, factor in sizes)
        return Shape(shape.channels // places, grid)

    def moments(self, inputs: Sequence[Signal], batch: int) -> Step | NoTheory:  # noqa: ARG002
        """See Layer."""
        signal = one(inputs)
        shape = self.shape([signal.shape])
        if shape == signal.shape:
            return Step((signal,), signal, lambda slope: (slope,))
        if PLACE in signal.fresh:
            return NoTheory(BY_PLACE)
        moved = _Moved(signal.shape.grid, self.factors(signal.shape))
        pairs = signal.same.ndim > 1 and shape.positions <= MOST_PAIRED
        before = signal if pairs else signal.alone
        mean = signal.mean[moved.source]
        after = Signal(
            shape,
            mean,
            moved.products(before.same, np.multiply.outer(mean, mean) if pairs else None),
            moved.products(before.gap, np.zeros((mean.size, mean.size)) if pairs else None),
            signal.law if signal.law in (GAUSSIAN, ZERO) else OTHER,
            signal.fresh,
        )

        def pull(slope: Slope) -> tuple[Slope, ...]:
            return (slope.of(after).moved(moved.back).of(signal).scaled(1.0),)

        return Step((signal,), after, pull, why_pairs=beyond_pairs(signal.same, after.same))

    def between(self, steps: Sequence[Step], inputs: Sequence[FloatArray]) -> FloatArray:
        """See Layer. Those of two units are products of their means."""
        crossed, shape = one(inputs), steps[0].inputs[0].shape
        if steps[0].signal.shape == shape:
            return crossed
        moved, same = _Moved(shape.grid, self.factors(shape)), steps[0].signal.same
        means = [step.signal.mean for step in steps]
        found = np.empty((*crossed.shape[:2], *same.shape))
        for a, b in np.ndindex(found.shape[:2]):
            apart = np.multiply.outer(means[a], means[b]) if same.ndim > 1 else None
            found[a, b] = moved.products(crossed[a, b], apart)
        return with_own(found, steps)

    def unlimited(self, own: Sequence[Shape], wide: Sequence[Shape]) -> str:  # noqa: ARG002
        """See Layer. Copies of a unit of the input would become positions that are alike."""
        places = math.prod(self.factors(one(own)))
        if places == 1:
            return ""
        return f"{places:,} channels become 1, so fewer units than these stand for those after it"

    def sample(self, inputs: Sequence[Values], draw: Draw) -> Pass:  # noqa: ARG002
        """See Layer."""
        values = one(inputs)
        channels, batch, *grid = values.shape
        factors = self.factors(Shape(channels, tuple(grid)))
        after = self.shape([Shape(channels, tuple(grid))])
        axes = len(factors)
        # (channels after, batch, then each axis of the grid with its places).
        order = [0, axes + 1]
        order += [axis for n in range(axes) for axis in (axes + 2 + n, 1 + n)]

        def pull(slope: Values) -> tuple[Values, ...]:
            split = [size for pair in zip(grid, factors, strict=True) for size in pair]
            parts = slope.reshape(after.channels, batch, *split)
            return (parts.transpose(np.argsort(order)).reshape(values.shape),)

        parts = values.reshape(after.channels, *factors, batch, *grid).transpose(order)
        return Pass(parts.reshape(after.channels, batch, *after.grid), pull)


class _Moved:
    """Where positions go: `source` (positions after,) is the position before, and `place` which of
    its places it is."""

    def __init__(self, grid: tuple[int, ...], factors: tuple[int, ...]) -> None:
        after = np.indices([size * factor for size, factor in zip(grid, factors, strict=True)])
        ones = [1] * len(grid)
        parts = np.divmod(after, np.reshape(factors, (-1, *ones)))
        self.source: Index = np.ravel_multi_index(tuple(parts[0]), grid).ravel()
        self.place: Index = np.ravel_multi_index(tuple(parts[1]), factors).ravel()
        # The positions after, (places, positions before).
        self.after = np.lexsort((self.source, self.place)).reshape(math.prod(factors), -1)

    def products(self, own: FloatArray, apart: FloatArray | None) -> FloatArray:
        """Return the products after it: `own` of units of one channel, and `apart` of two, None
        where pairs are not followed."""
        if apart is None:
            return diagonal(own)[self.source]
        alike = self.place[:, None] == self.place
        return np.where(alike, own[np.ix_(self.source, self.source)], apart)

    def back(self, products: FloatArray) -> FloatArray:
        """Return the average over places of the `products` after it."""
        found = np.zeros_like(products, shape=(self.after.shape[1],) * products.ndim)
        for at in self.after:
            found += products[np.ix_(at, at)] if products.ndim > 1 else products[at]
        return found / len(self.after)
