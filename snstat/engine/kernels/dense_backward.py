"""The backward pass of the dense sampler: weights are drawn again from their counters.

Arrays hold units by rows, (units, batch), as in dense.py. Gradients are scaled to mean square 1
wherever they have left the range in which float32 is safe, so that no depth overflows, and the
logarithms of the scales are kept. The members of a team share the blocks of a layer: rows where
gradients pass the activation, columns of the weights where they pass these.
"""

from __future__ import annotations

import math

import numpy as np

from snstat.engine.kernels.functions import scale_by_derivative
from snstat.engine.kernels.jit import jit
from snstat.engine.kernels.random import NORMAL, READOUT, WEIGHTS, copy, draw_rows, draw_strip
from snstat.engine.kernels.team import STRIDE, meet

f64 = np.float64
# Mean squares between which gradients are left as they are. The largest float32 is 2^128: one layer
# may multiply squares by 2^80 before any overflows.
LEAST, MOST = 2.0**-40, 2.0**40


@jit
def read_out(h, layer, trial, key):
    """Set `h` (units, batch) to ∂L/∂x of a random linear read-out: one normal a value."""
    draw_rows(h, 0, NORMAL, 1.0, READOUT, layer, trial, key)


@jit
def sum_of_squares(h):
    """Return the sum of squares of `h`, any contiguous array, in float64."""
    flat, total = h.reshape(h.size), 0.0
    for j in range(flat.size):
        total += f64(flat[j]) * f64(flat[j])
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
    flat, own = h.reshape(h.size), h.dtype.type(factor)
    for j in range(flat.size):
        flat[j] *= own


@jit
def through_strip(h, out, product, first, count, tile, law, scale, layer, trial, key):
    """Write some rows of Wᵀ h to `out` (fan_in, batch): `h` (fan_out, batch).

    They are those of the columns of W in its random blocks `first`..first+count−1 (see
    random.draw_rows), drawn in `tile`, scratch of at least fan_out · count · (values of a block);
    `product` (count · values, batch) is scratch as well.
    """
    fan_in, fan_out = out.shape[0], h.shape[0]
    values = 16 // out.itemsize
    blocks = (fan_in + values - 1) // values
    strip = tile[: fan_out * count * values].reshape(fan_out, count * values)
    draw_strip(strip, fan_in, first, law, scale, WEIGHTS, layer, trial, key)
    np.dot(strip.T, h, product)
    for k in range(values):
        for j in range(count):
            column = k * blocks + first + j
            if column < fan_in:
                copy(product[k * count + j], out[column])


@jit
def through_weights(
    member, team, h, out, products, tiles, step, law, scale, layer, trial, key, stop
):  # fmt: skip
    """Write Wᵀ h to `out` (fan_in, batch): `h` (fan_out, batch).

    Every member of `team` makes its strips, of `step` random blocks each: see through_strip.
    `products` (members, columns, batch) and `tiles` (members, values) are scratch. After a nonzero
    `stop` (1,) not all rows are there.
    """
    members, values = team.size // STRIDE, 16 // out.itemsize
    blocks = (out.shape[0] + values - 1) // values
    strips = (blocks + step - 1) // step
    for strip in range(strips * member // members, strips * (member + 1) // members):
        if stop[0]:
            return
        first = strip * step
        count = min(step, blocks - first)
        through_strip(
            h, out, products[member, : count * values], first, count, tiles[member], law, scale,
            layer, trial, key,
        )  # fmt: skip


@jit
def backward(
    member, team, code, law, first, fan_in, history, buffers, turn, rows, strips, scales, trial,
    key, tiles, products, sums, halted, squares, shifts, stop,
):  # fmt: skip
    """Go from the output of layer first+count−1 down to what feeds layer `first`.

    Every member of `team` runs this with its own number; member 0 leads. `history` (count, units,
    batch) holds the pre-activations, `fan_in` are the units that feed the first layer. The gradient
    of the output lies at the start of buffers[turn] and goes from one of the two `buffers` (2, …)
    to the other at every layer. `rows` are the units of a block; `strips` and `scales` (2,), the
    random blocks of a strip and the deviation of weights, are of the first layer and the others.
    `squares` and `shifts` (depth + 1,) receive, for every layer and the one below the first, the
    squared norm of the gradient of its output, and the logarithm of what all squares below it were
    divided by. Squares are 0 below a layer whose gradient is 0. The pass ends at a layer whose
    gradient is not finite, and soon after `stop` (1,) is not 0.
    Scratch: `sums` (blocks, 2), `halted` (members,); see through_weights for the rest.
    """
    members, leads = team.size // STRIDE, member == 0
    count, units, batch = history.shape
    blocks = (units + rows - 1) // rows
    mine, end = blocks * member // members, blocks * (member + 1) // members
    for i in range(count - 1, -1, -1):
        layer, which = first + i, min(i, 1)
        below = fan_in if i == 0 else units
        h = buffers[turn, : units * batch].reshape(units, batch)
        out = buffers[1 - turn, : below * batch].reshape(below, batch)
        for block in range(mine, end):
            a, b = block * rows, min((block + 1) * rows, units)
            sums[block, 0], sums[block, 1] = into_preactivations(code, history[i, a:b], h[a:b])
        halted[member] = stop[0]
        meet(team, member)
        # All members see the same numbers, so that all go on or none does.
        before = after = 0.0
        for block in range(blocks):
            before += sums[block, 0]
            after += sums[block, 1]
        stopped = 0
        for other in range(members):
            stopped += halted[other]
        if stopped:
            return
        if leads:
            squares[layer] = before
        if after == 0.0:
            if leads:
                squares[:layer] = 0.0
            return
        mean = after / (f64(units) * f64(batch))
        if not mean < math.inf:
            return
        if not LEAST < mean < MOST:
            for block in range(mine, end):
                a, b = block * rows, min((block + 1) * rows, units)
                rescale(h[a:b], 1.0 / math.sqrt(mean))
            if leads:
                shifts[layer] = math.log(mean)
            meet(team, member)
        through_weights(
            member, team, h, out, products, tiles, strips[which], law, scales[which], layer, trial,
            key, stop,
        )  # fmt: skip
        meet(team, member)
        turn = 1 - turn
    if leads:
        squares[first - 1] = sum_of_squares(buffers[turn, : fan_in * batch])
