"""The squared gradients of a matrix-free trial; see kernels/matrix_free_backward.py."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from snstat.engine.kernels import matrix_free_backward
from snstat.engine.kernels.gradient_tiles import KEPT
from snstat.engine.sampler import over_last
from snstat.engine.sampling import weight_scale
from snstat.results import FloatArray

if TYPE_CHECKING:
    from snstat.engine.matrix_free.sampler import MatrixFreeSampler
    from snstat.network.stack import Stretch


def free_gradient(
    sampler: MatrixFreeSampler, number: int, gradients: FloatArray | None = None
) -> FloatArray:
    """Return ln of the squared norm of ∂L/∂(layer output) over that of the last, (depth + 1,).

    L is a linear read-out of the last layer, with one normal weight for each unit and sample. The
    result is NaN where the run is not finite or was stopped, and −inf where a gradient is 0.
    `gradients` (depth + 1, batch, batch) receives H Hᵀ of H = ∂L/∂(pre-activation) of every layer,
    or of ∂L/∂(input) at layer 0, up to a factor.
    """
    stack, batch, depth = sampler.stack, sampler.batch, sampler.stack.depth
    source = sampler.inputs.sample(number, sampler.seed, sampler.dtype.name)
    state = (
        np.zeros((3, batch, batch), sampler.dtype),
        np.zeros((5, batch, batch)),
        np.zeros((batch, batch)),
        np.zeros((2, batch, batch)) if sampler.orthogonal else None,
        np.empty(batch),
    )
    missing = np.full(depth + 1, math.nan)
    result = np.full((matrix_free_backward.RESULTS, depth + 1), math.nan)
    verdict = np.zeros(1, np.uint8)
    for first, factors in sampler.history(number):
        if not sampler.alive[number]:
            return missing
        for stretch in reversed(list(stack.stretches(first, len(factors)))):
            begin, above = stretch.first - first, stack.layer(stretch.first + stretch.count)
            layers = (stretch.leading, stretch.later, above)
            sampler.together(
                matrix_free_backward.backward,
                sampler.codes[stretch.later.activation],
                stretch.first,
                factors[begin : begin + stretch.count],
                source,
                np.array([stretch.leading.fan_in, stretch.later.fan_out, above.fan_out]),
                depth,
                np.array([weight_scale(layer) ** 2 for layer in layers]),
                np.array([layer.bias_std**2 for layer in layers]),
                number,
                sampler.key,
                *state,
                *_scratch(sampler, stretch, above.fan_out),
                result,
                np.empty((0, batch, batch)) if gradients is None else gradients,
                verdict,
                sampler.stop,
            )
            if verdict[0] or sampler.stop[0]:
                return missing
    steps = result[matrix_free_backward.STEP]
    outputs = result[matrix_free_backward.OUTPUT]
    # Both are relative to H of the layer above.
    outputs[:-1] += np.cumsum(steps[:0:-1])[::-1]
    return over_last(outputs)


def _scratch(sampler: MatrixFreeSampler, stretch: Stretch, units_above: int) -> tuple[Any, ...]:
    """Return the scratch of `matrix_free_backward.backward` whose size depends on the widths."""
    batch, members, dtype = sampler.batch, sampler.members, sampler.dtype
    tile, shape = sampler.tile_of(stretch.later), (members, batch, batch)
    # The noise of an orthogonal layer that is not square has the larger of its two dimensions.
    units = max(stretch.later.fan_out, units_above)
    if stretch.first == 1:
        units = max(units, stretch.leading.fan_in)
    tiles = max(members, -(-units // tile))
    return (
        np.zeros((KEPT, tiles, batch, tile), dtype),
        np.empty((tiles, tile), dtype),
        np.empty((members, batch, tile), dtype),
        np.empty((members, 2, batch, tile)),
        np.empty(members),
        np.empty(shape, dtype),
        *(np.empty(shape) for _ in range(4)),
    )
