"""The backward pass of the dense sampler: weights are drawn again from their counters.

Arrays hold units by rows, (units, batch), as in dense.py. Gradients are scaled to mean square 1
at every layer, so that no depth overflows; the caller adds the logarithms.
"""

from __future__ import annotations

import math

import numpy as np

from snstat.engine.kernels import dense as forward_kernels
from snstat.engine.kernels import functions, random
from snstat.engine.kernels.dense import (
    ORTHOGONAL,
    UNIFORM,
    dense,
    orthogonal,
    orthogonal_transposed,
)
from snstat.engine.kernels.functions import scale_by_derivative
from snstat.engine.kernels.jit import calls_into, jit
from snstat.engine.kernels.random import BIASES, READOUT, WEIGHTS, draw_rows

calls_into(__file__, forward_kernels, functions, random)

f64 = np.float64


@jit
def read_out(h, layer, trial, key):
    """Set `h` (units, batch) to ∂L/∂x of a random linear read-out: one normal a unit."""
    weights = np.empty((1, h.shape[0]), h.dtype)
    draw_rows(weights, 0, False, 1.0, READOUT, layer, trial, key)
    for unit in range(h.shape[0]):
        h[unit] = weights[0, unit]


@jit
def preactivations(
    distribution, x, z, tile, scale, bias_std, uniform_bias, layer, trial, key, stop
):
    """Write the pre-activations of a layer fed with `x` (fan_in, batch) to `z` (units, batch)."""
    if distribution == ORTHOGONAL:
        orthogonal(x, z, scale, layer, trial, key, stop)
    else:
        dense(x, z, tile, distribution == UNIFORM, scale, layer, trial, key, stop)
    if bias_std > 0.0:
        bias = np.empty((1, z.shape[0]), z.dtype)
        draw_rows(bias, 0, uniform_bias, bias_std, BIASES, layer, trial, key)
        for unit in range(z.shape[0]):
            z[unit] += bias[0, unit]


@jit
def mean_square(h):
    """Return the mean of h² in float64."""
    total = 0.0
    for row in h:
        for value in row:
            total += f64(value) * f64(value)
    return total / f64(h.size)


@jit
def into_preactivations(code, z, h):
    """Multiply `h` by φ'(z), scale it to mean square 1, and return the mean square it had."""
    scale_by_derivative(code, z, h)
    square = mean_square(h)
    if square > 0.0:
        factor = 1.0 / math.sqrt(square)
        for row in h:
            for j in range(row.size):
                row[j] = factor * row[j]
    return square


@jit
def through_weights(distribution, h, out, tile, scale, layer, trial, key, stop):
    """Out = Wᵀ h: `h` (fan_out, batch), `out` (fan_in, batch) of zeros, W drawn in tiles."""
    fan_in, fan_out = out.shape[0], h.shape[0]
    if distribution == ORTHOGONAL:
        orthogonal_transposed(h, out, scale, layer, trial, key, stop)
        return
    rows = tile.size // fan_in
    for first in range(0, fan_out, rows):
        if stop[0]:
            return
        count = min(rows, fan_out - first)
        block = tile[: count * fan_in].reshape(count, fan_in)
        draw_rows(block, first, distribution == UNIFORM, scale, WEIGHTS, layer, trial, key)
        out += np.dot(block.T, h[first : first + count])
