"""What weights that are shared over time do to a signal, every time by itself."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from snstat.activation import Activation as Function
from snstat.layers.activation import activated
from snstat.layers.law import GAUSSIAN, OTHER, ZERO, nearly
from snstat.layers.no_theory import NoTheory
from snstat.layers.shape import Shape
from snstat.layers.signal import Signal, Slope, Step
from snstat.layers.squares import diagonal
from snstat.layers.through_weights import through
from snstat.layers.weights import Weights


def through_time(
    function: Function, of_inputs: Weights, of_units: Weights, signal: Signal, *, every: bool
) -> Step | NoTheory:
    """Return the step of h_t = φ(U x_t + W h_(t−1)), at `every` time or at the last one, or why
    theory has none.

    One sample, and two at the same time, are as if each time had weights of its own.
    """
    pairs, signal = signal.same.ndim > 1, signal.alone
    times = _times(function, of_inputs, of_units, signal)
    if isinstance(times, NoTheory):
        return times
    states = [own.after.signal for own in (times if every else times[-1:])]
    width, grid = of_units.fan_out, signal.shape.grid if every else ()
    law = OTHER
    if all(state.law == ZERO for state in states):
        law = ZERO
    elif function.linear:
        law = GAUSSIAN
    after = Signal(
        Shape(width, grid),
        np.array([state.mean[0] for state in states]),
        np.array([state.same[0, 0] for state in states]),
        np.array([state.gap[0, 0] for state in states]),
        law,
    )
    # Units that read few channels, whose size differs between samples.
    if any(time.driven.signal.mixed or time.carried.signal.mixed for time in times):
        after = after.varying

    def pull(slope: Slope) -> tuple[Slope, ...]:
        return (_pulled(slope, times, every=every).of(signal),)

    why = (
        "weights that are shared over time correlate times" if pairs and after.mean.size > 1 else ""
    )
    return Step((signal,), after, pull, why_pairs=why)


class _Time:
    """The steps at one time: of inputs and of units to pre-activations, and `after` these."""

    def __init__(self, driven: Step, carried: Step, after: Step) -> None:
        self.driven, self.carried, self.after = driven, carried, after


def _times(
    function: Function, of_inputs: Weights, of_units: Weights, signal: Signal
) -> list[_Time] | NoTheory:
    """Return the steps at all times, or why theory has none."""
    shape, units = Shape(signal.shape.channels), Shape(of_units.fan_out)
    state = Signal.of_one(units, (0.0, 0.0, 0.0), ZERO)
    found = list[_Time]()
    rows = zip(signal.mean, diagonal(signal.same), diagonal(signal.gap), strict=True)
    for mean, same, gap in rows:
        x = Signal.of_one(shape, (float(mean), float(same), float(gap)), signal.law)
        driven, carried = through(of_inputs, x), through(of_units, state)
        if isinstance(driven, NoTheory):
            return driven
        if isinstance(carried, NoTheory):
            return carried
        one, other = driven.signal, carried.signal
        law = ZERO if one.law == other.law == ZERO else GAUSSIAN
        z = one.become(one.mean, one.same + other.same, one.gap + other.gap, law)
        after = found[-1].after if found else None
        if after is None or not _equal(after.inputs[0], z):
            activation = activated(function, z)
            if isinstance(activation, NoTheory):
                return activation
            after = activation
        found.append(_Time(driven, carried, after))
        state = after.signal
    return found


def _equal(one: Signal, other: Signal) -> bool:
    """Return whether pre-activations have settled, so that no integral is made again."""
    return one.law == other.law and all(
        nearly(float(a[0, 0]), float(b[0, 0]))
        for a, b in ((one.same, other.same), (one.gap, other.gap))
    )


def _pulled(slope: Slope, times: Sequence[_Time], *, every: bool) -> Slope:
    """Return the slope of the inputs at all times from that of the units."""
    same, gap = diagonal(slope.same), diagonal(slope.gap)
    found, carried = list[Slope](), Slope(np.zeros((1, 1)), np.zeros((1, 1)))
    for place, time in reversed(list(enumerate(times))):
        if every or not found:
            at = place if every else 0
            own = Slope(same[at].reshape(1, 1), gap[at].reshape(1, 1), slope.log)
            carried = own + carried
        (before,) = time.after.pull(carried)
        found += time.driven.pull(before)
        (carried,) = time.carried.pull(before)
    found.reverse()
    log = max(own.log for own in found)
    factors = np.array([math.exp(own.log - log) for own in found])
    ahead = factors * np.array([own.same[0, 0] for own in found])
    apart = factors * np.array([own.gap[0, 0] for own in found])
    return Slope(ahead, apart, log).scaled(1.0)
