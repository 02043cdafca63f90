"""The squared gradients of a matrix-free trial (see kernels/matrix_free_backward.py)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from snstat.engine.kernels import matrix_free_backward
from snstat.engine.kernels.gradient_tiles import KEPT
from snstat.engine.sampler import over_last
from snstat.engine.sampling import weight_scale
from snstat.results import FloatArray

if TYPE_CHECKING:
    from snstat.engine.free_sampler import MatrixFreeSampler


def free_gradient(
    sampler: MatrixFreeSampler, number: int, gradients: FloatArray | None = None
) -> FloatArray:
    """Return ln of the squared norm of ∂L/∂(layer output) over that of the last, (depth + 1,).

    L is a linear read-out of the last layer, with one normal for each unit and sample. NaN where
    the run is not finite or was stopped, −inf where a gradient is 0. `gradients` (depth + 1, batch,
    batch) receives H Hᵀ of H = ∂L/∂(pre-activation) of every layer, at layer 0 of the input, to a
    factor.
    """
    stack, batch, members = sampler.stack, sampler.batch, sampler.members
    tile = sampler.tile_of(stack.square)
    depth, units, dtype = stack.depth, stack.width, sampler.dtype
    source = sampler.inputs.sample(number, sampler.seed, dtype.name)
    layers = stack.layer(1), stack.layer(2)
    shape = (members, batch, batch)
    # An orthogonal layer of unequal sides has noise in the larger of the two.
    tiles = max(members, -(-max(units, source.shape[0]) // tile))
    matrices, small = np.zeros((3, batch, batch), dtype), np.zeros((5, batch, batch))
    scratch = (
        np.zeros((batch, batch)),
        np.zeros((2, batch, batch)) if sampler.orthogonal else None,
        np.empty(batch),
        np.zeros((KEPT, tiles, batch, tile), dtype),
        np.empty((tiles, tile), dtype),
        np.empty((members, batch, tile), dtype),
        np.empty((members, 2, batch, tile)),
        np.empty(members),
        np.empty(shape, dtype),
        *(np.empty(shape) for _ in range(4)),
    )
    missing = np.full(depth + 1, math.nan)
    result = np.full((matrix_free_backward.RESULTS, depth + 1), math.nan)
    verdict = np.zeros(1, np.uint8)
    for first, factors in sampler.history(number):
        if not sampler.alive[number]:
            return missing
        sampler.together(
            matrix_free_backward.backward,
            sampler.codes[stack.activation],
            first,
            factors,
            source,
            units,
            depth,
            np.array([weight_scale(layer) ** 2 for layer in layers]),
            np.array([layer.bias_std**2 for layer in layers]),
            number,
            sampler.key,
            matrices,
            small,
            *scratch,
            result,
            np.empty((0, batch, batch)) if gradients is None else gradients,
            verdict,
            sampler.stop,
        )
        if verdict[0] or sampler.stop[0]:
            return missing
    steps = result[matrix_free_backward.STEP]
    outputs = result[matrix_free_backward.OUTPUT]
    # Both are over H of the layer above.
    outputs[:-1] += np.cumsum(steps[:0:-1])[::-1]
    return over_last(outputs)
