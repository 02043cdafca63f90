"""A product of layers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import reduce
from itertools import combinations
from typing import ClassVar

import numpy as np

from snstat.gaussian.quadrature import FloatArray
from snstat.layers.between import fitted, with_own
from snstat.layers.draw import Draw, Pass, Values
from snstat.layers.law import OTHER, ZERO
from snstat.layers.layer import Layer, alike
from snstat.layers.least import Least
from snstat.layers.no_theory import NoTheory
from snstat.layers.shape import Shape
from snstat.layers.signal import Signal, Slope, Step, aligned
from snstat.layers.weights import LARGEST_SECOND_MOMENT


@dataclass(frozen=True)
class Multiply(Layer):
    """x · y · … of the units of two layers or more, of one shape.

    E[xx'] of the factors multiply, if no unit of one depends on the weights that the same unit of
    another does; the product is not Gaussian. Squared gradients of a factor are multiplied by
    E[yy'] of all others. Of other products, such as x·φ(x), nothing is known.
    Source: arXiv:1612.08083.
    """

    kind: ClassVar[str] = "multiply"
    per_position: ClassVar[bool] = True
    arrays: ClassVar[int] = 1

    def shape(self, inputs: Sequence[Shape]) -> Shape:
        """See Layer."""
        return alike(inputs)

    def moments(self, inputs: Sequence[Signal], batch: int) -> Step | NoTheory:  # noqa: ARG002
        """See Layer."""
        inputs = aligned(inputs)
        if any(x.fresh & y.fresh for x, y in combinations(inputs, 2)):
            return NoTheory("its factors depend on the same weights")
        after = reduce(_product, inputs)
        if np.max(after.same) > LARGEST_SECOND_MOMENT:
            return NoTheory("the product is too large to be squared")
        after = replace(after, law=ZERO if any(x.law == ZERO for x in inputs) else OTHER)

        def pull(slope: Slope) -> tuple[Slope, ...]:
            return tuple(
                reduce(_pulled, [y for at, y in enumerate(inputs) if at != place], slope)
                for place in range(len(inputs))
            )

        return Step(tuple(inputs), after, pull)

    def between(self, steps: Sequence[Step], inputs: Sequence[FloatArray]) -> FloatArray:
        """See Layer."""
        like = steps[0].signal.same
        return with_own(reduce(np.multiply, [fitted(own, like) for own in inputs]), steps)

    def sample(self, inputs: Sequence[Values], draw: Draw) -> Pass:  # noqa: ARG002
        """See Layer."""

        def product(parts: Sequence[Values]) -> Values:
            return reduce(np.multiply, parts)

        def pull(slope: Values) -> tuple[Values, ...]:
            return tuple(
                product([slope, *inputs[:place], *inputs[place + 1 :]])
                for place in range(len(inputs))
            )

        return Pass(product(inputs), pull)


def _product(x: Signal, y: Signal) -> Signal:
    """Return the moments of the product of two independent signals."""
    return replace(
        x,
        mean=x.mean * y.mean,
        same=x.same * y.same,
        # E[xx]E[yy] − E[xx']E[yy'] of two samples, without cancellation.
        gap=x.gap * y.same + (x.same - x.gap) * y.gap,
        fresh=x.fresh | y.fresh,
        least=Least(),
        higher=None,
    )


def _pulled(slope: Slope, other: Signal) -> Slope:
    """Return the slope of a factor of which `other` is the other one."""
    gap = slope.gap * other.same + (slope.same - slope.gap) * other.gap
    return Slope(slope.same * other.same, gap, slope.log).scaled(1.0)
