"""An activation: a function of every unit."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import MISSING, dataclass, replace
from typing import ClassVar

import numpy as np

from snstat.activation import Activation as Function
from snstat.activation import Pair, resolve
from snstat.activation.kind import ActivationName
from snstat.gaussian.centred import CentredMoments
from snstat.gaussian.pairs import pair_slope
from snstat.gaussian.quadrature import FloatArray
from snstat.gaussian.rounding import without_noise
from snstat.layers.activation_on_grid import activated_on_grid
from snstat.layers.activation_spread import spread_of
from snstat.layers.activation_unknown import activated_unknown
from snstat.layers.after_batch_norm import through
from snstat.layers.after_dropout import through_mask
from snstat.layers.between import activated_between
from snstat.layers.draw import Draw, Pass, Values
from snstat.layers.gaussian_inputs import after, gap_after, misalignment
from snstat.layers.higher import Higher
from snstat.layers.law import GAUSSIAN, OTHER, ZERO, is_masked, on_sphere
from snstat.layers.layer import Layer, one
from snstat.layers.no_theory import NOT_GAUSSIAN, NoTheory
from snstat.layers.shape import Shape
from snstat.layers.signal import Signal, Slope, Step
from snstat.layers.spread import Spread
from snstat.values.option import option


@dataclass(frozen=True)
class Activation(Layer):
    """φ(x) of every unit.

    For x ~ N(0, q) with correlation c between samples: E[φ], E[φ²], E[φφ'], and on the way back
    E[φ'φ'], by closed forms or quadrature. After batch norm the same over points of a sphere, and
    after dropout of such x over those that are kept and those that are dropped. Nothing is known of
    other laws; the identity keeps all. On a grid every position has its own q and c.
    Source: arXiv:1606.05340.
    """

    kind: ClassVar[str] = "activation"
    per_position: ClassVar[bool] = True
    arrays: ClassVar[int] = 1

    activation: str | Pair = option(ActivationName(), "The function.", default=MISSING)

    @property
    def function(self) -> Function:
        """The entry of the table, or the user's functions."""
        return resolve(self.activation)

    def shape(self, inputs: Sequence[Shape]) -> Shape:
        """See Layer."""
        return one(inputs)

    def moments(self, inputs: Sequence[Signal], batch: int) -> Step | NoTheory:  # noqa: ARG002
        """See Layer."""
        return activated(self.function, one(inputs))

    def between(self, steps: Sequence[Step], inputs: Sequence[FloatArray]) -> FloatArray | NoTheory:
        """See Layer."""
        if not (self.function.linear or all(x.law in (GAUSSIAN, ZERO) for x in _firsts(steps))):
            return NoTheory(NOT_GAUSSIAN)
        return activated_between(self.function, one(inputs), steps)

    def sample(self, inputs: Sequence[Values], draw: Draw) -> Pass:
        """See Layer."""
        return draw.activate(self.function, one(inputs))

    def spread(self, step: Step, inputs: Sequence[Spread]) -> Spread | NoTheory:
        """See Layer."""
        return spread_of(self.function, step, one(inputs))


def _firsts(steps: Sequence[Step]) -> list[Signal]:
    return [step.inputs[0] for step in steps]


def activated(function: Function, signal: Signal) -> Step | NoTheory:
    """Return the step of an activation, or why theory has none."""
    if function.linear:
        return Step((signal,), signal, lambda slope: (slope,))
    step = _activated(function, signal)
    if signal.mixed and not isinstance(step, NoTheory):
        step = replace(step, signal=step.signal.varying)
    return step


def _activated(function: Function, signal: Signal) -> Step | NoTheory:
    if on_sphere(signal.law):
        return through(function, signal)
    if is_masked(signal.law):
        return through_mask(function, signal)
    if not signal.known:
        return activated_unknown(function, signal)
    if signal.law not in (GAUSSIAN, ZERO):
        return NoTheory(NOT_GAUSSIAN)
    if signal.mean.any():
        return NoTheory("it follows values that have a mean")
    if signal.mean.size > 1:
        return activated_on_grid(function, signal)
    q, gap = float(signal.same[0, 0]), float(signal.gap[0, 0])
    still = signal.law == ZERO
    state = after(function, q, still=still)
    total = state.second_moment
    apart = misalignment(q, gap)
    moved = gap_after(function, q, apart, total)

    def pull(slope: Slope) -> tuple[Slope, ...]:
        same = slope.same * state.derivative_square
        if np.array_equal(slope.same, slope.gap):
            return (Slope(same, same, slope.log).scaled(1.0),)
        shared = (slope.same - slope.gap) * pair_slope(function, q, apart)
        return (Slope(same, same - shared, slope.log).scaled(1.0),)

    mean = without_noise(state.mean, math.sqrt(total))
    law = ZERO if still and total == 0 else OTHER
    moved_on = Signal.of_one(signal.shape, (mean, total, moved), law, signal.fresh)
    if law == OTHER and (signal.higher is None or signal.higher.normal):
        moved_on = replace(moved_on, higher=_higher(state))
    return Step((signal,), moved_on, pull)


def _higher(state: CentredMoments) -> Higher:
    """Return the moments of φ beyond the second."""
    third, fourth = state.cumulants
    found = Higher(np.array([third]), np.array([fourth]))
    mean, square = np.array([state.mean]), np.array([state.second_moment])
    # Of a grid of one position.
    return replace(found, squares=lambda: found.raw_fourth(mean, square).reshape(1, 1))
