"""The jitted core of the matrix-free sampler, which simulates the network without drawing weights.

Given the activations X (batch, fan_in) of a layer, the pre-activations Z = X Wᵀ + 1 bᵀ of the next
have independent columns N(0, K), K = (σ_w²/fan_in) X Xᵀ + σ_b² 1 1ᵀ. So Z = L Ξ with K = L Lᵀ and Ξ
standard normal. This is exact in distribution at every width. Only K is carried from layer to
layer. Units are computed, measured and discarded one tile at a time; a tile is (batch, units).

For Haar-orthogonal weights Ξ becomes a random frame, T⁻¹ Ξ with Ξ Ξᵀ = T Tᵀ over max(fan_in,
fan_out) columns, of which the first fan_out are used.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from snstat.engine.kernels.blas import copy
from snstat.engine.kernels.counts import count_outside, dead_columns
from snstat.engine.kernels.factor import RANK_TOLERANCE, cholesky, trusted
from snstat.engine.kernels.functions import activate
from snstat.engine.kernels.jit import inner, jit
from snstat.engine.kernels.layers import give_up, record_of
from snstat.engine.kernels.moments import absorb, conclude, exponent_of, finish_gram
from snstat.engine.kernels.random import Draw
from snstat.engine.kernels.sums import (
    DEAD,
    FLAT,
    LARGEST,
    SAMPLE_SUMS,
    SPREAD,
    SUMS,
    Sums,
    merge,
    reset,
    sums_of,
)
from snstat.engine.kernels.team import meet, share, size_of
from snstat.engine.kernels.tiles import Frame, draw_tile, make_matrix, make_tile

f64 = np.float64
# Units in a tile. A tile for a few hundred samples stays in the level-2 cache.
TILE = 256
# What the leader of a team tells the other members: VERDICT, and how to compute the next layer's
# Gram matrix (see moments.py): centred or not, and the exponent e of its divisor 4ᵉ. They are part
# of the state of a trial.
VERDICT, CENTRED, SCALED, CONTROLS = 0, 1, 2, 3
NEXT, AGAIN, END = 0, 1, 2


@jit
def tile_width(units):
    """Return the number of units in a tile, which depends on the shape alone."""
    return min(TILE, (units + 31) // 32 * 16)


@jit
def count_tiles(units):
    """Return the number of tiles for `units` units."""
    tile = tile_width(units)
    return (units + tile - 1) // tile


class State(NamedTuple):
    """A trial after some layers: `gram` (batch, batch) = X Xᵀ/4ᵉ, float64, and `control`
    (CONTROLS,), int64. Those of some trials have a first axis of trials."""

    gram: Any
    control: Any


class Workspace(NamedTuple):
    """Scratch of `forward`: `lower` (batch, batch), float64, is the factor of K, and `matrix`
    (batch, batch) of the network's type the map from normals to pre-activations. `roots` (2, batch,
    batch) is as in tiles.make_matrix, None for Gaussian weights.

    With a first axis of members: of the network's type `ahead` (…, batch, tile; empty for one
    member), `tiles` (…, 2, batch, tile) and `product` (…, batch, batch); `wide` (…, batch, tile),
    float64; `sums`; and `whole` (…,), bool.
    """

    lower: Any
    matrix: Any
    roots: Any
    ahead: Any
    tiles: Any
    wide: Any
    product: Any
    sums: Sums
    whole: Any


@jit
def begin(source, gram, control, out):
    """Measure inputs `source` (units, batch) as layer 0: statistics to `out` (11,).

    `gram` and `control` are those of a State. Returns False if a value, or the sum of squares on
    which all layers depend, is not finite. Nothing is known about inputs yet, so their Gram matrix
    is computed by the general method. That of the next layer is centred first, if in float32.
    """
    units, batch = source.shape
    tile = tile_width(units)
    sums = Sums(np.empty(SUMS), np.empty((SAMPLE_SUMS, batch)), np.empty((batch, batch)))
    x, spare = np.empty((batch, tile), source.dtype), np.empty((batch, tile), source.dtype)
    product, wide = np.empty((batch, batch), source.dtype), np.empty((batch, tile))
    out[:] = math.nan
    control[CENTRED], control[SCALED] = source.itemsize == 4, 0
    if source.itemsize == 8:
        largest = 0.0
        for j in range(units):
            row = source[j]
            for a in range(batch):
                largest = max(largest, abs(row[a]))
        control[SCALED] = exponent_of(largest, 0)
    reset(sums, control[SCALED])
    for first in range(0, units, tile):
        count = min(tile, units - first)
        for j in range(count):
            for a in range(batch):
                x[a, j] = source[first + j, a]
        if not absorb(x, count, sums, spare, product, wide, False):
            return False
    finish_gram(sums, False, gram)
    trace = 0.0
    for a in range(batch):
        trace += gram[a, a]
    if not math.isfinite(trace):
        return False
    conclude(units, sums, gram, math.nan, math.nan, out)
    return True


@jit
def covariance_factor(gram, exponent, layer, orthogonal, lower):
    """Write to `lower` the factor of a layer's K from `gram` = X Xᵀ/4ᵉ, (batch, batch) float64.

    Orthogonal layers add their biases separately. NaN where K, and so the layer, overflows.
    """
    batch = gram.shape[0]
    k, trace = np.empty((batch, batch)), 0.0
    bias = 0.0 if orthogonal else layer.bias
    # With a bias, the small squares that underflow do not matter.
    own = 2.0 ** (2.0 * exponent) if bias > 0.0 else 1.0
    for a in range(batch):
        for b in range(batch):
            k[a, b] = layer.scale * (own * gram[a, b]) + bias
        trace += k[a, a]
    if math.isfinite(trace):
        cholesky(k, lower, RANK_TOLERANCE)
        if exponent != 0 and bias == 0.0:
            lower *= 2.0**exponent
    else:
        lower[:] = math.nan


@inner
def run_tiles(team, layer, activation, draw, control, workspace, ready):
    """Compute, measure and discard this member's tiles of a layer.

    If `ready`, the normals of the first tile are there already, in `ahead`. Returns False if a
    value is not finite.
    """
    z, x = workspace.tiles[team.member, 0], workspace.tiles[team.member, 1]
    wide, product = workspace.wide[team.member], workspace.product[team.member]
    orthogonal, sums = workspace.roots is not None, sums_of(workspace.sums, team.member)
    live, steep, tile = activation.live, activation.steep, z.shape[1]
    first, end = share(team, count_tiles(layer.units))
    centred = control[CENTRED] != 0
    reset(sums, control[SCALED])
    for number in range(first, end):
        if team.stop[0]:
            return True
        drawn = ready and number == first
        xi = workspace.ahead[team.member] if drawn else x
        if not drawn:
            draw_tile(xi, number, draw)
        make_tile(workspace.matrix, orthogonal, layer.bias, number, draw, xi, z)
        count = min(tile, layer.units - number * tile)
        if live.low > -math.inf or live.high < math.inf:
            sums.layer[DEAD] += dead_columns(z, count, live.low, live.high)
        if steep.low < steep.high:
            sums.layer[FLAT] += count_outside(z, count, steep.low, steep.high)
        activate(activation.code, z, x)
        if not absorb(x, count, sums, z, product, wide, centred):
            return False
    return True


@inner
def finish_layer(layers, state, workspace, out):
    """Combine the sums of the members: the state and the factor for the next layer, statistics to
    `out` (11,). Returns NEXT, AGAIN (the product was not precise enough) or END (overflow)."""
    gram, control = state
    lower, layer, steep = workspace.lower, layers.later, layers.activation.steep
    batch, narrow = gram.shape[0], workspace.matrix.itemsize == 4
    centred = control[CENTRED] != 0
    for member in range(1, workspace.whole.size):
        merge(workspace.sums, member)
    sums = sums_of(workspace.sums, 0)
    if not narrow:  # squares of float32 numbers do not underflow in float64
        exponent = exponent_of(sums.layer[LARGEST], control[SCALED])
        if exponent != control[SCALED]:
            control[SCALED] = exponent
            return AGAIN
    finish_gram(sums, centred, gram)
    trace = 0.0
    for a in range(batch):
        trace += gram[a, a]
    if math.isfinite(trace):
        covariance_factor(gram, control[SCALED], layer, workspace.roots is not None, lower)
        good = narrow and trusted(lower, layer.scale, sums.samples[SPREAD], layer.units)
    else:
        good = False
    if centred and not good:
        control[CENTRED] = 0
        return AGAIN
    control[CENTRED] = good
    if not math.isfinite(trace):
        return END
    flat = math.nan
    if steep.low < steep.high:
        flat = sums.layer[FLAT] / (f64(layer.units) * f64(batch))
    conclude(layer.units, sums, gram, sums.layer[DEAD] / layer.units, flat, out)
    return NEXT


@inner
def run_trial(team, layers, draw, state, history, record, workspace):
    """Run the layers draw.layer... of one trial, as many as `record` has rows.

    Every member of the team runs this on the same arrays, and makes its share of the tiles of every
    layer. `layers` is a Layers of MatrixFreeLayer. `history` (count or 0, batch, batch) receives
    the factor of K of each layer.
    """
    control, leads, members = state.control, team.member == 0, size_of(team)
    ahead, whole = workspace.ahead, workspace.whole
    wide, sums = workspace.wide[team.member], workspace.sums
    frame = Frame(workspace.tiles[team.member, 0], wide, sums.squares)
    mine, _ = share(team, count_tiles(layers.later.units))
    ready, last = 0, draw.layer + record.out.shape[0] - 1
    if leads:
        covariance_factor(
            state.gram, control[SCALED], layers.leading, workspace.roots is not None,
            workspace.lower,
        )  # fmt: skip
    meet(team)
    i = 0
    while i < record.out.shape[0]:
        layer = layers.leading if i == 0 else layers.later
        here = Draw(draw.key, draw.trial, draw.layer + i)
        # A layer whose Gram matrix was not precise enough is computed again with the same matrix.
        # `lower` then belongs to the next layer already.
        if control[VERDICT] != AGAIN:
            if leads and history.shape[0] > 0:
                copy(workspace.lower, history[i])
            total = max(layer.fan_in, layer.units)
            make_matrix(
                team, workspace.roots, total, workspace.lower, here, frame, workspace.matrix
            )  # fmt: skip
        whole[team.member] = run_tiles(
            team, layer, layers.activation, here, control, workspace, ready == here.layer
        )
        meet(team)
        if members > 1 and here.layer < last and ready != here.layer + 1:
            ready = here.layer + 1
            after = Draw(draw.key, draw.trial, ready)
            # The others would wait for the leader: they draw normals of the next layer meanwhile.
            if not leads:
                draw_tile(ahead[team.member], mine, after)
            if team.member == 1:
                draw_tile(ahead[0], 0, after)
        if leads:
            control[VERDICT] = END
            lost = 0
            for flag in whole:
                lost += not flag
            if team.stop[0] == 0 and lost == 0:
                control[VERDICT] = finish_layer(layers, state, workspace, record.out[i])
            if control[VERDICT] == NEXT:
                record.finite[i] = True
                record.done[0] += 1
            elif control[VERDICT] == END and team.stop[0] == 0:
                give_up(record, i)
        meet(team)
        if control[VERDICT] == END:
            return
        i += control[VERDICT] == NEXT


@jit
def forward(team, layers, draw, states, histories, records, workspace):
    """Run a stretch of some trials, draw.trial..., one after the other: see `run_trial`.

    A call costs as much as a small trial, so small trials share one. A team of several members has
    one trial, because its members do not leave a trial together. Each trial has a State and a
    history. Trials that are no longer finite are filled.
    """
    for i in range(records.alive.size):
        record = record_of(records, i)
        if records.alive[i]:
            here = Draw(draw.key, draw.trial + i, draw.layer)
            own = State(states.gram[i], states.control[i])
            run_trial(team, layers, here, own, histories[i], record, workspace)
        elif team.member == 0:
            give_up(record, 0)
        if team.member == 0:
            records.alive[i] = record.finite[records.layers - 1]
