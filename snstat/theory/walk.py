"""Theory of any network at infinite width: the moments of its layers, one after the other."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from snstat.gaussian.quadrature import FloatArray
from snstat.layers.container import ContainerStep
from snstat.layers.law import OTHER, ZERO
from snstat.layers.layer import Layer
from snstat.layers.signal import Signal, Slope, Step
from snstat.layers.spread import Spread
from snstat.network.network import Network
from snstat.results import InputMoments
from snstat.theory.fluctuations import input_spread
from snstat.theory.predict import input_gap

# What `Walk` has of each layer to first order.
_SPREADS = 11


@dataclass(frozen=True, slots=True, eq=False)
class Walk:
    """Theory of a network, each array (depth + 1,), NaN where there is none.

    `mean` is E[x], `second_moment` E[x²] and `gap` E[x²] − E[xx'] of two samples. `log_gradient` is
    the natural logarithm of the squared norm of ∂L/∂x over the same at the last layer.

    To first order in 1/width, relative to E[x²]: `variance` is that of one sample's mean of x²
    between networks, `pair` its covariance of two samples, `bias` what the mean over networks
    differs by, and `residual` bounds what that neglects. Relative to √E[x²], `shift`,
    `shift_residual`, `mean_variance` and `mean_pair` are the same of the mean over units; `size` is
    the relative variance of what the latter two are proportional to. `q_variance` is the relative
    variance of the second moment of the Gaussian of which the layer is a function (`variance` where
    there is more than one), and `uniform` the share of uniform biases in it.
    """

    mean: FloatArray
    second_moment: FloatArray
    gap: FloatArray
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


def walk(network: Network, batch: int, inputs: InputMoments, *, train: bool = True) -> Walk:
    """Return theory of `batch` samples with the moments `inputs`, with dropout and the statistics
    of batches on if `train`.

    Every sample has a random linear read-out of its own. A repeated block is followed until its
    state repeats. There is no theory of samples that differ in norm, nor of inputs on a grid.
    """
    law, one_norm = ZERO if inputs.silent else OTHER, inputs.norms is None
    gap = input_gap(batch, inputs) if one_norm and not network.input.grid else math.nan
    start = Signal.of_one(network.input, (inputs.mean, inputs.second_moment + 0.0 * gap, gap), law)
    block = network.block if train else network.block.evaluated()
    step = block.moments([start], batch)
    columns = np.concatenate([[_numbers(start)], _forward(step)])
    ones = np.ones_like(start.same)
    before, logs = _backward(step, Slope(ones, ones))
    found = np.concatenate([[_log_norm(before, start)], logs])
    mean, second_moment, apart = columns.T
    first = input_spread(network.input.units, inputs)
    _, later = _spreads(block, step, [first])
    spreads = np.concatenate([[_relative(first)], later]).T
    return Walk(mean, second_moment, apart, found - found[-1], *spreads)


def _forward(step: Step) -> FloatArray:
    """Return mean, E[x²] and gap of every layer, (layers, 3)."""
    if not isinstance(step, ContainerStep):
        return np.array([_numbers(step.signal)])
    turns = [np.concatenate([_forward(inner) for inner in steps]) for steps in step.turns]
    return np.concatenate([*turns, np.tile(turns[-1], (step.equal, 1))])


def _backward(step: Step, slope: Slope) -> tuple[Slope, FloatArray]:
    """Return the slope before a block, and ln of the squared norms of the gradients of every layer,
    (layers,), given the `slope` after it."""
    if not isinstance(step, ContainerStep):
        raise TypeError(step)
    found: list[FloatArray] = []
    turn: list[FloatArray] = []

    def pull(inner: Step, after: Slope) -> tuple[Slope, ...]:
        if isinstance(inner, ContainerStep):
            before, logs = _backward(inner, after)
            turn.append(logs)
            return (before,)
        turn.append(np.array([_log_norm(after, inner.signal)]))
        return inner.pull(after)

    for before, more, rate in step.way_back(slope, pull):
        logs = np.concatenate(turn[::-1])
        turn.clear()
        steps = rate * np.arange(more, -1.0, -1.0)
        found.append((steps[:, None] + logs).ravel())
        slope = before
    return slope, np.concatenate(found[::-1])


def _spreads(
    layer: Layer, step: Step, inputs: Sequence[Spread] | None
) -> tuple[Spread | None, FloatArray]:
    """Return the spread after a layer, and `_relative` of every layer that it consists of, (layers,
    columns)."""
    if inputs is None:
        return None, np.full((layer.count, _SPREADS), math.nan)
    if not isinstance(step, ContainerStep):
        after = layer.spread(step, inputs)
        return after, np.array([_relative(after)])
    found: list[FloatArray] = []
    turn: list[FloatArray] = []

    def through(inner: Layer, step: Step, given: Sequence[Spread] | None) -> Spread | None:
        after, rows = _spreads(inner, step, given)
        turn.append(rows)
        return after

    after = None
    for after, more in step.way_of_spreads(inputs[0], through):
        rows = np.concatenate(turn)
        turn.clear()
        found.append(rows)
        if more:
            beyond = np.full_like(rows, math.nan) if after is None else rows
            found.append(np.tile(beyond, (more, 1)))
    return after, np.concatenate(found)


def _relative(spread: Spread | None) -> tuple[float, ...]:
    """Return the columns of `Walk` from `variance` on."""
    if spread is None:
        return (math.nan,) * _SPREADS
    given, mean = spread.given, (math.nan,) * 5
    if spread.average is not None:
        x = spread.average
        mean = x.shift, x.residual, x.variance, x.pair, x.size
    last = (spread.variance, 0.0) if given is None else (given.variance, given.uniform)
    return *spread[:4], *mean, *last


def _numbers(signal: Signal) -> tuple[float, float, float]:
    return float(signal.mean[0]), float(signal.same[0, 0]), float(signal.gap[0, 0])


def _log_norm(slope: Slope, signal: Signal) -> float:
    """Return ln of the squared norm of a gradient, −inf where it is 0."""
    square = float(slope.same[0, 0])
    return slope.log + (math.log(square * signal.shape.units) if square > 0 else square - math.inf)
