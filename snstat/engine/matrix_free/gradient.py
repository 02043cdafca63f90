"""The squared gradients of a matrix-free trial; see kernels/matrix_free_backward.py."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from snstat.engine.kernels import matrix_free_backward as kernel
from snstat.engine.kernels.gradient_tiles import Coefficients, Kept, Products, Workspace
from snstat.engine.matrix_free.sampler import matrix_free_layer
from snstat.engine.sampler import over_last
from snstat.results import FloatArray

if TYPE_CHECKING:
    from snstat.engine.matrix_free.sampler import MatrixFreeSampler
    from snstat.network.stack import Stretch


def matrix_free_gradient(
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
    carried = kernel.Carried(*(np.zeros((batch, batch)) for _ in range(3)))
    found = kernel.Found(
        logarithms=np.full((kernel.RESULTS, depth + 1), math.nan),
        gradients=np.empty((0, batch, batch)) if gradients is None else gradients,
        verdict=np.zeros(1, np.uint8),
    )
    roots = np.zeros((2, batch, batch)) if sampler.orthogonal else None
    missing = np.full(depth + 1, math.nan)
    for first, factors in sampler.history(number):
        if not sampler.alive[number]:
            return missing
        for stretch in reversed(list(stack.stretches(first, len(factors)))):
            begin, above = stretch.first - first, stack.layer(stretch.first + stretch.count)
            sampler.together(
                kernel.backward,
                sampler.layers(stretch),
                matrix_free_layer(above),
                sampler.draw(number, stretch.first),
                kernel.Trace(source, factors[begin : begin + stretch.count]),
                carried,
                found,
                _workspace(sampler, stretch, above.fan_out, roots),
            )
            if found.verdict[0] or sampler.stop[0]:
                return missing
    steps, outputs = found.logarithms[kernel.STEP], found.logarithms[kernel.OUTPUT]
    # Both are relative to H of the layer above.
    outputs[:-1] += np.cumsum(steps[:0:-1])[::-1]
    return over_last(outputs)


def _workspace(
    sampler: MatrixFreeSampler, stretch: Stretch, units_above: int, roots: FloatArray | None
) -> Workspace:
    """Return scratch for a stretch; `roots` are shared by all stretches."""
    batch, members, dtype = sampler.batch, sampler.members, sampler.dtype
    tile, square = sampler.tile_of(stretch.later), (batch, batch)
    # The noise of an orthogonal layer that is not square has the larger of its two dimensions.
    units = max(stretch.later.fan_out, units_above)
    if stretch.first == 1:
        units = max(units, stretch.leading.fan_in)
    tiles = max(members, -(-units // tile))
    normals, preactivations, activations, noise = np.zeros((4, tiles, batch, tile), dtype)
    return Workspace(
        matrix=np.zeros(square, dtype),
        roots=roots,
        coefficients=Coefficients(
            np.zeros(square, dtype), np.zeros(square, dtype), np.zeros(square), np.empty(batch)
        ),
        spread=np.zeros(square),
        projected=np.zeros(square),
        kept=Kept(normals, preactivations, activations, noise, np.empty((tiles, tile), dtype)),
        products=Products(*(np.empty((members, batch, batch)) for _ in range(4))),
        tiles=np.empty((members, batch, tile), dtype),
        product=np.empty((members, batch, batch), dtype),
        wide=np.empty((members, 2, batch, tile)),
        norms=np.empty(members),
    )
