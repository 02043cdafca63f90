"""The mean square gradient of every layer, by going back through a trial that went forward.

Nothing of the forward pass is kept but a state every √depth layers; a segment between two of them
is made again when the way back reaches it, so memory grows as √depth.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from snstat.engine.kernels import dense_backward, matrix_free, matrix_free_backward
from snstat.engine.sampling import weight_scale
from snstat.results import STATISTICS, FloatArray

if TYPE_CHECKING:
    from snstat.engine.dense_sampler import DenseSampler
    from snstat.engine.samplers import MatrixFreeSampler

State = npt.NDArray[np.floating]


def free_gradient(sampler: MatrixFreeSampler, number: int) -> FloatArray:
    """Return ln of the mean square gradient of layers 0..depth over that of the last, (depth+1,).

    Layer l ≥ 1: of the pre-activations, layer 0: of the input. NaN where the run is not finite or
    was stopped, −inf where a gradient is 0.
    """
    stack, key, units = sampler.stack, sampler.key, sampler.stack.width
    batch = sampler.inputs.batch
    source = sampler.inputs.sample(number, sampler.seed, sampler.dtype.name)
    result = np.full(stack.depth + 1, math.nan)
    shape = (batch, batch)
    gradient, overlap, cross, own = (np.zeros(shape) for _ in range(4))
    a, b = np.zeros(shape), np.zeros(shape)
    total = 0.0
    above: tuple[Any, ...] = ()
    for layer, gram in states_backward(sampler, number):
        spec = stack.layer(layer)
        square_scale, bias = weight_scale(spec) ** 2, spec.bias_std
        arguments = (square_scale, bias * bias, sampler.orthogonal, spec.fan_in, units, layer)
        matrix = matrix_free.factor(gram, *arguments, number, key, sampler.sample)
        common = (sampler.code, matrix, sampler.orthogonal, bias)
        last = layer == stack.depth
        if not last:
            # What the layer above wants of this one: its noise against these activations.
            matrix_free_backward.noise_tiles(*common, units, layer, number, key, cross, own)
            a, b = matrix_free_backward.coefficients(
                above[0], gradient, overlap, cross, own, *above[1:], layer + 1, number, key
            )
        matrix_free_backward.gradient_tiles(
            *common, last, a.astype(sampler.dtype), b.astype(sampler.dtype), units, layer, number,
            key, gradient, overlap,
        )  # fmt: skip
        total = _normalise(gradient, overlap, units * batch, total)
        result[layer] = total
        # Gram of the layer below as seen from here, for the next step down.
        root = np.zeros(shape)
        if sampler.orthogonal:
            root = matrix_free.frame_root(
                spec.fan_in, units, layer, number, key, sampler.sample, batch
            )
        above = (gram, square_scale, bias * bias, sampler.orthogonal, root)
        if sampler.stop[0]:
            return np.full_like(result, math.nan)
    matrix_free_backward.noise_of_inputs(source, number, key, cross, own)
    a, b = matrix_free_backward.coefficients(
        above[0], gradient, overlap, cross, own, *above[1:], 1, number, key
    )
    square = matrix_free_backward.trace_of_inputs(a, b, above[0], cross, own)
    result[0] = total + _log(square / (source.shape[0] * batch))
    result -= result[-1]
    return result


def _normalise(gradient: FloatArray, overlap: FloatArray, size: int, total: float) -> float:
    """Scale H to mean square 1 and return `total` with the logarithm of what it was."""
    square = float(np.trace(gradient)) / size
    if square > 0 and math.isfinite(square):
        gradient /= square
        overlap /= math.sqrt(square)
    return total + _log(square)


def _log(square: float) -> float:
    return math.log(square) if square > 0 else (-math.inf if square == 0 else math.nan)


def states_backward(sampler: MatrixFreeSampler, number: int) -> Iterator[tuple[int, State]]:
    """Yield (layer, the state of the layer before it) from the last layer to the first.

    A state is what `advance` carries: the Gram matrix of the activations.
    """
    depth = sampler.stack.depth
    step = max(1, math.isqrt(depth))
    scratch = np.empty((step, len(STATISTICS)))
    finite = np.empty(step, np.bool_)
    sampler.begin(number, scratch[0])
    marks = [sampler.states[number].copy()]
    for first in range(1, depth + 1, step):
        count = min(step, depth + 1 - first)
        sampler.advance(number, first, scratch[:count], finite[:count])
        marks.append(sampler.states[number].copy())
    for segment in range(len(marks) - 2, -1, -1):
        first = 1 + segment * step
        sampler.states[number] = marks[segment].copy()
        states = [marks[segment]]
        for layer in range(first, min(first + step, depth + 1) - 1):
            sampler.advance(number, layer, scratch[:1], finite[:1])
            states.append(sampler.states[number].copy())
        for offset in range(len(states) - 1, -1, -1):
            yield first + offset, states[offset]


def dense_gradient(sampler: DenseSampler, number: int) -> FloatArray:
    """Return what `free_gradient` returns, for a network whose weights are drawn again."""
    stack, key, batch = sampler.stack, sampler.key, sampler.inputs.batch
    result = np.full(stack.depth + 1, math.nan)
    h = np.empty((stack.width, batch), sampler.dtype)
    dense_backward.read_out(h, stack.depth, number, key)
    total = 0.0
    for layer, z in _preactivations_backward(sampler, number):
        square = sampler.scale_by_derivative(z, h)
        total += _log(square)
        result[layer] = total
        below = np.zeros((stack.layer(layer).fan_in, batch), sampler.dtype)
        if square > 0:
            sampler.through_weights(number, layer, h, below)
        h = below
    if sampler.stop[0] or not sampler.alive[number]:
        return np.full_like(result, math.nan)
    result[0] = total + _log(dense_backward.sum_of_squares(h) / h.size)
    result -= result[-1]
    return result


def _preactivations_backward(sampler: DenseSampler, number: int) -> Iterator[tuple[int, State]]:
    """Yield (layer, its pre-activations) from the last layer to the first of a finite trial."""
    depth = sampler.stack.depth
    step = max(1, math.isqrt(depth))
    scratch = np.empty((step, len(STATISTICS)))
    finite = np.empty(step, np.bool_)
    sampler.begin(number, scratch[0])
    marks = []
    for first in range(1, depth + 1, step):
        marks.append(sampler.states[number].copy())
        count = min(step, depth + 1 - first)
        sampler.advance(number, first, scratch[:count], finite[:count])
    if not sampler.alive[number]:
        return
    while marks:
        x = marks.pop()
        first = 1 + len(marks) * step
        segment: list[State] = []
        for layer in range(first, min(first + step, depth + 1)):
            if segment:
                x = sampler.activate(segment[-1])
            segment.append(sampler.preactivate(number, layer, x))
            if sampler.stop[0]:
                return
        for offset in range(len(segment) - 1, -1, -1):
            if sampler.stop[0]:
                return
            yield first + offset, segment.pop()
