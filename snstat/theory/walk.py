"""Theory of any network at infinite width: the moments of its layers, one after the other."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, fields

import numpy as np

from snstat.gaussian.quadrature import FloatArray
from snstat.layers.container_step import TOLD, ContainerStep, Spreads
from snstat.layers.gaussian_inputs import LEAST_SQUARE
from snstat.layers.higher import LEAST_FOURTH, pooled
from snstat.layers.law import GAUSSIAN, ZERO
from snstat.layers.layer import Layer
from snstat.layers.no_theory import NoTheory
from snstat.layers.shape import Shape
from snstat.layers.signal import Signal, Slope, Step
from snstat.layers.spread import Spread
from snstat.layers.squares import alone, diagonal
from snstat.network.network import Network
from snstat.results import InputMoments
from snstat.results.theory_end import OF_SIGNAL, OF_WIDTH, TheoryEnd
from snstat.theory.ends import ends_of_gradients, ends_of_signals, ends_of_sizes
from snstat.theory.fluctuations import input_spread
from snstat.theory.folds import back_through, forward_through, onward_through
from snstat.theory.start import steps_of

# What `Walk` has of the moments of each layer, and to first order.
_MOMENTS, _SPREADS = 8, 11


@dataclass(frozen=True, slots=True, eq=False)
class Walk:
    """Theory of a network with inputs of the shape `input`: arrays (depth + 1,), NaN where there is
    none.

    `mean` is E[x], `second_moment` E[x²] and `gap` E[x²] − E[xx'] of two samples, averages over all
    positions; `over_units` is the average of the variance at each position. `over_positions` is the
    variance of one unit over the positions of a sample, and `position_cosine` the average cosine of
    two positions of a sample, both NaN where pairs of positions are not followed. `least_position`
    is E[x²] at the position where it is least, over the average, NaN without positions. `kurtosis`
    is that of all units at all positions together.
    `log_gradient` is the natural logarithm of the squared norm of ∂L/∂x over the same at the last
    layer.

    To first order in 1/width, relative to E[x²]: `variance` is that of one sample's mean of x²
    between networks, `pair` its covariance of two samples, `bias` what the mean over networks
    differs by, and `residual` bounds what that neglects. Relative to √E[x²], `shift`,
    `shift_residual`, `mean_variance` and `mean_pair` are the same of the mean over units; `size` is
    the relative variance of what the latter two are proportional to. `q_variance` is the relative
    variance of the second moment of the Gaussian of which the layer is a function (`variance` where
    there is more than one), and `uniform` the share of uniform biases in it.

    `ends` are the layers at which theory ends, with the reason of each.
    """

    input: Shape
    mean: FloatArray
    second_moment: FloatArray
    gap: FloatArray
    over_units: FloatArray
    over_positions: FloatArray
    position_cosine: FloatArray
    least_position: FloatArray
    kurtosis: FloatArray
    log_gradient: FloatArray
    variance: FloatArray
    pair: FloatArray
    bias: FloatArray
    residual: FloatArray
    shift: FloatArray
    shift_residual: FloatArray
    mean_variance: FloatArray
    mean_pair: FloatArray
    size: FloatArray
    q_variance: FloatArray
    uniform: FloatArray
    ends: tuple[TheoryEnd, ...] = field(kw_only=True)

    @classmethod
    def unknown(cls, shape: Shape, depth: int, reason: str) -> Walk:
        """Return that nothing is known of a network, for this reason."""
        columns = len(fields(cls)) - 2  # without the shape and the ends
        none = np.full((columns, depth + 1), math.nan)
        return cls(shape, *none, ends=(TheoryEnd(OF_SIGNAL, 1, reason),))

    @property
    def cosine(self) -> FloatArray:
        """The cosine of two samples, NaN where their squares are so small that they lose digits."""
        with np.errstate(divide="ignore", invalid="ignore"):
            found = 1.0 - self.gap / self.second_moment
        found[self.second_moment < LEAST_SQUARE] = math.nan
        return found


def walk(network: Network, batch: int, inputs: InputMoments, *, train: bool = True) -> Walk:
    """Return theory of `batch` samples with the moments `inputs`, with dropout and the statistics
    of batches on if `train`.

    Every sample has a random linear read-out of its own. A repeated block is followed until its
    state repeats. There is no theory of samples that differ in norm, nor of data on a grid.
    """
    start, step = steps_of(network, batch, inputs, train=train)
    layers = network.depth + 1
    moments, spreads = np.empty((_MOMENTS, layers)), np.empty((_SPREADS, layers))
    logs = np.empty(layers)

    moments[:, 0] = math.nan if network.input.tokens else _numbers(start)
    _forward(step, moments[:, 1:])
    # A read-out is independent for every position too.
    own = alone(np.ones(step.signal.mean.size), step.signal.same)
    logs[0] = _log_norm(_backward(step, Slope(own, own), logs[1:])[0], start)
    logs -= logs[-1]
    first = input_spread(network.input.units, inputs)
    spreads[:, 0] = _relative(first)
    ends, wide = [*ends_of_signals(network, start, step, inputs)], list[TheoryEnd]()
    _spreads(network.block, step, [first], spreads[:, 1:], (1, wide))
    ends += [*ends_of_gradients(network.input, step, logs, ends), *wide]
    mean, square, gap, over_units, over_positions, cosine, least, tails = moments
    of_positions = over_positions, cosine, least, tails
    ends += ends_of_sizes(mean, square)
    columns = mean, square, gap, over_units, *of_positions, logs, *spreads
    return Walk(network.input, *columns, ends=tuple(ends))


# Arrays of many layers are written in place: to allocate and to join them would take as long as the
# theory of a block that is repeated a hundred thousand times.


def _forward(step: Step, out: FloatArray) -> None:
    """Write `_numbers` of every layer to `out`, (columns, layers)."""
    if not isinstance(step, ContainerStep):
        out[:, 0] = _numbers(step.signal)
        if not step.told:
            out[1:, 0] = math.nan
        return
    counts, begin, end = [entry.layer.count for entry in step.container.parts], 0, 0

    def write(steps: Sequence[Step], out: FloatArray) -> None:
        place = 0
        for inner, count in zip(steps, counts, strict=True):
            _forward(inner, out[:, place : place + count])
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


def _backward(step: Step, slope: Slope, out: FloatArray) -> tuple[Slope, ...]:
    """Return the slopes of the inputs of a block, given the `slope` after it, and write ln of the
    squared norms of the gradients of every layer to `out`, (layers,)."""
    if not isinstance(step, ContainerStep):
        raise TypeError(step)
    begin = end = len(out)

    def pull(inner: Step, after: Slope) -> tuple[Slope, ...]:
        nonlocal begin
        if isinstance(inner, ContainerStep):
            begin -= inner.container.count
            return _backward(inner, after, out[begin : begin + inner.container.count])
        begin -= 1
        out[begin] = _log_norm(after, inner.signal)
        return inner.pull(after)

    def back(steps: Sequence[Step], after: Slope, to: FloatArray) -> Slope:
        place = len(to)

        def pull(inner: Step, after: Slope) -> tuple[Slope, ...]:
            nonlocal place
            place -= 1
            if isinstance(inner, ContainerStep):
                place -= inner.container.count - 1
                return _backward(inner, after, to[place : place + inner.container.count])
            to[place] = _log_norm(after, inner.signal)
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


def _spreads(
    layer: Layer,
    step: Step,
    inputs: Sequence[Spread] | NoTheory,
    out: FloatArray,
    told: tuple[int, list[TheoryEnd]],
) -> Spread | NoTheory:
    """Return the spread after a layer, and write `_relative` of every layer that it consists of to
    `out`, (columns, layers). The number of the first of these is that of `told`, whose list takes
    where spreads end."""
    number, ends = told
    if isinstance(inputs, NoTheory) or not isinstance(step, ContainerStep):
        after = inputs if isinstance(inputs, NoTheory) else layer.spread(step, inputs)
        out[...] = np.array(_relative(after))[:, None]
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
            return _spreads(inner, step, given, to[:, start:place], (number + start, ends))

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


def _relative(spread: Spread | NoTheory) -> tuple[float, ...]:
    """Return the columns of `Walk` from `variance` on."""
    if isinstance(spread, NoTheory):
        return (math.nan,) * _SPREADS
    given, mean = spread.given, (math.nan,) * 5
    if spread.average is not None:
        x = spread.average
        mean = x.shift, x.residual, x.variance, x.pair, x.size
    last = (spread.variance, 0.0) if given is None else (given.variance, given.uniform)
    return *spread[:4], *mean, *last


def _numbers(signal: Signal) -> tuple[float, ...]:
    """Return the columns of `Walk` up to `kurtosis`."""
    of_pairs, least = (math.nan, math.nan), math.nan
    if signal.mean.size == 1:  # nearly always: an average takes twenty times as long
        mean, square, gap = signal.mean.item(), signal.same.item(), signal.gap.item()
        centre = mean * mean
    else:
        mean, every = float(signal.mean.mean()), diagonal(signal.same)
        square = float(every.mean())
        least = float(every.min()) / square if square > 0 else math.nan
        gap, centre = float(diagonal(signal.gap).mean()), float((signal.mean**2).mean())
        if signal.same.ndim > 1:
            of_pairs = _of_pairs(signal.same)
    if square < LEAST_SQUARE and signal.law != ZERO:  # of a square that underflows
        mean = math.nan
    return mean, square, gap, max(square - centre, 0.0), *of_pairs, least, _kurtosis(signal)


def _kurtosis(signal: Signal) -> float:
    """Return the kurtosis of all units at all positions, NaN where it is not known."""
    if signal.higher is None and signal.law != GAUSSIAN:
        return math.nan
    higher = signal.beyond
    if higher is None:
        return math.nan
    if signal.higher is None and signal.mean.size == 1:
        return 3.0 if signal.same.item() >= LEAST_SQUARE else math.nan
    variance, _, fourth = pooled(higher, signal.mean, diagonal(signal.same))
    if not variance >= LEAST_FOURTH:
        return math.nan
    return 3.0 + fourth / variance**2


def _of_pairs(same: FloatArray) -> tuple[float, float]:
    """Return the variance over positions and their mean cosine, from E[x_u x_v], (P, P). Positions
    that are 0 have no angle."""
    square = np.diagonal(same)
    apart = max(float(square.mean() - same.mean()), 0.0)
    there = square >= LEAST_SQUARE
    count = np.count_nonzero(there)
    if count < 2:
        return apart, math.nan
    scale = np.where(there, 1.0 / np.sqrt(np.where(there, square, 1.0)), 0.0)
    return apart, float(scale @ same @ scale - count) / (count * (count - 1))


def _log_norm(slope: Slope, signal: Signal) -> float:
    """Return ln of the squared norm of a gradient, −inf where it is 0."""
    square = slope.same.item() if slope.same.size == 1 else float(diagonal(slope.same).mean())
    return slope.log + (math.log(square * signal.shape.units) if square > 0 else square - math.inf)
