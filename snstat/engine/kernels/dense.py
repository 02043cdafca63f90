"""The jitted core of the dense sampler: blocks of a layer, and the loop over depth.

Arrays hold units by rows, `(width, batch)`, so that a block of units is contiguous. Networks are
float32 or float64; statistics are always float64. A layer is computed in blocks of units, each with
its own tile of weights. Blocks depend on the shape alone, and different threads may run them.
"""

from __future__ import annotations

import numpy as np

from snstat.engine.kernels.functions import activate
from snstat.engine.kernels.jit import jit
from snstat.engine.kernels.random import BIASES, WEIGHTS, draw_rows
from snstat.engine.kernels.statistics import (
    POWERS,
    SAMPLE_SUMS,
    centre,
    conclude,
    count_outside,
    dead_units,
    first_pass,
    give_up,
    second_pass,
)


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
        return -1, 0
    saturated = 0
    if live[2] < live[3]:
        saturated = count_outside(z, live[2], live[3])
    return dead_units(z, live[0], live[1]), saturated


@jit
def run_block(
    code, x, z, first, tile, law, scale, biases, layer, trial, key, target, live, unit_mean,
    sample_sums, stop,
):  # fmt: skip
    """Compute the units `first`... of a layer fed with `x`: activations to `target` (rows, batch).

    See preactivations and finish_block; `z` (rows, batch) is scratch. Returns at once if `stop`
    (1,) is not 0.
    """
    if stop[0]:
        return 0, 0
    preactivations(x, z, first, tile, law, scale, biases, layer, trial, key)
    return finish_block(code, z, target, live, unit_mean, sample_sums)


@jit
def forward(
    code, law, first, source, spare, state, z, tile, rows, scales, bias_stds, bias_law,
    live, trial, key, out, finite, done, stop,
):  # fmt: skip
    """Run layers first..first+count−1 of one trial; count is the number of rows of `out`.

    `source` (fan_in, batch) feeds the first of them. Activations go to `spare` and `state` (width,
    batch) in turn, beginning with `spare`; `state` may be `source`. `z` (rows, batch) and `tile`
    are scratch. `rows`, `scales` and `bias_stds` (2,) are the units of a block and the standard
    deviations of weights and biases, of the first layer and of the others. `live` (4,) is as in
    finish_block. `out` (count, 11) and `finite` (count,) receive the statistics, `done` (1,) counts
    finished layers, and a nonzero `stop` (1,) ends the run early.
    """
    width, batch = spare.shape
    least = min(rows[0], rows[1])
    blocks = (width + least - 1) // least
    unit_mean, all_sums = np.empty(width), np.empty((blocks, SAMPLE_SUMS, batch))
    centres, all_powers = np.empty((2, batch)), np.empty((blocks, POWERS))
    for i in range(out.shape[0]):
        layer, which = first + i, min(i, 1)
        x = source if i == 0 else (spare if i % 2 == 1 else state)
        target = spare if i % 2 == 0 else state
        biases = draw_biases(width, bias_stds[which], bias_law, layer, trial, key, z)
        step = rows[which]
        blocks = (width + step - 1) // step
        dead = flat = 0
        finite[i] = True
        for block in range(blocks):
            a, b = block * step, min((block + 1) * step, width)
            count, saturated = run_block(
                code, x, z[: b - a], a, tile, law, scales[which], biases, layer, trial, key,
                target[a:b], live, unit_mean[a:b], all_sums[block], stop,
            )  # fmt: skip
            finite[i] &= count >= 0
            dead += count
            flat += saturated
        if stop[0]:
            return
        if not finite[i]:
            give_up(i, out, finite, done)
            return
        sums, powers = all_sums[:blocks], all_powers[:blocks]
        found = centre(sums, width, centres)
        for block in range(blocks):
            a, b = block * step, min((block + 1) * step, width)
            second_pass(target[a:b], unit_mean[a:b], found[0], centres, powers[block])
        share = flat / (width * batch) if live[2] < live[3] else np.nan
        conclude(width, batch, found, powers, dead / width, share, out[i])
        done[0] += 1
