"""The two passes over the tiles of a layer in the backward pass (see matrix_free_backward.py).

The first pass computes the layer again, and the noise of the weights above it. The second computes
the gradients from the results of the first, which are kept for one layer only. Memory therefore
grows with the width but not with the depth.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from snstat.engine.kernels.blas import add_product, add_square, lower_times, multiply
from snstat.engine.kernels.functions import activate, scale_by_derivative
from snstat.engine.kernels.jit import inner
from snstat.engine.kernels.random import NOISE, READOUT, STANDARD, draw_rows
from snstat.engine.kernels.team import share
from snstat.engine.kernels.tiles import draw_tile, make_tile, widen

f64 = np.float64


class Level(NamedTuple):
    """One layer on the way back: its `units`, the `total` dimensions of the noise of the weights
    above it, and whether it is the `last` layer.

    Products with its output have to be in float64 if `exact`, those with its gradient if `careful`.
    """

    units: int
    total: int
    last: bool
    exact: bool
    careful: bool


class Kept(NamedTuple):
    """What is kept of the tiles of a layer between its two passes, of the network's type.

    Its normals Ξ, pre-activations, activations X (less their means over the batch, unless these
    have to be exact) and the noise E of the weights above, (tiles, batch, tile); and `centres`
    (tiles, tile), the means.
    """

    normals: Any
    preactivations: Any
    activations: Any
    noise: Any
    centres: Any


class Products(NamedTuple):
    """Sums of each member over its tiles, (members, batch, batch) and float64: E Xᵀ, E Eᵀ, H Hᵀ,
    H Ξᵀ. Of E Eᵀ and H Hᵀ only the lower triangle is."""

    noise_by_input: Any
    noise_by_noise: Any
    gradient_by_gradient: Any
    gradient_by_normals: Any


class Coefficients(NamedTuple):
    """A and B, (batch, batch) of the network's type, with ∂L/∂X = A X + B E. `fine` is A in float64
    and `sums` (batch,) are the sums of its rows."""

    a: Any
    b: Any
    fine: Any
    sums: Any


class Workspace(NamedTuple):
    """Scratch of a backward pass.

    `matrix` and `roots` are as in tiles.make_matrix; a stretch of layers leaves `roots` to the one
    below it. `spread` is C, with C Cᵀ = H Hᵀ, and
    `projected` E Q̃, (batch, batch), float64. Of each member: `tiles` (members, batch, tile) and
    `product` (members, batch, batch) of the network's type; `wide` (members, 2, batch, tile) and
    `norms` (members,), float64.
    """

    matrix: Any
    roots: Any
    coefficients: Coefficients
    spread: Any
    projected: Any
    kept: Kept
    products: Products
    tiles: Any
    product: Any
    wide: Any
    norms: Any


@inner
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


@inner
def tiles_of(team, level, workspace):
    """Return (first, end) of this member's tiles of a layer and of the noise above it."""
    tile = workspace.kept.noise.shape[2]
    return share(team, (level.total + tile - 1) // tile)


@inner
def begin_noise(team, workspace):
    """Set this member's sums of `add_noise` to 0."""
    workspace.products.noise_by_input[team.member][:] = 0.0
    if workspace.roots is not None:
        workspace.products.noise_by_noise[team.member][:] = 0.0


@inner
def add_noise(team, number, level, draw, workspace):
    """Draw the noise E of tile `number` and add E Xᵀ to the products, and E Eᵀ for orthogonal
    weights.

    X is 0 beyond the units of the layer. Unless its products have to be exact, its mean over the
    batch is split off, because differences are small where inputs collapse. Exact products are in
    float64.
    """
    kept, wide, product = (
        workspace.kept,
        workspace.wide[team.member],
        workspace.product[team.member],
    )
    x, noise, centre = kept.activations[number], kept.noise[number], kept.centres[number]
    cross = workspace.products.noise_by_input[team.member]
    batch, tile = x.shape
    units = max(0, min(tile, level.units - number * tile))
    draw_rows(noise, number * batch, STANDARD, NOISE, draw)
    if level.exact and units > 0:
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
    if workspace.roots is not None:
        own = workspace.products.noise_by_noise[team.member]
        add_square(noise, min(tile, level.total - number * tile), 0.0, product)
        for a in range(batch):
            for b in range(a + 1):
                own[a, b] += f64(product[a, b])


@inner
def first_pass(team, layer, activation, draw, level, workspace):
    """Compute this member's tiles of a layer again, and the noise of the layer above on them. The
    dimensions of the noise beyond the units are multiplied by 0."""
    kept, orthogonal = workspace.kept, workspace.roots is not None
    begin_noise(team, workspace)
    first, end = tiles_of(team, level, workspace)
    for number in range(first, end):
        if team.stop[0]:
            return
        xi, z = kept.normals[number], kept.preactivations[number]
        if number * xi.shape[1] < level.units:
            draw_tile(xi, number, draw)
            make_tile(workspace.matrix, orthogonal, layer.bias, number, draw, xi, z)
        if not level.last:
            activate(activation.code, z, kept.activations[number])
            add_noise(team, number, level, draw, workspace)


@inner
def first_pass_of_inputs(team, source, draw, level, workspace):
    """Do the same as first_pass for layer 0, `source` (units, batch)."""
    begin_noise(team, workspace)
    first, end = tiles_of(team, level, workspace)
    for number in range(first, end):
        if team.stop[0]:
            return
        x = workspace.kept.activations[number]
        batch, tile = x.shape
        for j in range(max(0, min(tile, level.units - number * tile))):
            for a in range(batch):
                x[a, j] = source[number * tile + j, a]
        add_noise(team, number, level, draw, workspace)


@inner
def second_pass(team, activation, draw, level, workspace):
    """Sum H Hᵀ (lower triangle) and H Ξᵀ over this member's tiles of a layer.

    Returns the sum of squares of the layer's output gradient G, over these tiles. G = A X + B E; in
    the last layer G is one normal for each unit and sample. H = G φ'(Z), or G at layer 0.
    """
    kept, wide, product = (
        workspace.kept,
        workspace.wide[team.member],
        workspace.product[team.member],
    )
    gradient = workspace.products.gradient_by_gradient[team.member]
    overlap = workspace.products.gradient_by_normals[team.member]
    a, b, fine, sums = workspace.coefficients
    h = workspace.tiles[team.member]
    batch, tile = h.shape
    gradient[:], overlap[:] = 0.0, 0.0
    total = 0.0
    first, end = tiles_of(team, level, workspace)
    for number in range(first, min(end, (level.units + tile - 1) // tile)):
        if team.stop[0]:
            break
        count = min(tile, level.units - number * tile)
        if level.last:
            draw_rows(h, number * batch, STANDARD, READOUT, draw)
        else:
            lower_times(b, kept.noise[number], h)
            if level.exact:
                widen(kept.activations[number], tile, wide[1])
                multiply(fine, wide[1], 0.0, wide[0])
                for r in range(batch):
                    for j in range(count):
                        h[r, j] += wide[0, r, j]
            else:
                multiply(a, kept.activations[number], 1.0, h)
                for r in range(batch):
                    for j in range(count):
                        h[r, j] += sums[r] * kept.centres[number, j]
        total += sum_of_squares(h, count)
        if draw.layer > 0:
            scale_by_derivative(activation.code, kept.preactivations[number], h)
            add_product(h, kept.normals[number], count, 0.0, product)
            for r in range(batch):
                for c in range(batch):
                    overlap[r, c] += f64(product[r, c])
        if level.careful:
            widen(h, count, wide[0])
            add_square(wide[0], count, 1.0, gradient)
            continue
        add_square(h, count, 0.0, product)
        for r in range(batch):
            for c in range(r + 1):
                gradient[r, c] += f64(product[r, c])
    return total


@inner
def sum_of_squares(h, units):
    """Return the sum of squares of the first `units` columns of `h`, in float64."""
    total = 0.0
    for a in range(h.shape[0]):
        row = h[a]
        for j in range(units):
            total += f64(row[j]) * f64(row[j])
    return total


@inner
def gather(team, products, size, square, along):
    """Write this member's rows of H Hᵀ (lower triangle) to `square` and of H Ξᵀ to `along`.

    Both are sums over the members. H is scaled to mean square 1 over its `size` values; the
    logarithm of its mean square before is returned.
    """
    gradient, overlap = products.gradient_by_gradient, products.gradient_by_normals
    first, end = share(team, square.shape[0])
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
    for i in range(first, end):
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
