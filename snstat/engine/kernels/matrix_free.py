"""The jitted core of the matrix-free sampler: the same network, without ever drawing a weight.

Given the activations X (batch, fan_in) of a layer, the pre-activations Z = X Wᵀ + 1 bᵀ of the next
have independent columns N(0, K), K = (σ_w²/fan_in) X Xᵀ + σ_b² 1 1ᵀ. So Z = L Ξ with K = L Lᵀ and Ξ
standard normal: exact in distribution, at every width. Only K is carried from layer to layer;
units are made, measured and forgotten a tile at a time, and a tile is (batch, units).

For Haar-orthogonal weights Ξ becomes a random frame, T⁻¹ Ξ with Ξ Ξᵀ = T Tᵀ over max(fan_in,
fan_out) columns, of which the first fan_out are used.
"""

from __future__ import annotations

import math

import numpy as np

from snstat.engine.kernels import functions, random
from snstat.engine.kernels.functions import activate
from snstat.engine.kernels.jit import calls_into, jit
from snstat.engine.kernels.random import BIASES, WEIGHTS, draw_rows

calls_into(__file__, functions, random)

f64 = np.float64
# Units made at once: a tile of a few hundred samples stays in the level-2 cache.
TILE = 256
# Rows of a triangular product done at once: half of the square is left out, in steps of this.
BLOCK = 64
# Columns of a Cholesky factor made at once.
PANEL = 32
# A pivot this small against its diagonal is rounding: the sample is a combination of others.
RANK_TOLERANCE = 1e-14
# Sums over units: value of the shift, four powers about it, the spread over the batch, dead units.
SHIFT, POWER_1, POWER_2, POWER_3, POWER_4, OVER_BATCH, DEAD, SUMS = 0, 1, 2, 3, 4, 5, 6, 7


