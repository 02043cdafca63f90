"""What the ensemble map predicts for every layer of a stack, at infinite width."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from threading import Lock
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from snstat.activation import resolve
from snstat.results import STATISTICS, InputMoments, NormClasses
from snstat.stack import DenseLayer, Stack
from snstat.theory.by_layer import activations_of, by_layer
from snstat.theory.classes import (
    ClassStates,
    PairStates,
    average_of_logs,
    follow_classes,
    follow_pairs,
    pooled,
)
from snstat.theory.dead import dead_fraction
from snstat.theory.dense import DenseStep, dense_step
from snstat.theory.linear import without_noise
from snstat.theory.quadrature import FloatArray

# The steps of deeper stacks are not kept for others.
KEPT = 2**14
# Second moments that differ by less, relatively, are one.
_ONE_SIZE = 1e-9


@dataclass(frozen=True, slots=True, eq=False)
class Prediction:
    """Theory of a stack; every array has shape (depth + 1,), NaN where there is none.

    `statistics` maps each name of `results.STATISTICS` to its values. `pre_second_moment` and
    `misalignment` are q and 1 − c of the pre-activations, `growth` is χ = G²·E[φ'²] of the layer;
    all three are NaN at layer 0. `log_gradient` is the natural logarithm of the squared norm of
    ∂L/∂(layer output) over the same at the last layer.
    `sample_second_moment` (depth + 1, classes) is q of samples by their norm, of which there are
    `shares` (classes,): one class but for data whose samples differ in norm; the last one is then
    the largest sample, counted elsewhere.
    """

    statistics: Mapping[str, FloatArray]
    pre_second_moment: FloatArray
    misalignment: FloatArray
    growth: FloatArray
    log_gradient: FloatArray
    sample_second_moment: FloatArray
    shares: FloatArray


def predict(stack: Stack, batch: int, inputs: InputMoments) -> Prediction:
    """Return what a batch of `batch` samples with the moments `inputs` becomes, layer by layer.

    Evaluation stops once the state repeats to rounding, so that depth costs little. Where the
    signal is no longer a finite number, all further theory is NaN.
    """
    if inputs.norms is not None:
        return _of_classes(stack, batch, inputs, inputs.norms)
    steps, index = _follow(stack, batch, inputs)

    def column(value: Callable[[DenseStep], float], at_input: float = math.nan) -> FloatArray:
        table = np.array([*(value(step) for step in steps), math.nan])
        return np.concatenate([[at_input], table[index]])

    cosine = column(_cosine)
    if batch == 1 or _stays_zero(stack, inputs):
        cosine[:] = math.nan
    variance = column(lambda step: step.moments.variance)
    q, misalignment = column(lambda step: step.pre_second_moment), column(lambda s: s.misalignment)
    columns = {
        "mean": column(_mean),
        "variance": variance,
        "second_moment": column(lambda step: step.second_moment),
        "variance_over_batch": (1.0 - 1.0 / batch) * column(lambda step: step.gap),
        "variance_over_units": variance.copy(),
        "cosine": cosine,
        "kurtosis": column(lambda step: step.moments.kurtosis),
        "dead_fraction": _dead(stack, batch, q, misalignment),
    }
    slopes = column(lambda step: step.moments.derivative_square)[:, None]
    return _prediction(
        stack, inputs, columns, misalignment, q=q[:, None], slopes=slopes, shares=np.ones(1)
    )


def _of_classes(stack: Stack, batch: int, inputs: InputMoments, norms: NormClasses) -> Prediction:
    """Return theory of samples that differ in norm, each class of which goes its own way."""
    states = follow_classes(stack, norms)
    columns = pooled(states, norms.samples, batch)
    unknown = np.full(stack.depth + 1, math.nan)
    pairs = PairStates(unknown, 0.0 * columns["second_moment"], unknown.copy())
    if batch > 1:
        pairs = follow_pairs(stack, norms, states)
    columns["variance_over_batch"] = (1.0 - 1.0 / batch) * pairs.gap
    columns["cosine"] = pairs.cosine
    columns["dead_fraction"] = _dead_of_classes(stack, batch, norms, states, pairs.misalignment)
    return _prediction(
        stack,
        inputs,
        columns,
        pairs.misalignment,
        q=states.q,
        slopes=states.derivative_square,
        shares=states.shares,
    )


def _dead_of_classes(
    stack: Stack, batch: int, norms: NormClasses, states: ClassStates, misalignment: FloatArray
) -> FloatArray:
    """Return the share of dead units of every layer, NaN where it depends on the size of samples:
    unless flat parts are half-lines from 0, or all samples have one size."""
    counted = states.q[:, states.shares > 0]
    low, high = counted.min(axis=1), counted.max(axis=1)
    q = states.q @ states.shares
    # At 0 ReLU is flat: a sample of zeros kills no unit and saves none.
    zeros = norms.count[0] if norms.second_moment[0] == 0 else 0
    dead = _dead(stack, batch, q, misalignment)
    if zeros and batch == norms.samples:
        dead = np.where(low == 0, _dead(stack, max(batch - zeros, 1), q, misalignment), dead)
    for name, layers in activations_of(stack):
        activation = resolve(name)
        flat = activation.flat
        scale_free = all(abs(end) in {0.0, math.inf} for part in flat for end in part)
        at_rest = float(activation.derivative(np.zeros(()))) == 0
        usable = (low[layers] > 0) | (at_rest and batch == norms.samples)
        one_size = high[layers] - low[layers] <= _ONE_SIZE * high[layers]
        known = not flat or (one_size | (scale_free & usable))
        dead[layers] = np.where(known, dead[layers], math.nan)
    return dead


def _prediction(
    stack: Stack,
    inputs: InputMoments,
    columns: Mapping[str, FloatArray],
    misalignment: FloatArray,
    *,
    q: FloatArray,
    slopes: FloatArray,
    shares: FloatArray,
) -> Prediction:
    """Return the record of what is known of layers 1 and on; q and E[φ'²] are (depth + 1,
    classes)."""
    for name, column in columns.items():
        if name != "dead_fraction" and not (name == "cosine" and np.isnan(column).all()):
            column[0] = inputs[name]
    growth = by_layer(stack, lambda layer: layer.square_gain) * (slopes @ shares)
    return Prediction(
        MappingProxyType({name: columns[name] for name in STATISTICS}),
        q @ shares,
        misalignment,
        growth,
        _log_gradient(stack, slopes, shares),
        q,
        shares,
    )


def _follow(
    stack: Stack, batch: int, inputs: InputMoments
) -> tuple[list[DenseStep], npt.NDArray[np.intp]]:
    """Return the steps that differ, and which of them is that of layers 1..depth, (depth,): −1
    from where the state overflows on."""
    begin = _begin if stack.depth <= KEPT else _Chain
    state = (inputs.second_moment, _input_gap(batch, inputs), inputs.silent)
    found: list[DenseStep] = []
    index = np.full(stack.depth, -1)
    for first, count, layer in stack.segments():
        steps, settled = begin(layer, *state).until(count)
        known = count if settled else len(steps)
        places = np.minimum(np.arange(known), len(steps) - 1)
        index[first - 1 : first - 1 + known] = len(found) + places
        found += steps
        if known < count:
            break
        last = steps[-1]
        state = (last.second_moment, last.gap, last.silent)
    return found, index


class _Chain:
    """The steps of equal layers, as far as anybody asked for them, in whatever thread."""

    def __init__(
        self,
        layer: DenseLayer,
        second_moment: float,
        gap: float,
        silent: bool,  # noqa: FBT001  # a key of a cache
    ) -> None:
        self._layer = layer
        self._input = second_moment, gap, silent
        self._steps: list[DenseStep] = []
        self._settled: bool | None = None  # None: not at the end yet
        self._lock = Lock()

    def until(self, depth: int) -> tuple[list[DenseStep], bool]:
        """Return the steps up to `depth` layers, and whether the state repeats before that."""
        with self._lock:
            while len(self._steps) < depth and self._settled is None:
                self._advance()
            return self._steps[:depth], len(self._steps) < depth and bool(self._settled)

    def _advance(self) -> None:
        """Add a step, which is one change of state: an interrupt leaves all or nothing of it."""
        steps = self._steps
        previous = steps[-1] if steps else None
        state = self._input
        if previous is not None:
            state = (previous.second_moment, previous.gap, previous.silent)
        second_moment, gap, silent = state
        step = dense_step(self._layer, second_moment, gap, previous, silent=silent)
        if step is None:
            self._settled = False
        elif step is previous:
            self._settled = True
        else:
            steps.append(step)


# Stacks that differ in depth only begin alike.
_begin = lru_cache(maxsize=64)(_Chain)


def _input_gap(batch: int, inputs: InputMoments) -> float:
    """Return E[x²] − E[x x'] of the input, from the statistic that resolves it best."""
    if batch == 1:
        return 0.0
    from_variance = inputs.variance_over_batch * batch / (batch - 1)
    if math.isnan(inputs.cosine):  # a sample is 0, which has a product with others, but no angle
        return 0.0 if math.isnan(from_variance) else from_variance
    from_cosine = inputs.second_moment * (1.0 - inputs.cosine)
    # Equal unless samples differ in length, up to the rounding of a cosine near 1.
    rounding = 1e-12 * inputs.second_moment
    return from_variance if abs(from_cosine - from_variance) <= rounding else from_cosine


def _stays_zero(stack: Stack, inputs: InputMoments) -> bool:
    """Return whether a sample is 0 in every layer: without biases, where φ(0) = 0."""
    at_rest = float(resolve(stack.activation).function(np.zeros(())))
    return math.isnan(inputs.cosine) and stack.layer(1).bias_std == 0 and at_rest == 0


def _mean(step: DenseStep) -> float:
    return without_noise(step.moments.mean, math.sqrt(step.second_moment))


def _cosine(step: DenseStep) -> float:
    total = step.second_moment
    return without_noise(1.0 - step.gap / total, 1.0) if total > 0 else math.nan


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

    They are γ_{l−1} = W_lᵀ (φ'(z_l) ∘ γ_l), so that g_{l−1} = G_l² E[φ'(z_l)²] g_l for one sample,
    whatever the widths. `derivative_square` is (depth + 1, classes): g is the average over them.
    """
    square_gain = by_layer(stack, lambda layer: layer.square_gain)
    own = np.zeros_like(derivative_square)  # ln g of each class
    with np.errstate(divide="ignore", invalid="ignore"):
        factors = np.log(derivative_square[1:]) + np.log(square_gain[1:, None])
    own[:-1] = np.cumsum(factors[::-1], axis=0)[::-1]
    return average_of_logs(own, shares)
