"""The jitted core of the dense sampler: blocks of a layer, and the loop over depth.

Arrays hold units by rows, `(width, batch)`, so that a block of units is contiguous. Networks are
float32 or float64; statistics are always float64. A layer is computed in blocks of units, each with
its own tile of weights. Blocks depend on the shape alone, and different threads may run them. An
orthogonal layer is one block.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from snstat.engine.kernels.counts import count_outside, dead_units
from snstat.engine.kernels.functions import activate
from snstat.engine.kernels.jit import inner, jit
from snstat.engine.kernels.layers import give_up, record_of
from snstat.engine.kernels.orthogonal import orthogonal
from snstat.engine.kernels.random import BIASES, WEIGHTS, Draw, draw_rows
from snstat.engine.kernels.statistics import (
    centre,
    conclude,
    first_pass,
    scaled_cosine,
    second_pass,
)
from snstat.engine.kernels.team import meet, share

# What a block has instead of a number of dead units: a value was not finite, the run was stopped.
LOST, STOPPED = -1, -2


class States(NamedTuple):
    """Activations: `source` (fan_in, batch) feeds the first layer. Those of the layers go to
    `spare` and `state` (units, batch) in turn, beginning with `spare`; `state` may be `source`.
    Those of some trials have a first axis of trials."""

    source: Any
    spare: Any
    state: Any


class Workspace(NamedTuple):
    """Scratch of `forward`.

    Of each member `tiles` (members, values), for the weights of a block, and, unless there is a
    history, `z` (members, rows, batch), for its pre-activations. `tiles` is None for orthogonal
    weights. `unit_mean` (units,) and of each block `sums` (blocks, SAMPLE_SUMS, batch), `powers`
    (blocks, POWERS), both float64, and `counts` (blocks, 2), int64.
    """

    tiles: Any
    z: Any
    unit_mean: Any
    sums: Any
    powers: Any
    counts: Any


@inner
def draw_biases(layer, draw, sample):
    """Return the biases of a layer (1, units), or (1, 0) if it has none.

    `sample` is any array of the network's dtype.
    """
    biases = np.empty((1, layer.units if layer.biases.std > 0.0 else 0), sample.dtype)
    draw_rows(biases, 0, layer.biases, BIASES, draw)
    return biases


@inner
def preactivations(team, x, z, first, layer, draw, biases, tiles):
    """Write to `z` (rows, batch) the rows `first`... of W x + b, with W drawn in tiles[member].

    `x` (fan_in, batch), `tiles` (members, values) scratch of at least rows · fan_in values, None if
    W is orthogonal, which is stopped early; `biases` (1, units) or (1, 0).
    """
    if tiles is None:
        orthogonal(x, z, layer.weights.std, draw, team.stop)
    else:
        rows, fan_in = z.shape[0], x.shape[0]
        weights = tiles[team.member, : rows * fan_in].reshape(rows, fan_in)
        draw_rows(weights, first, layer.weights, WEIGHTS, draw)
        np.dot(weights, x, z)
    if biases.size > 0:
        for i in range(z.shape[0]):
            row, bias = z[i], biases[0, first + i]
            for j in range(row.size):
                row[j] += bias


@jit
def preactivate(team, x, z, layer, draw, tiles):
    """Write the pre-activations of a whole layer fed with `x` to `z` (width, batch).

    Every member of the team makes its blocks; see `preactivations`. They are incomplete after a
    stop.
    """
    biases = draw_biases(layer, draw, z)
    first, end = share(team, (layer.units + layer.rows - 1) // layer.rows)
    for block in range(first, end):
        if team.stop[0]:
            return
        a, b = block * layer.rows, min((block + 1) * layer.rows, layer.units)
        preactivations(team, x, z[a:b], a, layer, draw, biases, tiles)


@inner
def finish_block(activation, z, x, unit_mean, sample_sums):
    """Write the activations of `z` to `x`, both (rows, batch), and their first sums.

    Returns the number of dead units, or LOST if an activation is not finite, and the number of
    saturated values. See statistics.first_pass for the sums.
    """
    live, steep = activation.live, activation.steep
    activate(activation.code, z, x)
    if not first_pass(x, unit_mean, sample_sums):
        return LOST, 0
    dead = saturated = 0
    if live.low > -math.inf or live.high < math.inf:
        dead = dead_units(z, live.low, live.high)
    if steep.low < steep.high:
        saturated = count_outside(z, z.shape[1], steep.low, steep.high)
    return dead, saturated


@inner
def run_trial(team, layers, draw, states, history, record, workspace):
    """Run the layers draw.layer... of one trial, as many as `record` has rows.

    Every member of the team runs this on the same arrays, and makes its share of the blocks of
    every layer. `layers` is a Layers of DrawnLayer. `history` (count or 0, units, batch) receives
    the pre-activations.
    """
    source, spare, state = states
    _, z, unit_mean, sums, powers, counts = workspace
    steep = layers.activation.steep
    units, batch = spare.shape
    centres = np.empty((2, batch))
    for i in range(record.out.shape[0]):
        layer = layers.leading if i == 0 else layers.later
        here = Draw(draw.key, draw.trial, draw.layer + i)
        x = source if i == 0 else (spare if i % 2 == 1 else state)
        target = spare if i % 2 == 0 else state
        biases = draw_biases(layer, here, spare)
        blocks = (units + layer.rows - 1) // layer.rows
        mine, end = share(team, blocks)
        for block in range(mine, end):
            a, b = block * layer.rows, min((block + 1) * layer.rows, units)
            own = z[team.member, : b - a] if history.shape[0] == 0 else history[i, a:b]
            counts[block, 0] = STOPPED
            if not team.stop[0]:
                preactivations(team, x, own, a, layer, here, biases, workspace.tiles)
            if not team.stop[0]:
                counts[block, 0], counts[block, 1] = finish_block(
                    layers.activation, own, target[a:b], unit_mean[a:b], sums[block]
                )
        meet(team)
        # All members see the same numbers, so that all go on or none does.
        dead, flat, worst = 0, 0, 0
        for block in range(blocks):
            dead += counts[block, 0]
            flat += counts[block, 1]
            worst = min(worst, counts[block, 0])
        if worst == STOPPED:
            return
        if worst == LOST:
            if team.member == 0:
                give_up(record, i)
            return
        found = centre(sums[:blocks], units, centres)
        for block in range(mine, end):
            a, b = block * layer.rows, min((block + 1) * layer.rows, units)
            second_pass(target[a:b], unit_mean[a:b], found[0], centres, powers[block])
        meet(team)
        if team.member == 0:
            saturated = flat / (units * batch) if steep.low < steep.high else np.nan
            out = record.out[i]
            conclude(units, batch, found, powers[:blocks], dead / units, saturated, out)
            if not found[2]:
                out[5] = scaled_cosine(target)
            record.finite[i] = True
            record.done[0] += 1


@jit
def forward(team, layers, draw, states, histories, records, workspace):
    """Run a stretch of some trials, draw.trial..., one after the other: see `run_trial`.

    A call costs as much as a small trial, so small trials share one. A team of several members has
    one trial, because its members do not leave a trial together. Each trial has States and a
    history. Trials that are no longer finite are filled.
    """
    for i in range(records.alive.size):
        record = record_of(records, i)
        if records.alive[i]:
            here = Draw(draw.key, draw.trial + i, draw.layer)
            own = States(states.source[i], states.spare[i], states.state[i])
            run_trial(team, layers, here, own, histories[i], record, workspace)
        elif team.member == 0:
            give_up(record, 0)
        if team.member == 0:
            records.alive[i] = record.finite[records.layers - 1]