@jit
def tile_width(units):
    """Return how many units a tile holds: a function of the shape alone."""
    return min(TILE, (units + 15) // 16 * 16)


@jit
def cholesky(k, lower):
    """Write to `lower` the lower triangular factor of the positive semidefinite `k` (n, n).

    Both float64. Columns whose pivot is rounding are zero, so that identical samples stay
    identical; the rest is the textbook algorithm by panels of columns.
    """
    n = k.shape[0]
    lower[:] = 0.0
    for first in range(0, n, PANEL):
        last = min(first + PANEL, n)
        # One row of `panel` is one column of the factor.
        panel = k[first:, first:last].T.copy()
        if first > 0:
            left = np.ascontiguousarray(lower[first:, :first])
            panel -= np.dot(left[: last - first], left.T)
        for j in range(last - first):
            row = panel[j]
            for i in range(j):
                factor = panel[i, j]
                for c in range(j, n - first):
                    row[c] -= factor * panel[i, c]
            pivot = row[j]
            if pivot > RANK_TOLERANCE * k[first + j, first + j]:
                scale = 1.0 / math.sqrt(pivot)
                for c in range(j, n - first):
                    row[c] *= scale
            else:
                row[j:] = 0.0
        for j in range(last - first):
            for c in range(j, n - first):
                lower[first + c, first + j] = panel[j, c]


@jit
def triangular_product(lower, x, out):
    """Out = lower · x, leaving out the zeros above the diagonal by blocks of rows.

    `lower` (n, n), `x` and `out` (n, columns), of one dtype.
    """
    n = lower.shape[0]
    for first in range(0, n, BLOCK):
        last = min(first + BLOCK, n)
        np.dot(np.ascontiguousarray(lower[first:last, :last]), x[:last], out[first:last])


@jit
def add_gram(x, gram):
    """Add x xᵀ to the lower blocks of `gram` (n, n); `x` (n, columns) is float64."""
    n = x.shape[0]
    for first in range(0, n, BLOCK):
        last = min(first + BLOCK, n)
        gram[first:last, :last] += np.dot(x[first:last], x[:last].T)


@jit
def mirror(gram):
    """Copy the lower triangle of `gram` to the upper one."""
    for i in range(gram.shape[0]):
        for j in range(i):
            gram[j, i] = gram[i, j]


@jit
def count_dead(z, units, low, high):
    """Return how many of the first `units` columns of `z` have no value between the bounds."""
    live = np.zeros(units, np.uint8)
    for row in z:
        for j in range(units):
            live[j] |= (row[j] > low) & (row[j] < high)
    return units - live.sum()


@jit
def absorb(x, units, first, sums, sample_sums, wide, gram):
    """Add the first `units` columns of a tile `x` (batch, tile) to the sums of its layer.

    `sums` (SUMS,) and `sample_sums` (3, batch): shift, sum and sum of squares about it of each
    sample; `first` sets the shifts. `wide` (batch, tile) is float64 scratch. Returns False if a
    value is not finite.
    """
    batch, tile = x.shape
    largest = np.finfo(x.dtype).max
    finite = True
    centre = np.zeros(units)
    for a in range(batch):
        row, target = x[a], wide[a]
        for j in range(units):
            value = f64(row[j])
            finite &= abs(row[j]) <= largest
            target[j] = value
            centre[j] += value
        for j in range(units, tile):
            target[j] = 0.0
    if not finite:
        return False
    if first:
        for a in range(batch):
            total = 0.0
            for j in range(units):
                total += wide[a, j]
            sample_sums[0, a] = total / units
        sums[SHIFT] = sample_sums[0].mean()
    shift = sums[SHIFT]
    s1 = s2 = s3 = s4 = spread = 0.0
    for j in range(units):
        centre[j] /= batch
    for a in range(batch):
        row = wide[a]
        own = sample_sums[0, a]
        t1 = t2 = 0.0
        for j in range(units):
            value = row[j]
            d = value - shift
            square = d * d
            s1 += d
            s2 += square
            s3 += square * d
            s4 += square * square
            e = value - own
            t1 += e
            t2 += e * e
            c = value - centre[j]
            spread += c * c
        sample_sums[1, a] += t1
        sample_sums[2, a] += t2
    sums[POWER_1] += s1
    sums[POWER_2] += s2
    sums[POWER_3] += s3
    sums[POWER_4] += s4
    sums[OVER_BATCH] += spread
    add_gram(wide, gram)
    return True


@jit
def conclude(units, sums, sample_sums, gram, dead_fraction, out):
    """Write the statistics of a layer of `units` units to `out` (8,) from its sums."""
    batch = gram.shape[0]
    size = f64(units) * f64(batch)
    out[:] = math.nan
    # Powers about the shift, moved to the mean: the shift is so close to it that nothing cancels.
    delta = sums[POWER_1] / size
    second = sums[POWER_2] / size
    third = sums[POWER_3] / size
    fourth = sums[POWER_4] / size
    variance = max(second - delta * delta, 0.0)
    out[0] = sums[SHIFT] + delta
    out[1] = variance
    trace = 0.0
    over_units = 0.0
    alive = True
    for a in range(batch):
        trace += gram[a, a]
        alive &= gram[a, a] > 0.0
        mean = sample_sums[1, a] / units
        over_units += max(sample_sums[2, a] / units - mean * mean, 0.0)
    out[2] = trace / size
    out[3] = sums[OVER_BATCH] / size
    out[4] = over_units / batch
    if alive and batch > 1:
        # 1 − cosine, which keeps its precision where inputs have become alike.
        apart = 0.0
        for a in range(batch):
            for b in range(a):
                lengths = math.sqrt(gram[a, a] * gram[b, b])
                apart += (lengths - gram[a, b]) / lengths
        out[5] = 1.0 - 2.0 * apart / (f64(batch) * (batch - 1))
    if variance > 0.0:
        central = fourth - 4.0 * delta * third + 6.0 * delta**2 * second - 3.0 * delta**4
        out[6] = central / variance / variance
    out[7] = dead_fraction


@jit
def begin(source, out, gram):
    """Measure inputs `source` (units, batch) as layer 0: statistics to `out`, Gram to `gram`."""
    units, batch = source.shape
    tile = tile_width(units)
    sums, sample_sums = np.zeros(SUMS), np.zeros((3, batch))
    x = np.zeros((batch, tile), source.dtype)
    wide = np.empty((batch, tile))
    gram[:] = 0.0
    out[:] = math.nan
    for first in range(0, units, tile):
        count = min(tile, units - first)
        x[:, :count] = source[first : first + count].T
        if not absorb(x, count, first == 0, sums, sample_sums, wide, gram):
            return False
    mirror(gram)
    conclude(units, sums, sample_sums, gram, math.nan, out)
    return True


@jit
def frame_root(fan_in, fan_out, layer, trial, key, sample, batch):
    """Return the Cholesky factor of Ξ Ξᵀ over the columns of an orthogonal layer's frame."""
    frame, root = np.zeros((batch, batch)), np.empty((batch, batch))
    total = max(fan_in, fan_out)
    tile = tile_width(fan_out)
    xi = np.empty((batch, tile), sample.dtype)
    for first in range(0, total, tile):
        draw_rows(xi, first // tile * batch, False, 1.0, WEIGHTS, layer, trial, key)
        wide = xi.astype(np.float64)
        wide[:, min(tile, total - first) :] = 0.0
        add_gram(wide, frame)
    mirror(frame)
    cholesky(frame, root)
    return root


@jit
def factor(gram, square_scale, square_bias, orthogonal, fan_in, fan_out, layer, trial, key, sample):
    """Return the matrix F (batch, batch) in the dtype of `sample` with Z = F Ξ, biases of
    orthogonal layers apart.

    `gram` (batch, batch) is X Xᵀ of the layer before.
    """
    batch = gram.shape[0]
    lower = np.empty((batch, batch))
    if not orthogonal:
        cholesky(square_scale * gram + square_bias, lower)
        return lower.astype(sample.dtype)
    cholesky(square_scale * gram, lower)
    root = frame_root(fan_in, fan_out, layer, trial, key, sample, batch)
    return np.dot(lower, np.linalg.inv(root)).astype(sample.dtype)


@jit
def run_tiles(
    code, matrix, orthogonal, bias_std, units, first, last, live, layer, trial, key,
    sums, sample_sums, gram, stop,
):  # fmt: skip
    """Make, measure and forget the tiles `first`..`last`−1 of a layer of `units` units.

    `matrix` (batch, batch) maps normals to pre-activations; it is triangular, and holds the
    biases, unless weights are `orthogonal`. Tile 0 sets the shifts of the sums. Returns False if
    a value is not finite.
    """
    batch = matrix.shape[0]
    tile = tile_width(units)
    xi = np.empty((batch, tile), matrix.dtype)
    z = np.empty((batch, tile), matrix.dtype)
    bias = np.empty((1, tile), matrix.dtype)
    wide = np.empty((batch, tile))
    for number in range(first, last):
        if stop[0]:
            return True
        draw_rows(xi, number * batch, False, 1.0, WEIGHTS, layer, trial, key)
        if orthogonal:
            np.dot(matrix, xi, z)
            if bias_std > 0.0:
                draw_rows(bias, number, False, bias_std, BIASES, layer, trial, key)
                z += bias
        else:
            triangular_product(matrix, xi, z)
        count = min(tile, units - number * tile)
        if live[0] > -math.inf or live[1] < math.inf:
            sums[DEAD] += count_dead(z, count, live[0], live[1])
        activate(code, z, xi)
        if not absorb(xi, count, number == 0, sums, sample_sums, wide, gram):
            return False
    return True


@jit
def forward(
    code, orthogonal, first, gram, fan_in, units, sample, square_scales, square_biases,
    live, trial, key, out, finite, done, stop,
):  # fmt: skip
    """Run layers first..first+count−1 of one trial; count is the number of rows of `out`.

    `gram` (batch, batch) is X Xᵀ of the layer before and becomes that of the last. `sample` is an
    empty array of the network's dtype; `square_scales` and `square_biases` (2,) are the variances
    of weights (of Q's factor for orthogonal ones) and biases of the first layer and the others.
    The rest is as in dense.forward.
    """
    batch = gram.shape[0]
    tiles = (units + tile_width(units) - 1) // tile_width(units)
    for i in range(out.shape[0]):
        layer = first + i
        which = min(i, 1)
        inputs = fan_in if i == 0 else units
        matrix = factor(
            gram, square_scales[which], square_biases[which], orthogonal, inputs, units,
            layer, trial, key, sample,
        )  # fmt: skip
        sums, sample_sums = np.zeros(SUMS), np.zeros((3, batch))
        gram[:] = 0.0
        finite[i] = run_tiles(
            code, matrix, orthogonal, math.sqrt(square_biases[which]), units, 0, tiles, live,
            layer, trial, key, sums, sample_sums, gram, stop,
        )  # fmt: skip
        if stop[0]:
            return
        done[0] += 1
        out[i] = math.nan
        if not finite[i]:
            for later in range(i + 1, out.shape[0]):
                finite[later] = False
                out[later] = math.nan
            done[0] += out.shape[0] - i - 1
            return
        mirror(gram)
        conclude(units, sums, sample_sums, gram, sums[DEAD] / units, out[i])
