"""The backward pass of the dense sampler, which draws weights again from their counters.

Arrays hold units by rows, (units, batch), as in dense.py. Gradients of pre-activations are scaled
to mean square 1 at every layer to avoid overflow at any depth; the caller adds the logarithms. A
layer is computed in blocks of units (columns of its weights), which different threads may run.
"""

from __future__ import annotations

import numpy as np

from snstat.engine.kernels.functions import scale_by_derivative
from snstat.engine.kernels.jit import jit
from snstat.engine.kernels.random import NORMAL, READOUT, WEIGHTS, copy, draw_rows, draw_strip

f64 = np.float64


@jit
def read_out(h, layer, trial, key):
    """Set `h` (units, batch) to ∂L/∂x of a random linear read-out: one normal for each value."""
    draw_rows(h, 0, NORMAL, 1.0, READOUT, layer, trial, key)


@jit
def sum_of_squares(h):
    """Return the sum of h² in float64."""
    total = 0.0
    for row in h:
        for j in range(row.size):
            total += f64(row[j]) * f64(row[j])
    return total


@jit
def into_preactivations(code, z, h):
    """Multiply `h` by φ'(z), both (rows, batch); return its sums of squares before and after."""
    before = sum_of_squares(h)
    scale_by_derivative(code, z, h)
    return before, sum_of_squares(h)


@jit
def rescale(h, factor):
    """Multiply `h` (rows, batch) by `factor`."""
    for row in h:
        for j in range(row.size):
            row[j] = factor * row[j]


@jit
def through_weights(h, out, first, count, tile, law, scale, layer, trial, key, stop):
    """Write some rows of Wᵀ h to `out` (fan_in, batch): `h` (fan_out, batch).

    The rows are those of the columns of W in its random blocks `first`..first+count−1 (see
    random.draw_rows). `tile` is scratch of at least fan_out · count · (values of a block).
    """
    if stop[0]:
        return
    fan_in, fan_out = out.shape[0], h.shape[0]
    values = 16 // out.itemsize
    blocks = (fan_in + values - 1) // values
    strip = tile[: fan_out * count * values].reshape(fan_out, count * values)
    draw_strip(strip, fan_in, first, law, scale, WEIGHTS, layer, trial, key)
    rows = np.dot(strip.T, h)
    for k in range(values):
        for j in range(count):
            column = k * blocks + first + j
            if column < fan_in:
                copy(rows[k * count + j], out[column])
