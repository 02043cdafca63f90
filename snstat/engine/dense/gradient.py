"""The squared gradient of every layer, from a backward pass through a finished trial.

It needs the pre-activations of every layer: those that the forward pass has kept, or segments of
√depth layers that are computed again; see DenseSampler.history.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from snstat.engine.dense.sampler import DenseSampler
from snstat.engine.dense.way import Way
from snstat.engine.history import State
from snstat.network.stack import Stretch
from snstat.results import FloatArray


def dense_gradient(
    sampler: DenseSampler, number: int, gradients: FloatArray | None = None
) -> FloatArray:
    """Return ln of the squared norm of ∂L/∂(layer output) over that of the last, (depth + 1,).

    L is a linear read-out of the last layer, with one normal weight for each unit and sample. The
    result is NaN where the run is not finite or was stopped, and −inf where a gradient is 0.
    Weights are drawn again from their counters. `gradients` (depth + 1, batch, batch) receives H Hᵀ
    of H = ∂L/∂(pre-activation) of every layer, or of ∂L/∂(input) at layer 0, up to a factor.
    """
    way = sampler.way(number)
    _walk(sampler, way, gradients)
    if sampler.stop[0] or not sampler.alive[number]:
        return np.full_like(way.norms.squares, math.nan)
    return way.finish()


def _walk(sampler: DenseSampler, way: Way, gradients: FloatArray | None) -> None:
    """Go back through all layers, or to one where the gradient is 0 or not finite."""
    if gradients is not None:
        gradients[:] = 0.0
    for first, history in sampler.history(way.number):
        for stretch in reversed(list(sampler.stack.stretches(first, history.count))):
            kept = history.of(stretch)[0]
            # To look at H of every layer, go layer by layer.
            for part, z in _layers(stretch, kept) if gradients is not None else [(stretch, kept)]:
                h = way.gradient
                with sampler.turns:
                    sampler.back(way, part, z)
                _square(h, gradients, part.first)
                if not way.norms.squares[part.first - 1] > 0:
                    return
    _square(way.gradient, gradients, 0)


def _layers(stretch: Stretch, z: State) -> Iterator[tuple[Stretch, State]]:
    """Yield the layers of a stretch one by one, the last one first."""
    for i in range(stretch.count - 1, -1, -1):
        leading = stretch.leading if i == 0 else stretch.later
        yield Stretch(stretch.first + i, 1, leading, stretch.later), z[i : i + 1]


def _square(h: State, gradients: FloatArray | None, layer: int) -> None:
    """Write H Hᵀ for `h` (units, batch) to the entry of a layer."""
    if gradients is not None:
        wide = h.astype(np.float64)
        np.dot(wide.T, wide, gradients[layer])
