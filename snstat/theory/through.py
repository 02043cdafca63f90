"""Columns of all layers, from the steps of a network: forward, on the way back, and of spreads.

Arrays of many layers are written in place: to allocate and to join them would take as long as the
theory of a block that is repeated a hundred thousand times.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from snstat.gaussian.quadrature import FloatArray
from snstat.layers.container_step import TOLD, ContainerStep, Spreads
from snstat.layers.layer import Layer
from snstat.layers.no_theory import NoTheory
from snstat.layers.signal import Slope, Step
from snstat.layers.spread import Spread
from snstat.results.theory_end import OF_WIDTH, TheoryEnd
from snstat.theory.columns import log_norm, moments_of, spreads_of
from snstat.theory.folds import back_through, forward_through, onward_through


def forward(step: Step, out: FloatArray) -> None:
    """Write `moments_of` of every layer to `out`, (columns, layers): as many columns as it has."""
    if not isinstance(step, ContainerStep):
        out[:, 0] = moments_of(step.signal)[: len(out)]
        if not step.told:
            out[1:, 0] = math.nan
        return
    counts, begin, end = [entry.layer.count for entry in step.container.parts], 0, 0

    def write(steps: Sequence[Step], out: FloatArray) -> None:
        place = 0
        for inner, count in zip(steps, counts, strict=True):
            forward(inner, out[:, place : place + count])
            place += count

    size = sum(counts)
    for steps in step.turns:
        begin, end = end, end + size
        write(steps, out[:, begin:end])
    if step.equal:
        _repeat(out[:, begin:end], out[:, end:])
    for fold in step.folds:
        begin, end = end, end + size * (fold.stretch.end - fold.stretch.first)
        forward_through(fold, write, out[:, begin:end])


def backward(step: Step, slope: Slope, out: FloatArray) -> tuple[Slope, ...]:
    """Return the slopes of the inputs of a block, given the `slope` after it, and write ln of the
    squared norms of the gradients of every layer to `out`, (layers,)."""
    if not isinstance(step, ContainerStep):
        raise TypeError(step)
    begin = end = len(out)

    def pull(inner: Step, after: Slope) -> tuple[Slope, ...]:
        nonlocal begin
        if isinstance(inner, ContainerStep):
            begin -= inner.container.count
            return backward(inner, after, out[begin : begin + inner.container.count])
        begin -= 1
        out[begin] = log_norm(after, inner.signal)
        return inner.pull(after)

    def back(steps: Sequence[Step], after: Slope, to: FloatArray) -> Slope:
        place = len(to)

        def pull(inner: Step, after: Slope) -> tuple[Slope, ...]:
            nonlocal place
            place -= 1
            if isinstance(inner, ContainerStep):
                place -= inner.container.count - 1
                return backward(inner, after, to[place : place + inner.container.count])
            to[place] = log_norm(after, inner.signal)
            return inner.pull(after)

        return step.container.back(steps, after, pull)[0]

    for fold in reversed(step.folds):
        layers = step.container.count // step.container.repetitions
        size = layers * (fold.stretch.end - fold.stretch.first)
        slope = back_through(fold, back, slope, out[begin - size : begin])
        begin = end = begin - size
    of_outer: list[Slope] = []
    for before, more, rate in step.way_back(slope, pull, of_outer, folds=False):
        turn, end, slope = out[begin:end], begin, before
        if more:
            end = begin = begin - more * len(turn)
            earlier = _turns(out[begin : begin + more * len(turn)], len(turn))
            earlier[...] = turn + rate * np.arange(more, 0.0, -1.0)[:, None]
    return (slope, *of_outer)


def spreads(
    layer: Layer,
    step: Step,
    inputs: Sequence[Spread] | NoTheory,
    out: FloatArray,
    told: tuple[int, list[TheoryEnd]],
) -> Spread | NoTheory:
    """Return the spread after a layer, and write `spreads_of` of every layer that it consists of to
    `out`, (columns, layers). The number of the first of these is that of `told`, whose list takes
    where spreads end."""
    number, ends = told
    if isinstance(inputs, NoTheory) or not isinstance(step, ContainerStep):
        after = inputs if isinstance(inputs, NoTheory) else layer.spread(step, inputs)
        out[...] = np.array(spreads_of(after))[:, None]
        if isinstance(after, NoTheory) and after.why:
            ends.append(TheoryEnd(OF_WIDTH, number, after.why))
        return after
    size, begin, end = step.container.count // step.container.repetitions, 0, 0

    def onto(to: FloatArray, number: int, ends: list[TheoryEnd]) -> Spreads:
        """Return what writes the spreads of one turn, whose first layer has this number."""
        place = 0

        def through(
            inner: Layer, step: Step, given: Sequence[Spread] | NoTheory
        ) -> Spread | NoTheory:
            nonlocal place
            start, place = place, place + inner.count
            return spreads(inner, step, given, to[:, start:place], (number + start, ends))

        return through

    after = TOLD
    for after, more in step.way_of_spreads(inputs[0], onto(out, number, ends), folds=False):
        begin, end = end, end + size
        if more and isinstance(after, NoTheory):
            out[:, end:] = math.nan
        elif more:
            _repeat(out[:, begin:end], out[:, end:])
    last = list[TheoryEnd]()  # those of the turn of a fold that was asked for last

    def onward(
        turn: int, steps: Sequence[Step], before: Spread, to: FloatArray
    ) -> Spread | NoTheory:
        last.clear()
        return step.container.spreads(steps, before, onto(to, number + turn * size, last))

    for fold in step.folds:
        if isinstance(after, NoTheory):
            out[:, end:] = math.nan
            break
        response, detailed = after.responses[0], after.detailed
        begin, end = end, end + size * (fold.stretch.end - fold.stretch.first)
        after = onward_through(fold, onward, after, out[:, begin:end])
        if isinstance(after, NoTheory):
            ends.extend(last)
        else:
            both = response * after.responses[0]
            after = after._replace(responses=(both,), detailed=detailed or after.detailed)
    return after


def _repeat(turn: FloatArray, rest: FloatArray) -> None:
    """Write the layers of a turn, (columns, size), to those of all later ones, (columns, turns ·
    size)."""
    later = _turns(rest, turn.shape[1])
    if later.shape[1] < turn.shape[1]:
        later[...] = turn[:, None]
        return
    for place in range(turn.shape[1]):  # numpy is slow where the last axis is short
        later[:, :, place] = turn[:, place, None]


def _turns(layers: FloatArray, size: int) -> FloatArray:
    """Return a view of the layers of several turns, (…, layers), as (…, turns, size)."""
    return layers.reshape(*layers.shape[:-1], -1, size)
