"""The two passes over the tiles of a layer in the backward pass (see matrix_free_backward.py).

The first pass computes the layer again, and the noise of the weights above it. The second computes
the gradients from the results of the first, which are kept for one layer only. Memory therefore
grows with the width but not with the depth.
"""

from __future__ import annotations

import math

import numpy as np

from snstat.engine.kernels.blas import add_product, add_square, lower_times, multiply
from snstat.engine.kernels.functions import activate, scale_by_derivative
from snstat.engine.kernels.jit import jit
from snstat.engine.kernels.random import NOISE, NORMAL, READOUT, draw_rows
from snstat.engine.kernels.tiles import draw_tile, make_tile

f64 = np.float64
# The arrays kept of a layer's tiles between its two passes: (KEPT, tiles, batch, tile).
NORMALS, PREACTIVATIONS, DIFFERENCES, GRADIENTS, KEPT = 0, 1, 2, 3, 4


@jit
def split(x, units, centre):
    """Set `centre` (tile,) to the mean of each unit over the batch and subtract it from `x`."""
    batch = x.shape[0]
    centre[:] = 0
    inverse = x.dtype.type(1.0 / batch)
    for a in range(batch):
        for j in range(units):
            centre[j] += inverse * x[a, j]
    for a in range(batch):
        for j in range(units):
            x[a, j] -= centre[j]


@jit
def widen(x, units, wide):
    """Copy the first `units` columns of `x` to `wide`, both (batch, tile), the latter float64."""
    for a in range(x.shape[0]):
        for j in range(units):
            wide[a, j] = f64(x[a, j])


@jit
def add_noise(x, centre, units, total, number, layer, trial, key, orthogonal, exact, noise, wide,
              product, cross, own):  # fmt: skip
    """Draw the noise E of a tile and add E Xᵀ to `cross`, and E Eᵀ to `own` if `orthogonal`.

    X is `x` (batch, tile) over `units` columns and 0 from there to `total`. Unless `exact`, its
    mean over the batch is split off to `centre` (tile,), because differences are small where inputs
    collapse. If `exact`, the product is in float64. `wide` (2, batch, tile) is scratch for it.
    """
    batch = x.shape[0]
    draw_rows(noise, number * batch, NORMAL, 1.0, NOISE, layer, trial, key)
    if exact and units > 0:
        widen(noise, units, wide[0])
        widen(x, units, wide[1])
        add_product(wide[0], wide[1], units, 1.0, cross)
    elif units > 0:
        split(x, units, centre)
        add_product(noise, x, units, 0.0, product)
        for a in range(batch):
            common = 0.0
            for j in range(units):
                common += f64(noise[a, j]) * f64(centre[j])
            for b in range(batch):
                cross[a, b] += f64(product[a, b]) + common
    if orthogonal:
        add_square(noise, total, 0.0, product)
        for a in range(batch):
            for b in range(a + 1):
                own[a, b] += f64(product[a, b])


@jit
def first_pass(
    code, matrix, orthogonal, bias_std, units, total, first, last, noisy, layer, trial, key, exact,
    kept, centres, wide, product, cross, own, stop,
):  # fmt: skip
    """Compute tiles `first`..`last`−1 of a layer of `units` again, and the noise of the layer above
    on them. The noise has `total` dimensions; those beyond the units are multiplied by 0."""
    tile = kept.shape[3]
    bias = np.empty((1, tile), matrix.dtype)
    cross[:] = 0.0
    if orthogonal:
        own[:] = 0.0
    for number in range(first, last):
        if stop[0]:
            return
        xi, z, x = kept[NORMALS, number], kept[PREACTIVATIONS, number], kept[DIFFERENCES, number]
        count = max(0, min(tile, units - number * tile))
        if count > 0:
            draw_tile(xi, number, layer, trial, key)
            make_tile(matrix, orthogonal, bias_std, number, layer, trial, key, bias, xi, z)
        if noisy:
            activate(code, z, x)
            add_noise(
                x, centres[number], count, min(tile, total - number * tile), number, layer, trial,
                key, orthogonal, exact, kept[GRADIENTS, number], wide, product, cross, own,
            )  # fmt: skip


