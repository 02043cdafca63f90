"""The backward pass of the dense sampler: weights are drawn again from their counters.

Arrays hold units by rows, (units, batch), as in dense.py. Gradients are scaled to mean square 1
wherever they have left the range in which float32 is safe, so that no depth overflows, and the
logarithms of the scales are kept. The members of a team share the blocks of a layer: rows where
gradients pass the activation, columns of the weights where they pass these.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from snstat.engine.kernels.functions import scale_by_derivative
from snstat.engine.kernels.jit import inner, jit
from snstat.engine.kernels.random import (
    READOUT,
    STANDARD,
    WEIGHTS,
    Draw,
    copy,
    draw_rows,
    draw_strip,
)
from snstat.engine.kernels.team import meet, share

f64 = np.float64
# Mean squares between which gradients are left as they are. The largest float32 is 2^128: one layer
# may multiply squares by 2^80 before any overflows.
LEAST, MOST = 2.0**-40, 2.0**40


class Gradient(NamedTuple):
    """The gradient of the output of a layer (units, batch), at the start of buffers[turn]. It goes
    from one of the two `buffers` (2, values) to the other at every layer."""

    buffers: Any
    turn: int


class Norms(NamedTuple):
    """What is found of every layer and the one below the first, both (depth + 1,).

    `squares` are the squared norms of the gradients of the layers' outputs, and 0 below a layer
    whose gradient is 0; `shifts` are the logarithms of what all squares below were divided by.
    """

    squares: Any
    shifts: Any


class Workspace(NamedTuple):
    """Scratch of `backward`: `tiles` and `products` as in through_weights, `sums` (blocks, 2) of
    type float64 and `halted` (members,)."""

    tiles: Any
    products: Any
    sums: Any
    halted: Any


@jit
def read_out(h, draw):
    """Set `h` (units, batch) to ∂L/∂x of a random linear read-out: one normal a value."""
    draw_rows(h, 0, STANDARD, READOUT, draw)


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


@inner
def through_strip(h, out, first, count, layer, draw, tile, product):
    """Write some rows of Wᵀ h to `out` (fan_in, batch): `h` (units, batch).

    They are those of the columns of W in its random blocks `first`..first+count−1 (see
    random.draw_rows), drawn in `tile`, scratch of at least units · count · (values of a block);
    `product` (count · values, batch) is scratch as well.
    """
    fan_in, units = out.shape[0], h.shape[0]
    values = 16 // out.itemsize
    blocks = (fan_in + values - 1) // values
    strip = tile[: units * count * values].reshape(units, count * values)
    draw_strip(strip, fan_in, first, layer.weights, WEIGHTS, draw)
    np.dot(strip.T, h, product)
    for k in range(values):
        for j in range(count):
            column = k * blocks + first + j
            if column < fan_in:
                copy(product[k * count + j], out[column])


@jit
def through_weights(team, h, out, layer, draw, tiles, products):
    """Write Wᵀ h to `out` (fan_in, batch): `h` (units, batch).

    Every member of the team makes its strips: see through_strip. `tiles` (members, values) and
    `products` (members, columns, batch) are scratch. After a stop not all rows are there.
    """
    values, step = 16 // out.itemsize, layer.strip
    blocks = (out.shape[0] + values - 1) // values
    mine, end = share(team, (blocks + step - 1) // step)
    for strip in range(mine, end):
        if team.stop[0]:
            return
        first = strip * step
        count = min(step, blocks - first)
        product = products[team.member, : count * values]
        through_strip(h, out, first, count, layer, draw, tiles[team.member], product)


@jit
def backward(team, layers, draw, history, gradient, norms, workspace):
    """Go from the output of layer draw.layer+count−1 down to what feeds layer draw.layer.

    Every member of the team runs this. `layers` is a Layers of DrawnLayer, `history` (count, units,
    batch) holds the pre-activations. The pass ends at a layer whose gradient is 0 or not finite,
    and soon after a stop.
    """
    sums, halted, leads = workspace.sums, workspace.halted, team.member == 0
    count, units, batch = history.shape
    rows, fan_in, turn = layers.later.rows, layers.leading.fan_in, gradient.turn
    blocks = (units + rows - 1) // rows
    mine, end = share(team, blocks)
    for i in range(count - 1, -1, -1):
        layer = layers.leading if i == 0 else layers.later
        here = Draw(draw.key, draw.trial, draw.layer + i)
        below = fan_in if i == 0 else units
        h = gradient.buffers[turn, : units * batch].reshape(units, batch)
        out = gradient.buffers[1 - turn, : below * batch].reshape(below, batch)
        for block in range(mine, end):
            a, b = block * rows, min((block + 1) * rows, units)
            sums[block, 0], sums[block, 1] = into_preactivations(
                layers.activation.code, history[i, a:b], h[a:b]
            )
        halted[team.member] = team.stop[0]
        meet(team)
        # All members see the same numbers, so that all go on or none does.
        before = after = 0.0
        for block in range(blocks):
            before += sums[block, 0]
            after += sums[block, 1]
        stopped = 0
        for member in range(halted.size):
            stopped += halted[member]
        if stopped:
            return
        if leads:
            norms.squares[here.layer] = before
        if after == 0.0:
            if leads:
                norms.squares[: here.layer] = 0.0
            return
        mean = after / (f64(units) * f64(batch))
        if not mean < math.inf:
            return
        if not LEAST < mean < MOST:
            for block in range(mine, end):
                a, b = block * rows, min((block + 1) * rows, units)
                rescale(h[a:b], 1.0 / math.sqrt(mean))
            if leads:
                norms.shifts[here.layer] = math.log(mean)
            meet(team)
        through_weights(team, h, out, layer, here, workspace.tiles, workspace.products)
        meet(team)
        turn = 1 - turn
    if leads:
        below = gradient.buffers[turn, : fan_in * batch]
        norms.squares[draw.layer - 1] = sum_of_squares(below)
