"""The jitted core of the dense sampler: blocks of a layer, and the loop over depth.

Arrays hold units by rows, `(width, batch)`, so that a block of units is contiguous. Networks are
float32 or float64; statistics are always float64. A layer is computed in blocks of units, each with
its own tile of weights. Blocks depend on the shape alone, and different threads may run them.
"""

from __future__ import annotations

import math

import numpy as np

from snstat.engine.kernels.functions import activate
from snstat.engine.kernels.jit import jit
from snstat.engine.kernels.random import BIASES, WEIGHTS, draw_rows
from snstat.engine.kernels.statistics import (
    centre,
    conclude,
    count_outside,
    dead_units,
    first_pass,
    give_up,
    scaled_cosine,
    second_pass,
)
from snstat.engine.kernels.team import STRIDE, meet

# What a block has instead of a number of dead units: a value was not finite, the run was stopped.
LOST, STOPPED = -1, -2


@jit
def draw_biases(units, std, law, layer, trial, key, sample):
    """Return the biases of a layer (1, units), or (1, 0) if it has none.

    `sample` is any array of the network's dtype.
    """
    biases = np.empty((1, units if std > 0.0 else 0), sample.dtype)
    draw_rows(biases, 0, law, std, BIASES, layer, trial, key)
    return biases


@jit
def add_biases(z, first, biases):
    """Add biases `first`... to the rows of `z` (rows, batch)."""
    if biases.size > 0:
        for i in range(z.shape[0]):
            row, bias = z[i], biases[0, first + i]
            for j in range(row.size):
                row[j] += bias


@jit
def preactivations(x, z, first, tile, law, scale, biases, layer, trial, key):
    """Write to `z` (rows, batch) the rows `first`... of W x + b, with W drawn in `tile`.

    `x` (fan_in, batch), `tile` scratch of at least rows · fan_in values, `biases` (1, units) or
    (1, 0); `scale` is the standard deviation of a weight.
    """
    rows, fan_in = z.shape[0], x.shape[0]
    weights = tile[: rows * fan_in].reshape(rows, fan_in)
    draw_rows(weights, first, law, scale, WEIGHTS, layer, trial, key)
    np.dot(weights, x, z)
    add_biases(z, first, biases)


@jit
def finish_block(code, z, x, live, unit_mean, sample_sums):
    """Write the activations of `z` to `x`, both (rows, batch), and their first sums.

    Returns the number of dead units, or −1 if an activation is not finite, and the number of
    saturated values. `live` (4,) bounds the pre-activations whose derivative is not 0 and those
    that are not saturated (NaN: none is). See statistics.first_pass for the sums.
    """
    activate(code, z, x)
    if not first_pass(x, unit_mean, sample_sums):
        return LOST, 0
    dead = saturated = 0
    if live[0] > -math.inf or live[1] < math.inf:
        dead = dead_units(z, live[0], live[1])
    if live[2] < live[3]:
        saturated = count_outside(z, live[2], live[3])
    return dead, saturated


@jit
def run_block(
    code, x, z, first, tile, law, scale, biases, layer, trial, key, target, live, unit_mean,
    sample_sums, stop,
):  # fmt: skip
    """Make the units `first`... of a layer fed with `x`: pre-activations to `z` and activations to
    `target`, both (rows, batch).

    See preactivations and finish_block for the rest. Returns (STOPPED, 0) at once after a nonzero
    `stop` (1,).
    """
    if stop[0]:
        return STOPPED, 0
    preactivations(x, z, first, tile, law, scale, biases, layer, trial, key)
    return finish_block(code, z, target, live, unit_mean, sample_sums)


@jit
def preactivate(
    member, team, law, x, z, tiles, rows, scale, biases, layer, trial, key, stop
):  # fmt: skip
    """Write the pre-activations of a whole layer fed with `x` to `z` (width, batch).

    Every member of `team` makes its blocks of `rows` units; see `preactivations`, and `forward`
    for `tiles`. After a nonzero `stop` (1,) they are not all there.
    """
    members, width = team.size // STRIDE, z.shape[0]
    blocks = (width + rows - 1) // rows
    for block in range(blocks * member // members, blocks * (member + 1) // members):
        if stop[0]:
            return
        a, b = block * rows, min((block + 1) * rows, width)
        preactivations(x, z[a:b], a, tiles[member], law, scale, biases, layer, trial, key)


@jit
def forward(
    member, team, code, law, first, source, spare, state, z, tiles, rows, scales, bias_stds,
    bias_law, live, trial, key, unit_mean, sums, powers, counts, history, out, finite, done, stop,
):  # fmt: skip
    """Run layers first..first+count−1 of one trial; count is the number of rows of `out`.

    Every member of `team` (team.py) runs this with its own number, on the same arrays, and makes
    its share of the blocks of every layer; member 0 leads. `source` (fan_in, batch) feeds the first
    layer. Activations go to `spare` and `state` (width, batch) in turn, beginning with `spare`;
    `state` may be `source`. `rows`, `scales` and `bias_stds` (2,) are the units of a block and the
    standard deviations of weights and biases, of the first layer and of the others. `live` (4,) is
    as in finish_block. `history` (count or 0, width, batch) receives the pre-activations. `out`
    (count, 11) and `finite` (count,) receive the statistics, `done` (1,) counts finished layers,
    and a nonzero `stop` (1,) ends the run early.
    Scratch: `unit_mean` (width,), for each block `sums` (…, SAMPLE_SUMS, batch), `powers`
    (…, POWERS) and `counts` (…, 2), and for each member `tiles` (…, values) and, unless there is a
    history, `z` (…, rows, batch).
    """
    members, leads = team.size // STRIDE, member == 0
    width, batch = spare.shape
    centres = np.empty((2, batch))
    for i in range(out.shape[0]):
        layer, which = first + i, min(i, 1)
        x = source if i == 0 else (spare if i % 2 == 1 else state)
        target = spare if i % 2 == 0 else state
        biases = draw_biases(width, bias_stds[which], bias_law, layer, trial, key, tiles)
        step = rows[which]
        blocks = (width + step - 1) // step
        mine, end = blocks * member // members, blocks * (member + 1) // members
        for block in range(mine, end):
            a, b = block * step, min((block + 1) * step, width)
            own = z[member, : b - a] if history.shape[0] == 0 else history[i, a:b]
            counts[block, 0], counts[block, 1] = run_block(
                code, x, own, a, tiles[member], law, scales[which], biases, layer, trial, key,
                target[a:b], live, unit_mean[a:b], sums[block], stop,
            )  # fmt: skip
        meet(team, member)
        # All members see the same numbers, so that all go on or none does.
        dead, flat, worst = 0, 0, 0
        for block in range(blocks):
            dead += counts[block, 0]
            flat += counts[block, 1]
            worst = min(worst, counts[block, 0])
        if worst == STOPPED:
            return
        if worst == LOST:
            if leads:
                finite[i] = False
                give_up(i, out, finite, done)
            return
        found = centre(sums[:blocks], width, centres)
        for block in range(mine, end):
            a, b = block * step, min((block + 1) * step, width)
            second_pass(target[a:b], unit_mean[a:b], found[0], centres, powers[block])
        meet(team, member)
        if leads:
            share = flat / (width * batch) if live[2] < live[3] else np.nan
            conclude(width, batch, found, powers[:blocks], dead / width, share, out[i])
            if not found[2]:
                out[i, 5] = scaled_cosine(target)
            finite[i] = True
            done[0] += 1
