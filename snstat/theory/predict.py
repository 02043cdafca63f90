"""The prediction of the ensemble map for every layer of a stack, at infinite width."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from snstat.activation import resolve
from snstat.gaussian.dead import dead_fraction
from snstat.gaussian.quadrature import FloatArray
from snstat.gaussian.rounding import without_noise
from snstat.layers.dense_layer import DenseStep
from snstat.layers.gaussian_inputs import LEAST_SQUARE
from snstat.network.stack import Stack
from snstat.results import InputMoments
from snstat.theory.by_layer import activations_of, by_layer
from snstat.theory.chain import Chain, begin
from snstat.theory.prediction import PairStates, Prediction, Statistics
from snstat.theory.saturation import saturated_by_layer

if TYPE_CHECKING:
    from snstat.results import NormClasses
    from snstat.theory.classes import ClassStates

# Second moments with a relative difference below this count as equal.
_ONE_SIZE = 1e-9


def predict(stack: Stack, batch: int, inputs: InputMoments) -> Prediction:
    """Return the statistics of `batch` samples with the moments `inputs`, layer by layer.

    Evaluation stops when the state repeats to rounding, so depth costs little. From the layer where
    the signal is no longer finite, all theory is NaN.
    """
    if inputs.norms is not None:
        return _of_classes(stack, batch, inputs, inputs.norms)
    chains = _chains(stack, inputs)
    steps, index = _sizes(stack, chains)

    def column(value: Callable[[DenseStep], float]) -> FloatArray:
        table = np.array([math.nan, *(value(step) for step in steps)])
        return table[index]

    @cache
    def pairs() -> PairStates:
        return _pairs(stack, chains, input_gap(batch, inputs))

    q, variance = column(lambda step: step.pre_second_moment), column(lambda s: s.moments.variance)
    columns = {
        "mean": column(_mean),
        "variance": variance,
        "second_moment": column(lambda step: step.second_moment),
        "variance_over_units": variance.copy(),
        "kurtosis": column(lambda step: step.moments.kurtosis),
    }

    alone = batch == 1 or _stays_zero(stack, inputs)
    # For other activations the dead fraction needs no pairs: it is 0.
    flat = any(resolve(name).flat for name, _ in activations_of(stack))
    later: dict[str, Callable[[], FloatArray]] = {
        "variance_over_batch": lambda: (1.0 - 1.0 / batch) * pairs().gap,
        "cosine": lambda: pairs().cosine * (math.nan if alone else 1.0),
        "dead_fraction": lambda: _dead(stack, batch, q, pairs().misalignment if flat else 0.0 * q),
    }
    slopes = column(lambda step: step.moments.derivative_square)[:, None]
    later |= _of_samples(stack, inputs, q[:, None], np.ones(1))
    return _prediction(
        stack,
        Statistics(inputs, columns, later),
        pairs,
        q=q[:, None],
        slopes=slopes,
        shares=np.ones(1),
    )


def _of_classes(stack: Stack, batch: int, inputs: InputMoments, norms: NormClasses) -> Prediction:
    """Return the theory of samples that differ in norm, with each class computed separately."""
    # Only data have such samples.
    from snstat.theory.classes import follow_classes, follow_pairs, pooled

    states = follow_classes(stack, norms)
    columns = pooled(states, norms.samples, batch)

    @cache
    def pairs() -> PairStates:
        if batch > 1:
            return follow_pairs(stack, norms, states)
        unknown = np.full(stack.depth + 1, math.nan)
        return PairStates(unknown, 0.0 * columns["second_moment"], unknown.copy())

    later: dict[str, Callable[[], FloatArray]] = {
        "variance_over_batch": lambda: (1.0 - 1.0 / batch) * pairs().gap,
        "cosine": lambda: 1.0 * pairs().cosine,
        "dead_fraction": lambda: _dead_of_classes(
            stack, batch, norms, states, pairs().misalignment
        ),
    }
    later |= _of_samples(stack, inputs, states.q, states.shares)
    return _prediction(
        stack,
        Statistics(inputs, columns, later),
        pairs,
        q=states.q,
        slopes=states.derivative_square,
        shares=states.shares,
    )


def _of_samples(
    stack: Stack, inputs: InputMoments, q: FloatArray, shares: FloatArray
) -> dict[str, Callable[[], FloatArray]]:
    """Return the shares of saturated units and of samples that are 0; q is (depth + 1, classes)."""
    norms, zeros = inputs.norms, float(inputs.silent)
    if norms is not None and norms.second_moment[0] == 0:
        zeros = norms.count[0] / norms.samples

    def zero_samples() -> FloatArray:
        share = np.full(stack.depth + 1, zeros)
        biases = by_layer(stack, lambda layer: layer.bias_std, 0.0)
        # Weights of exactly 0 are those of all layers.
        no_weights = stack.repeated.square_gain == 0
        if no_weights:
            share[1:] = biases[1:] == 0
        for name, layers in activations_of(stack):
            if float(resolve(name).function(np.zeros(()))) != 0:
                share[layers] = 0.0
        if not no_weights:
            # A sample that is no longer 0 does not return to 0.
            share[np.cumsum((share == 0) | (biases > 0)) > 0] = 0.0
        return share

    return {
        "saturated_fraction": lambda: saturated_by_layer(stack, q, shares),
        "zero_samples": zero_samples,
    }


def _dead_of_classes(
    stack: Stack, batch: int, norms: NormClasses, states: ClassStates, misalignment: FloatArray
) -> FloatArray:
    """Return the share of dead units of every layer, NaN where it depends on the size of samples:
    unless flat parts are half-lines from 0, or all samples have the same size."""
    counted = states.q[:, states.shares > 0]
    low, high = counted.min(axis=1), counted.max(axis=1)
    q = states.q @ states.shares
    # ReLU is flat at 0, so a sample of zeros does not change whether a unit is dead.
    zeros = norms.count[0] if norms.second_moment[0] == 0 else 0
    # Where the square of another sample is so small that it loses digits, its angles are lost.
    seen = counted[:, bool(zeros) :].min(axis=1, initial=math.inf) >= LEAST_SQUARE
    dead = _dead(stack, batch, q, misalignment)
    if zeros and batch == norms.samples:
        dead = np.where(low == 0, _dead(stack, max(batch - zeros, 1), q, misalignment), dead)
    for name, layers in activations_of(stack):
        activation = resolve(name)
        flat = activation.flat
        scale_free = all(abs(end) in {0.0, math.inf} for part in flat for end in part)
        at_rest = float(activation.derivative(np.zeros(()))) == 0
        usable = seen[layers] & ((low[layers] > 0) | (at_rest and batch == norms.samples))
        one_size = high[layers] - low[layers] <= _ONE_SIZE * high[layers]
        known = not flat or (one_size | (scale_free & usable))
        dead[layers] = np.where(known, dead[layers], math.nan)
    return dead


def _prediction(
    stack: Stack,
    statistics: Statistics,
    pairs: Callable[[], PairStates],
    *,
    q: FloatArray,
    slopes: FloatArray,
    shares: FloatArray,
) -> Prediction:
    """Return the record of the known values; q and E[φ'²] are (depth + 1, classes)."""
    growth = by_layer(stack, lambda layer: layer.square_gain) * (slopes @ shares)
    logs = _log_gradient(stack, slopes, shares)
    return Prediction(statistics, q @ shares, pairs, growth, logs, q, shares)


def _chains(stack: Stack, inputs: InputMoments) -> list[tuple[int, int, Chain]]:
    """Return (first layer, layers, chain) of equal layers, as far as the state is finite."""
    second_moment, silent = inputs.second_moment, inputs.silent
    found = []
    for first, count, layer in stack.equal_layers():
        chain = begin(layer, second_moment, silent=silent, depth=stack.depth)
        found.append((first, count, chain))
        steps, settled = chain.until(count)
        if not settled and len(steps) < count:
            break
        second_moment, silent = steps[-1].second_moment, steps[-1].silent
    return found


def _sizes(
    stack: Stack, chains: list[tuple[int, int, Chain]]
) -> tuple[list[DenseStep], npt.NDArray[np.intp]]:
    """Return the distinct steps, and for layers 0..depth the number of its step, (depth + 1,).

    Steps are counted from 1. The number is 0 at the input and from where the state overflows.
    """
    found: list[DenseStep] = []
    index = np.zeros(stack.depth + 1, dtype=np.intp)
    for first, count, chain in chains:
        steps, settled = chain.until(count)
        known = count if settled else len(steps)
        places = np.minimum(np.arange(known), len(steps) - 1)
        index[first : first + known] = 1 + len(found) + places
        found += steps
    return found, index


def _pairs(stack: Stack, chains: list[tuple[int, int, Chain]], gap: float) -> PairStates:
    """Return the states of two samples with this `gap` at the input."""
    columns = np.full((3, stack.depth + 1), math.nan)
    for first, count, chain in chains:
        steps = chain.pairs(gap).until(count)
        sizes, settled = chain.until(count)
        if not steps:
            break
        known = count if settled else len(sizes)
        places = np.minimum(np.arange(known), len(steps) - 1)
        table = np.array([(step.misalignment, step.gap, step.cosine) for step in steps])
        columns[:, first : first + known] = table[places].T
        gap = steps[-1].gap
    return PairStates(*columns)


def input_gap(batch: int, inputs: InputMoments) -> float:
    """Return E[x²] − E[x x'] of the input, from the statistic that resolves it best."""
    if batch == 1:
        return 0.0
    from_variance = inputs.variance_over_batch * batch / (batch - 1)
    if math.isnan(inputs.cosine):  # a sample of zeros has products with others, but no angle
        return 0.0 if math.isnan(from_variance) else from_variance
    from_cosine = inputs.second_moment * (1.0 - inputs.cosine)
    # Equal if samples have equal norm, up to the rounding of a cosine near 1.
    rounding = 1e-12 * inputs.second_moment
    return from_variance if abs(from_cosine - from_variance) <= rounding else from_cosine


def _stays_zero(stack: Stack, inputs: InputMoments) -> bool:
    """Return whether a sample is 0 in every layer: without biases, where φ(0) = 0."""
    first = stack.layer(1)
    at_rest = float(resolve(first.activation).function(np.zeros(())))
    return math.isnan(inputs.cosine) and first.bias_std == 0 and at_rest == 0


def _mean(step: DenseStep) -> float:
    if step.second_moment < LEAST_SQUARE and not step.silent:  # of a square that underflows
        return math.nan
    return without_noise(step.moments.mean, math.sqrt(step.second_moment))


def _dead(stack: Stack, batch: int, q: FloatArray, misalignment: FloatArray) -> FloatArray:
    dead = np.full(q.size, math.nan)
    for name, part in activations_of(stack):
        known = part.start + np.flatnonzero(np.isfinite(q[part]))
        if known.size:
            found = dead_fraction(resolve(name), q[known], misalignment[known], batch)
            dead[known] = found
    return dead


def _log_gradient(stack: Stack, derivative_square: FloatArray, shares: FloatArray) -> FloatArray:
    """Return ln(g_l/g_depth) of the squared norms g of the gradients of layer outputs.

    The gradients are γ_{l−1} = W_lᵀ (φ'(z_l) ∘ γ_l), so g_{l−1} = G_l² E[φ'(z_l)²] g_l for one
    sample at any width. `derivative_square` is (depth + 1, classes) and g is the average over them.
    """
    square_gain = by_layer(stack, lambda layer: layer.square_gain)
    own = np.zeros_like(derivative_square)  # ln g of each class
    with np.errstate(divide="ignore", invalid="ignore"):
        factors = np.log(derivative_square[1:]) + np.log(square_gain[1:, None])
    own[:-1] = np.cumsum(factors[::-1], axis=0)[::-1]
    return _average_of_logs(own, shares)


def _average_of_logs(logs: FloatArray, shares: FloatArray) -> FloatArray:
    """Return ln Σ share·e^log of logs (layers, classes) without overflow."""
    counted = shares > 0
    with np.errstate(invalid="ignore"):
        most = logs[:, counted].max(axis=1)
        base = np.where(np.isfinite(most), most, 0.0)
        total = np.exp(logs[:, counted] - base[:, None]) @ shares[counted]
    with np.errstate(divide="ignore"):
        result: FloatArray = base + np.log(total)
    return result
