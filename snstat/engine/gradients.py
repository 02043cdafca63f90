"""The mean square gradient of every layer, by going back through a trial that went forward.

Nothing of the forward pass is kept but a state every √depth layers; a segment between two of them
is made again when the way back reaches it, so memory grows as √depth.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from snstat.engine.kernels import dense_backward
from snstat.engine.sampling import tile_rows, weight_scale
from snstat.results import STATISTICS, FloatArray

if TYPE_CHECKING:
    from snstat.engine.dense_sampler import DenseSampler

State = npt.NDArray[np.floating]


def _log(square: float) -> float:
    return math.log(square) if square > 0 else (-math.inf if square == 0 else math.nan)


def states_backward(sampler: DenseSampler, number: int) -> Iterator[tuple[int, State]]:
    """Yield (layer, the state of the layer before it) from the last layer to the first.

    A state is what `advance` carries: activations (units, batch), or their Gram matrix.
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
    """Return ln of the mean square gradient of layers 0..depth over that of the last, (depth+1,).

    Layer l ≥ 1: of the pre-activations, layer 0: of the input. NaN where the run is not finite or
    was stopped, −inf where a gradient is 0. Weights are drawn again from their counters.
    """
    stack, key, batch = sampler.stack, sampler.key, sampler.inputs.batch
    width = stack.width
    result = np.full(stack.depth + 1, math.nan)
    fan_in = max(width, stack.input_width)
    drawn = stack.layer(1).distribution != "orthogonal"
    tile = np.empty(tile_rows(fan_in, width) * fan_in if drawn else 0, sampler.dtype)
    h = np.empty((width, batch), sampler.dtype)
    z = np.empty_like(h)
    total = 0.0
    for layer, x in states_backward(sampler, number):
        spec = stack.layer(layer)
        if layer == stack.depth:
            dense_backward.read_out(h, layer, number, key)
        distribution = sampler.distributions[spec.distribution]
        scale = weight_scale(spec)
        uniform_bias = spec.bias_distribution == "uniform"
        dense_backward.preactivations(
            distribution, x, z, tile, scale, spec.bias_std, uniform_bias, layer, number, key,
            sampler.stop,
        )  # fmt: skip
        square = dense_backward.into_preactivations(sampler.code, z, h)
        total += _log(square)
        result[layer] = total
        below = np.zeros_like(x)
        if square > 0:
            dense_backward.through_weights(
                distribution, h, below, tile, scale, layer, number, key, sampler.stop
            )
        h = below
        if sampler.stop[0]:
            return np.full_like(result, math.nan)
    result[0] = total + _log(dense_backward.mean_square(h))
    result -= result[-1]
    return result
