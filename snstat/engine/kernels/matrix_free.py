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

import numpy as np

from snstat.engine.kernels.blas import copy
from snstat.engine.kernels.factor import RANK_TOLERANCE, cholesky, trusted
from snstat.engine.kernels.functions import activate
from snstat.engine.kernels.jit import jit
from snstat.engine.kernels.moments import (
    DEAD,
    EXPONENT,
    FLAT,
    LARGEST,
    SAMPLE_SUMS,
    SPREAD,
    SUMS,
    absorb,
    conclude,
    count_dead,
    count_outside,
    exponent_of,
    finish_gram,
    merge,
)
from snstat.engine.kernels.team import STRIDE, meet
from snstat.engine.kernels.tiles import draw_tile, make_matrix, make_tile

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


@jit
def begin(source, control, out, gram):
    """Measure inputs `source` (units, batch) as layer 0: statistics to `out`, Gram to `gram`.

    Returns False if a value, or the sum of squares on which all layers depend, is not finite.
    """
    centred = control[CENTRED] != 0
    units, batch = source.shape
    tile = tile_width(units)
    sums, samples = np.empty(SUMS), np.empty((SAMPLE_SUMS, batch))
    x, spare = np.empty((batch, tile), source.dtype), np.empty((batch, tile), source.dtype)
    product, wide = np.empty((batch, batch), source.dtype), np.empty((batch, tile))
    squares = np.empty((batch, batch))
    sums[:], samples[:], squares[:], out[:] = 0.0, 0.0, 0.0, math.nan
    control[SCALED] = 0
    if source.itemsize == 8:
        largest = 0.0
        for j in range(units):
            row = source[j]
            for a in range(batch):
                largest = max(largest, abs(row[a]))
        control[SCALED] = exponent_of(largest, 0)
    sums[EXPONENT] = control[SCALED]
    for first in range(0, units, tile):
        count = min(tile, units - first)
        for j in range(count):
            for a in range(batch):
                x[a, j] = source[first + j, a]
        if not absorb(x, count, sums, samples, spare, product, wide, squares, centred):
            return False
    finish_gram(sums, samples, squares, centred, gram)
    trace = 0.0
    for a in range(batch):
        trace += gram[a, a]
    if not math.isfinite(trace):
        return False
    conclude(units, sums, samples, gram, math.nan, math.nan, out)
    return True


@jit
def covariance_factor(gram, exponent, square_scale, square_bias, orthogonal, lower):
    """Write to `lower` the factor of K from `gram` = X Xᵀ/4ᵉ, all (batch, batch) float64.

    Orthogonal layers add their biases separately. NaN where K, and so the layer, overflows.
    """
    batch = gram.shape[0]
    k, trace = np.empty((batch, batch)), 0.0
    bias = 0.0 if orthogonal else square_bias
    # With a bias, the small squares that underflow do not matter.
    own = 2.0 ** (2.0 * exponent) if bias > 0.0 else 1.0
    for a in range(batch):
        for b in range(batch):
            k[a, b] = square_scale * (own * gram[a, b]) + bias
        trace += k[a, a]
    if math.isfinite(trace):
        cholesky(k, lower, RANK_TOLERANCE)
        if exponent != 0 and bias == 0.0:
            lower *= 2.0**exponent
    else:
        lower[:] = math.nan


@jit
def run_tiles(
    code, matrix, orthogonal, bias_std, units, first, last, live, layer, trial, key, control,
    ahead, ready, z, x, wide, product, sums, samples, squares, stop,
):  # fmt: skip
    """Compute, measure and discard the tiles `first`..`last`−1 of a layer of `units` units.

    `matrix` (batch, batch) maps normals to pre-activations. Unless weights are `orthogonal` it is
    triangular and includes the biases. If `ready`, the normals of the first tile are in `ahead`
    (batch, tile). `z`, `x`, `wide` (batch, tile) and `product` are scratch; the rest is as in
    moments.absorb. Returns False if a value is not finite.
    """
    tile = z.shape[1]
    bias = np.empty((1, tile), z.dtype)
    sums[:], samples[:], squares[:] = 0.0, 0.0, 0.0
    centred, sums[EXPONENT] = control[CENTRED] != 0, control[SCALED]
    for number in range(first, last):
        if stop[0]:
            return True
        drawn = ready and number == first
        xi = ahead if drawn else x
        if not drawn:
            draw_tile(xi, number, layer, trial, key)
        make_tile(matrix, orthogonal, bias_std, number, layer, trial, key, bias, xi, z)
        count = min(tile, units - number * tile)
        if live[0] > -math.inf or live[1] < math.inf:
            sums[DEAD] += count_dead(z, count, live[0], live[1])
        if live[2] < live[3]:
            sums[FLAT] += count_outside(z, count, live[2], live[3])
        activate(code, z, x)
        if not absorb(x, count, sums, samples, z, product, wide, squares, centred):
            return False
    return True


