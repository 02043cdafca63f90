"""A sum of layers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import ClassVar

import numpy as np

from snstat.gaussian.quadrature import FloatArray
from snstat.layers.between import fitted, outer_between, with_own
from snstat.layers.draw import Draw, Pass, Values
from snstat.layers.higher import Higher, none
from snstat.layers.law import GAUSSIAN, OTHER, ZERO, Law
from snstat.layers.layer import Layer, alike
from snstat.layers.least import Least
from snstat.layers.no_theory import NoTheory
from snstat.layers.shape import Shape
from snstat.layers.signal import Signal, Slope, Step, aligned
from snstat.layers.spread import Spread
from snstat.layers.squares import outer
from snstat.layers.sum_spread import after_sum
from snstat.layers.weights import LARGEST_SECOND_MOMENT


@dataclass(frozen=True)
class Add(Layer):
    """x + y + … of two layers or more, of one shape.

    E[xx'] of the summands add, and E[x]E[y'] + E[y]E[x'] of each two of them, if no unit of one
    depends on the weights that the same unit of another does. The sum is Gaussian if all summands
    are. A layer that is added to itself is multiplied. Of other sums, such as x + φ(x), nothing is
    known. Each summand has the gradient of the sum.
    Source: arXiv:1512.03385.
    """

    kind: ClassVar[str] = "add"
    per_position: ClassVar[bool] = True
    arrays: ClassVar[int] = 1

    def shape(self, inputs: Sequence[Shape]) -> Shape:
        """See Layer."""
        return alike(inputs)

    def moments(self, inputs: Sequence[Signal], batch: int) -> Step | NoTheory:  # noqa: ARG002
        """See Layer."""
        return sum_of(inputs, [1.0] * len(inputs))

    def spread(self, step: Step, inputs: Sequence[Spread]) -> Spread | NoTheory:
        """See Layer."""
        return after_sum(step, inputs, [1.0] * len(inputs))

    def between(self, steps: Sequence[Step], inputs: Sequence[FloatArray]) -> FloatArray:
        """See Layer."""
        return sum_between(steps, inputs, [1.0] * len(inputs))

    def sample(self, inputs: Sequence[Values], draw: Draw) -> Pass:  # noqa: ARG002
        """See Layer."""
        first, *others = inputs
        return Pass(sum(others, start=first), lambda slope: (slope,) * len(inputs))


def sum_of(inputs: Sequence[Signal], factors: Sequence[float]) -> Step | NoTheory:
    """Return the step to the sum of `inputs` times `factors`, or why it is not known."""
    inputs = aligned(inputs)
    first = {id(signal): place for place, signal in reversed(list(enumerate(inputs)))}
    places = [first[id(signal)] for signal in inputs]
    # The same signal twice is one summand: x + x is 2x, with 4 times the squared gradient.
    total = [0.0] * len(inputs)
    for place, factor in zip(places, factors, strict=True):
        total[place] += factor
    live = [(x, c) for x, c in zip(inputs, total, strict=True) if c and x.law != ZERO]
    if any(x.fresh & y.fresh for (x, _), (y, _) in combinations(live, 2)):
        return NoTheory("its summands depend on the same weights")
    mean = np.zeros_like(inputs[0].mean)
    same, gap = np.zeros_like(inputs[0].same), np.zeros_like(inputs[0].gap)
    for x, c in live:
        cross = outer(mean, c * x.mean, x.same)
        same = same + cross + cross.T + c * c * x.same
        gap = gap + c * c * x.gap
        mean = mean + c * x.mean
    if np.max(same) > LARGEST_SECOND_MOMENT:
        return NoTheory("the sum is too large to be squared")
    fresh = frozenset[object]().union(*(x.fresh for x in inputs))
    least = Least()
    if any(not x.known for x, _ in live):  # variances of independent units add
        variance = sum(c * c * x.bounds.variance for x, c in live)
        least = Least.of(variance, variance)
    after = replace(
        inputs[0],
        mean=mean,
        same=same,
        gap=gap,
        law=_law([x.law for x, _ in live], [c for _, c in live]),
        fresh=fresh,
        least=least,
        higher=_higher(live),
    )

    def pull(slope: Slope) -> tuple[Slope, ...]:
        # What depends on masks or batches is the gradient of the only summand, not of zeros.
        return tuple(
            (slope if any(x is y for y, _ in live) else slope.independent()).scaled(c * c)
            for x, c in zip(inputs, total, strict=True)
        )

    return Step(tuple(inputs), after, pull)


def sum_between(
    steps: Sequence[Step], inputs: Sequence[FloatArray], factors: Sequence[float]
) -> FloatArray:
    """Return the products of different samples after the sum of `inputs` times `factors`."""
    own = steps[0].inputs
    total = {id(signal): 0.0 for signal in own}
    for signal, factor in zip(own, factors, strict=True):
        total[id(signal)] += factor
    found = np.zeros(1)
    means = np.zeros((len(steps), own[0].mean.size))  # of the summands so far
    for place, (signal, crossed) in enumerate(zip(own, inputs, strict=True)):
        c = total.pop(id(signal), 0.0)
        mean = c * np.array([step.inputs[place].mean for step in steps])
        part = c * c * fitted(crossed, signal.same)
        found = found + part + outer_between(means, mean, part) + outer_between(mean, means, part)
        means = means + mean
    return with_own(found, steps)


def _higher(summands: Sequence[tuple[Signal, float]]) -> Higher | None:
    """Return moments beyond the second of independent summands: their cumulants add. Those that are
    all Gaussian follow from the law."""
    if all(x.higher is None and x.law == GAUSSIAN for x, _ in summands):
        return None
    parts = [(x.beyond, c) for x, c in summands]
    known = [higher.times(c) for higher, c in parts if higher is not None]
    if len(known) < len(parts):
        return None
    third = np.sum([higher.third for higher in known], axis=0)
    fourth = np.sum([higher.fourth for higher in known], axis=0)
    return Higher(third, fourth, known[0].squares if len(known) == 1 else none)


def _law(laws: Sequence[Law], factors: Sequence[float]) -> Law:
    """Return the law of the sum of independent summands with `laws` times `factors`."""
    if not laws:
        return ZERO
    if len(laws) == 1:
        return laws[0].moved(factors[0])
    return GAUSSIAN if all(law == GAUSSIAN for law in laws) else OTHER
