"""The squared gradients of matrix-free trials; see kernels/matrix_free_backward.py."""

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


def matrix_free_gradients(
    sampler: MatrixFreeSampler, trials: range, gradients: FloatArray | None = None
) -> FloatArray:
    """Return ln of the squared norm of ∂L/∂(layer output) over that of the last, (trials,
    depth + 1).

    L is a linear read-out of the last layer, with one normal weight for each unit and sample. The
    result is NaN where the run is not finite or was stopped, and −inf where a gradient is 0.
    `gradients` (trials, depth + 1, batch, batch) receives H Hᵀ of H = ∂L/∂(pre-activation) of every
    layer, or of ∂L/∂(input) at layer 0, up to a factor.
    """
    if gradients is None:
        gradients = np.empty((len(trials), 0, sampler.batch, sampler.batch))
    step = sampler.back_at_once()
    parts = [slice(begin, begin + step) for begin in range(0, len(trials), step)]
    return np.concatenate([_go_back(sampler, trials[part], gradients[part]) for part in parts])


def _go_back(sampler: MatrixFreeSampler, trials: range, gradients: FloatArray) -> FloatArray:
    """Do the same for trials that share the calls of the kernel."""
    stack, batch, depth = sampler.stack, sampler.batch, sampler.stack.depth
    sources = [sampler.inputs.sample(t, sampler.seed, sampler.dtype.name) for t in trials]
    source = sources[0][None] if len(sources) == 1 else np.stack(sources)
    carried = kernel.Carried(*(np.zeros((batch, batch)) for _ in range(3)))
    found = kernel.Found(
        logarithms=np.full((len(trials), kernel.RESULTS, depth + 1), math.nan),
        gradients=gradients,
        verdict=(~sampler.alive[trials.start : trials.stop]).astype(np.uint8),
    )
    roots = np.zeros((2, batch, batch)) if sampler.orthogonal else None
    for first, factors in sampler.history(trials):
        for stretch in reversed(list(stack.stretches(first, factors.shape[1]))):
            begin, above = stretch.first - first, stack.layer(stretch.first + stretch.count)
            sampler.together(
                kernel.backward,
                sampler.layers(stretch),
                matrix_free_layer(above),
                sampler.draw(trials.start, stretch.first),
                kernel.Trace(source, factors[:, begin : begin + stretch.count]),
                carried,
                found,
                _workspace(sampler, stretch, above.fan_out, roots),
            )
            if sampler.stop[0]:
                return np.full((len(trials), depth + 1), math.nan)
    steps, outputs = found.logarithms[:, kernel.STEP], found.logarithms[:, kernel.OUTPUT]
    # Both are relative to H of the layer above.
    outputs[:, :-1] += np.cumsum(steps[:, :0:-1], axis=1)[:, ::-1]
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
