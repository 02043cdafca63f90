"""The mean square gradients of a matrix-free trial (see kernels/matrix_free_backward.py)."""

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
    """Return ln of the mean square gradient of layers 0..depth over that of the last, (depth+1,).

    Layer l ≥ 1: of the pre-activations, layer 0: of the input. NaN where the run is not finite or
    was stopped, −inf where a gradient is 0. `gradients` (depth + 1, batch, batch) receives H Hᵀ of
    every layer, to a factor.
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
        np.empty(shape, dtype),
        *(np.empty(shape) for _ in range(4)),
    )
    missing = np.full(depth + 1, math.nan)
    steps = missing.copy()
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
            steps,
            np.empty((0, batch, batch)) if gradients is None else gradients,
            verdict,
            sampler.stop,
        )
        if verdict[0] or sampler.stop[0]:
            return missing
    # Each step is against the layer above, the last against the read-out.
    return over_last(np.cumsum(steps[::-1])[::-1])
