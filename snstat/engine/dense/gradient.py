"""The squared gradient of every layer, from a backward pass through a finished trial.

The forward pass keeps a state every √depth layers. The segment between two states is computed again
when the backward pass reaches it, so memory grows as √depth.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from snstat.engine.kernels import dense_backward
from snstat.engine.sampler import over_last
from snstat.results import MEASURED, FloatArray

if TYPE_CHECKING:
    from snstat.engine.dense.sampler import DenseSampler

State = npt.NDArray[np.floating]


def _log(square: float) -> float:
    return math.log(square) if square > 0 else (-math.inf if square == 0 else math.nan)


def dense_gradient(
    sampler: DenseSampler, number: int, gradients: FloatArray | None = None
) -> FloatArray:
    """Return ln of the squared norm of ∂L/∂(layer output) over that of the last, (depth + 1,).

    L is a linear read-out of the last layer, with one normal weight for each unit and sample. The
    result is NaN where the run is not finite or was stopped, and −inf where a gradient is 0.
    Weights are drawn again from their counters. `gradients` (depth + 1, batch, batch) receives H Hᵀ
    of H = ∂L/∂(pre-activation) of every layer, or of ∂L/∂(input) at layer 0, up to a factor.
    """
    stack, key, batch = sampler.stack, sampler.key, sampler.inputs.batch
    result = np.full(stack.depth + 1, math.nan)
    h = np.empty((stack.width_of(stack.depth), batch), sampler.dtype)
    dense_backward.read_out(h, stack.depth, number, key)
    total = 0.0
    for layer, z in _preactivations_backward(sampler, number):
        of_output, square = sampler.scale_by_derivative(layer, z, h)
        result[layer] = total + _log(of_output)
        total += _log(square)
        _square(h, gradients, layer)
        below = np.zeros((stack.layer(layer).fan_in, batch), sampler.dtype)
        if square > 0:
            sampler.through_weights(number, layer, h, below)
        h = below
    if sampler.stop[0] or not sampler.alive[number]:
        return np.full_like(result, math.nan)
    _square(h, gradients, 0)
    result[0] = total + _log(dense_backward.sum_of_squares(h))
    return over_last(result)


def _square(h: State, gradients: FloatArray | None, layer: int) -> None:
    """Write H Hᵀ for `h` (units, batch) to the entry of a layer."""
    if gradients is not None:
        wide = h.astype(np.float64)
        np.dot(wide.T, wide, gradients[layer])


def _preactivations_backward(sampler: DenseSampler, number: int) -> Iterator[tuple[int, State]]:
    """Yield (layer, its pre-activations) from the last layer to the first of a finite trial."""
    depth = sampler.stack.depth
    step = max(1, math.isqrt(depth))
    scratch = np.empty((step, len(MEASURED)))
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
                x = sampler.activate(layer - 1, segment[-1])
            segment.append(sampler.preactivate(number, layer, x))
            if sampler.stop[0]:
                return
        for offset in range(len(segment) - 1, -1, -1):
            if sampler.stop[0]:
                return
            yield first + offset, segment.pop()