@jit
def finish_layer(
    units, square_scale, square_bias, orthogonal, narrow, saturates, sums, samples, squares, gram,
    lower, control, out,
):  # fmt: skip
    """Combine the sums of the members: `gram` and `lower` for the next layer, statistics to `out`
    (11,). Returns NEXT, AGAIN (the product was not precise enough) or END (overflow).

    `square_scale` and `square_bias` are the next layer's. `narrow` means that the network is
    float32, `saturates` that the activation is bounded.
    """
    batch = gram.shape[0]
    centred = control[CENTRED] != 0
    for member in range(1, squares.shape[0]):
        merge(sums, samples, squares, member)
    if not narrow:  # squares of float32 numbers do not underflow in float64
        exponent = exponent_of(sums[0, LARGEST], control[SCALED])
        if exponent != control[SCALED]:
            control[SCALED] = exponent
            return AGAIN
    finish_gram(sums[0], samples[0], squares[0], centred, gram)
    trace = 0.0
    for a in range(batch):
        trace += gram[a, a]
    if math.isfinite(trace):
        covariance_factor(gram, control[SCALED], square_scale, square_bias, orthogonal, lower)
        good = narrow and trusted(lower, square_scale, samples[0, SPREAD], units)
    else:
        good = False
    if centred and not good:
        control[CENTRED] = 0
        return AGAIN
    control[CENTRED] = good
    if not math.isfinite(trace):
        return END
    flat = math.nan
    if saturates:
        flat = sums[0, FLAT] / (f64(units) * f64(batch))
    conclude(units, sums[0], samples[0], gram, sums[0, DEAD] / units, flat, out)
    return NEXT


@jit
def forward(
    member, team, control, code, roots, first, gram, lower, matrix, fan_in, units,
    square_scales, square_biases, live, trial, key, ahead, tiles, wide, product, sums, samples,
    squares, whole, history, out, finite, done, stop,
):  # fmt: skip
    """Run layers first..first+count−1 of one trial; count is the number of rows of `out`.

    Every member of `team` (team.py) runs this with its own number on the same arrays; member 0
    leads. `gram` (batch, batch) is X Xᵀ of the layer before and becomes that of the last. `lower`
    (float64) and `matrix` (the network's type) are (batch, batch) scratch. `square_scales` and
    `square_biases` (2,) are the variances of weights (of Q's factor for orthogonal ones) and
    biases of the first layer and the others. `roots` (2, batch, batch) is scratch for orthogonal
    layers, None for Gaussian ones. Scratch with a first axis of members: `ahead` (…, batch, tile;
    empty for one member), `tiles` (…, 2, batch, tile), `wide` (…, batch, tile), `product`,
    `squares` (…, batch, batch), `sums` (…, SUMS), `samples` (…, SAMPLE_SUMS, batch), `whole` (…,).
    `history` (count or 0, batch, batch) receives the factor of K of each layer. The rest is as in
    dense.forward.
    """
    members, leads = team.size // STRIDE, member == 0
    count, narrow = count_tiles(units), matrix.itemsize == 4
    mine, end = count * member // members, count * (member + 1) // members
    z, x = tiles[member, 0], tiles[member, 1]
    early = ahead[member] if members > 1 else x
    ready, last = 0, first + out.shape[0] - 1
    orthogonal = roots is not None
    if leads:
        covariance_factor(
            gram, control[SCALED], square_scales[0], square_biases[0], orthogonal, lower
        )  # fmt: skip
    meet(team, member)
    i = 0
    while i < out.shape[0]:
        layer = first + i
        which = min(i, 1)
        # A layer whose Gram matrix was not precise enough is computed again with the same matrix.
        # `lower` then belongs to the next layer already.
        if control[VERDICT] != AGAIN:
            if leads and history.shape[0] > 0:
                copy(lower, history[i])
            total = max(fan_in if i == 0 else units, units)
            make_matrix(
                member, team, roots, total, lower, layer, trial, key, z, wide[member], squares,
                matrix, stop,
            )  # fmt: skip
        whole[member] = run_tiles(
            code, matrix, orthogonal, math.sqrt(square_biases[which]), units, mine, end, live,
            layer, trial, key, control, early, ready == layer, z, x, wide[member],
            product[member], sums[member], samples[member], squares[member], stop,
        )  # fmt: skip
        meet(team, member)
        if members > 1 and layer < last and ready != layer + 1:
            ready = layer + 1
            # The others would wait for the leader: they draw normals of the next layer meanwhile.
            if not leads:
                draw_tile(ahead[member], mine, ready, trial, key)
            if member == 1:
                draw_tile(ahead[0], 0, ready, trial, key)
        if leads:
            control[VERDICT] = END
            lost = 0
            for flag in whole:
                lost += not flag
            if stop[0] == 0 and lost == 0:
                control[VERDICT] = finish_layer(
                    units, square_scales[1], square_biases[1], orthogonal, narrow,
                    live[2] < live[3], sums, samples, squares, gram, lower, control, out[i],
                )  # fmt: skip
            if control[VERDICT] == NEXT:
                finite[i] = True
                done[0] += 1
            elif control[VERDICT] == END and stop[0] == 0:
                # After a non-finite layer no layer is finite or informative.
                finite[i:] = False
                out[i:] = math.nan
                done[0] += out.shape[0] - i
        meet(team, member)
        if control[VERDICT] == END:
            return
        i += control[VERDICT] == NEXT