@jit
def first_pass_of_inputs(
    source, total, first, last, orthogonal, trial, key, exact, kept, centres, wide, product, cross,
    own, stop,
):  # fmt: skip
    """Do the same as first_pass for layer 0, `source` (units, batch). The noise of an orthogonal
    layer has `total` dimensions, of which the inputs take the first."""
    units, batch = source.shape
    tile = kept.shape[3]
    cross[:] = 0.0
    if orthogonal:
        own[:] = 0.0
    for number in range(first, last):
        if stop[0]:
            return
        x = kept[DIFFERENCES, number]
        count = max(0, min(tile, units - number * tile))
        for j in range(count):
            for a in range(batch):
                x[a, j] = source[number * tile + j, a]
        add_noise(
            x, centres[number], count, min(tile, total - number * tile), number, 0, trial, key,
            orthogonal, exact, kept[GRADIENTS, number], wide, product, cross, own,
        )  # fmt: skip


@jit
def second_pass(
    code, a, b, fine, sums, units, first, last, layer, readout, trial, key, exact, kept, centres, h,
    wide, product, gradient, overlap, careful, stop,
):  # fmt: skip
    """Add H Hᵀ to `gradient` (lower triangle) and H Ξᵀ to `overlap` over tiles of a layer.

    Returns the sum of squares of the layer's output gradient G, over these tiles. G = A X + B E; in
    the last layer (`readout`) G is one normal for each unit and sample. H = G φ'(Z), or G at layer
    0. `sums` (batch,) are the sums of the rows of A. `fine` is A in float64, used if the product is
    `exact`. If `careful`, H Hᵀ is computed in float64. `h` (batch, tile) and `wide` (2, batch,
    tile) are scratch.
    """
    batch, tile = kept.shape[2], kept.shape[3]
    gradient[:], overlap[:] = 0.0, 0.0
    total = 0.0
    for number in range(first, last):
        if stop[0]:
            break
        count = min(tile, units - number * tile)
        z = kept[PREACTIVATIONS, number]
        if readout:
            draw_rows(h, number * batch, NORMAL, 1.0, READOUT, layer, trial, key)
        else:
            lower_times(b, kept[GRADIENTS, number], h)
            if exact:
                widen(kept[DIFFERENCES, number], tile, wide[1])
                multiply(fine, wide[1], 0.0, wide[0])
                for r in range(batch):
                    for j in range(count):
                        h[r, j] += wide[0, r, j]
            else:
                multiply(a, kept[DIFFERENCES, number], 1.0, h)
                for r in range(batch):
                    for j in range(count):
                        h[r, j] += sums[r] * centres[number, j]
        total += sum_of_squares(h, count)
        if layer > 0:
            scale_by_derivative(code, z, h)
            add_product(h, kept[NORMALS, number], count, 0.0, product)
            for r in range(batch):
                for c in range(batch):
                    overlap[r, c] += f64(product[r, c])
        if careful:
            widen(h, count, wide[0])
            add_square(wide[0], count, 1.0, gradient)
            continue
        add_square(h, count, 0.0, product)
        for r in range(batch):
            for c in range(r + 1):
                gradient[r, c] += f64(product[r, c])
    return total


@jit
def sum_of_squares(h, units):
    """Return the sum of squares of the first `units` columns of `h`, in float64."""
    total = 0.0
    for a in range(h.shape[0]):
        row = h[a]
        for j in range(units):
            total += f64(row[j]) * f64(row[j])
    return total


@jit
def gather(gradient, overlap, first, last, size, square, along):
    """Write rows `first`..`last`−1 of H Hᵀ (lower triangle) to `square` and of H Ξᵀ to `along`.

    Both are sums over the members of `gradient` and `overlap` (members, batch, batch). H is scaled
    to mean square 1 over its `size` values; the logarithm of its mean square before is returned.
    """
    members, batch = gradient.shape[0], gradient.shape[1]
    total = 0.0
    for member in range(members):
        for i in range(batch):
            total += gradient[member, i, i]
    mean = total / size
    logarithm = -math.inf if mean == 0.0 else math.nan
    if mean > 0.0 and math.isfinite(mean):
        logarithm = math.log(mean)
    else:
        mean = 1.0
    scale = 1.0 / math.sqrt(mean)
    for i in range(first, last):
        for j in range(i + 1):
            square[i, j] = gradient[0, i, j]
        for j in range(batch):
            along[i, j] = overlap[0, i, j]
        for member in range(1, members):
            for j in range(i + 1):
                square[i, j] += gradient[member, i, j]
            for j in range(batch):
                along[i, j] += overlap[member, i, j]
        for j in range(i + 1):
            square[i, j] /= mean
        for j in range(batch):
            along[i, j] *= scale
    return logarithm
