"""The way back through one layer of any network whose weights are not drawn.

The formulas are those of matrix_free_backward.py: ∂L/∂X = A X + B E, for the noise E of what the
forward pass left undetermined in W. Here X, H = ∂L/∂Z and the result are (units, columns). E is
numbered as in the matrix-free sampler, by the layer below.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from snstat.engine.kernels.blas import add_product, add_square, multiply
from snstat.engine.kernels.by_columns import (
    add_square_of_columns,
    lower_times_transposed,
    multiply_transposed,
)
from snstat.engine.kernels.dense_backward import sum_of_squares
from snstat.engine.kernels.factor import NARROW_TOLERANCE, RANK_TOLERANCE
from snstat.engine.kernels.gradient_tiles import Coefficients, Products
from snstat.engine.kernels.jit import inner, jit
from snstat.engine.kernels.matrix_free_backward import Carried, delicate, make_coefficients
from snstat.engine.kernels.random import NOISE, STANDARD, Draw, draw_rows
from snstat.engine.kernels.tiles import draw_tile, widen
from snstat.engine.kernels.weight_free import Workspace as Scratch
from snstat.engine.kernels.weight_free import centre_rows, widen_rows

f64 = np.float64
# Gradients are divided by a power of two between these (float32, float64) and their inverses.
LARGEST_EXPONENT, LARGEST_EXPONENT_DOUBLE = 120, 1000


class Workspace(NamedTuple):
    """Scratch of `backward`.

    `forward` is as in the forward pass, but that `wide` has tiles of the input. `noise` (tiles,
    columns, tile), of the network's type, are those of all tiles of the input. The rest is as in
    gradient_tiles, for a team of one member.
    """

    forward: Scratch
    noise: Any
    coefficients: Coefficients
    spread: Any
    projected: Any
    products: Products


@inner
def sums_of_gradient(team, h, scale, draw, exact, carried, workspace):
    """Write H Hᵀ (lower triangle) and H Ξᵀ to `carried`, for `h`/`scale` instead of H.

    Products with itself are in float64 if `exact`.
    """
    scratch = workspace.forward
    xi, rows, wide, product = scratch.xi, scratch.rows, scratch.wide_rows, scratch.product
    square, along, tile, columns = carried.square, carried.along, xi.shape[1], h.shape[1]
    square[:], along[:] = 0.0, 0.0
    inverse = h.dtype.type(1.0 / scale)
    for first in range(0, h.shape[0], tile):
        if team.stop[0]:
            return
        count = min(tile, h.shape[0] - first)
        part = rows[:count]
        for j in range(count):
            row, own = h[first + j], part[j]
            for a in range(columns):
                own[a] = inverse * row[a]
        draw_tile(xi, first // tile, draw)
        multiply_transposed(xi, part, product)
        for a in range(columns):
            for b in range(columns):
                along[a, b] += f64(product[a, b])
        if exact:
            widen_rows(part, 1.0, wide)
            add_square_of_columns(wide[:count], 1.0, square)
        else:
            add_square_of_columns(part, 0.0, product)
            for a in range(columns):
                for b in range(a + 1):
                    square[a, b] += f64(product[a, b])


@inner
def add_noise(x, noise, number, total, draw, exact, workspace):
    """Draw tile `number` of E to `noise` (columns, tile) and add E Xᵀ to the products, and E Eᵀ
    over the `total` dimensions of the noise of orthogonal weights (else 0).

    `x` (count, columns) are the tile's units. See gradient_tiles.add_noise.
    """
    scratch, products = workspace.forward, workspace.products
    cross, product, tile = products.noise_by_input[0], scratch.product, noise.shape[1]
    count, columns = x.shape
    draw_rows(noise, number * columns, STANDARD, NOISE, draw)
    if exact and count > 0:
        wide = scratch.wide_rows[:tile]
        wide[count:] = 0.0
        widen_rows(x, 1.0, wide)
        widen(noise, tile, scratch.wide)
        multiply(scratch.wide, wide, 1.0, cross)
    elif count > 0:
        centres, rows = np.empty(count, x.dtype), scratch.rows[:tile]
        rows[count:] = 0.0
        centre_rows(x, rows, centres)
        multiply(noise, rows, 0.0, product)
        for a in range(columns):
            common = 0.0
            for j in range(count):
                common += f64(noise[a, j]) * f64(centres[j])
            for b in range(columns):
                cross[a, b] += f64(product[a, b]) + common
    if total > 0:
        own = products.noise_by_noise[0]
        add_square(noise, min(tile, total - number * tile), 0.0, product)
        for a in range(columns):
            for b in range(a + 1):
                own[a, b] += f64(product[a, b])


@inner
def combine_tile(x, noise, turned, out, exact, workspace):
    """Write A X + B E to `out` for the units of a tile, `x` and `out` (count, columns). `turned` is
    Aᵀ."""
    scratch = workspace.forward
    _, b, fine, sums = workspace.coefficients
    count, columns = x.shape
    if exact:
        widen_rows(x, 1.0, scratch.wide_rows)
        result = np.empty((count, columns))
        add_product(scratch.wide_rows[:count], fine, columns, 0.0, result)
        lower_times_transposed(b, noise, 0.0, out)
        for j in range(count):
            row, own = out[j], result[j]
            for r in range(columns):
                row[r] += own[r]
        return
    centres = np.empty(count, x.dtype)
    centre_rows(x, scratch.rows[:count], centres)
    multiply(scratch.rows[:count], turned, 0.0, out)
    lower_times_transposed(b, noise, 1.0, out)
    for j in range(count):
        row, centre = out[j], f64(centres[j])
        for r in range(columns):
            row[r] += centre * sums[r]


@jit
def backward(team, x, h, out, layer, draw, kept, workspace):
    """Write Wᵀ h to `out` (fan_in, columns), for the `h` (units, columns) of a layer that was fed
    with `x` (fan_in, columns).

    `layer`, `draw` and `kept` are those of weight_free.forward. NaN where h is not finite. The
    result is incomplete after a stop. The team has one member.
    """
    columns, size = h.shape[1], f64(h.shape[0]) * f64(h.shape[1])
    scratch, products = workspace.forward, workspace.products
    tile = workspace.noise.shape[2]
    total = sum_of_squares(h)
    if total == 0.0:
        out[:] = 0.0
        return
    if not total < math.inf:
        out[:] = math.nan
        return
    # A power of two, so that nothing is rounded.
    most = LARGEST_EXPONENT if h.itemsize == 4 else LARGEST_EXPONENT_DOUBLE
    exponent = math.floor(0.5 * math.log2(total / size))
    scale = 2.0 ** min(max(exponent, -most), most)
    exact = delicate(kept.lower, layer, scratch.xi)
    carried = Carried(np.empty((columns, columns)), np.empty((columns, columns)), np.empty((0, 0)))
    sums_of_gradient(team, h, scale, draw, exact, carried, workspace)
    orthogonal = kept.roots is not None
    larger = max(layer.fan_in, layer.units) if orthogonal else layer.fan_in
    below = Draw(draw.key, draw.trial, draw.layer - 1)
    products.noise_by_input[:], products.noise_by_noise[:] = 0.0, 0.0
    for number in range((larger + tile - 1) // tile):
        if team.stop[0]:
            return
        first = min(number * tile, layer.fan_in)
        part = x[first : min(first + tile, layer.fan_in)]
        noise = workspace.noise[number]
        add_noise(part, noise, number, larger if orthogonal else 0, below, exact, workspace)
    tolerance = NARROW_TOLERANCE if h.itemsize == 4 else RANK_TOLERANCE
    if exact and not orthogonal:
        tolerance = RANK_TOLERANCE
    make_coefficients(
        team, kept.roots, tolerance, kept.lower, layer, draw, carried, workspace
    )  # fmt: skip
    turned, a = scratch.product, workspace.coefficients.a
    for i in range(columns):
        for j in range(columns):
            turned[j, i] = a[i, j]
    for number in range((layer.fan_in + tile - 1) // tile):
        first, end = number * tile, min(number * tile + tile, layer.fan_in)
        combine_tile(
            x[first:end], workspace.noise[number], turned, out[first:end], exact, workspace
        )
    own = h.dtype.type(scale)
    for j in range(layer.fan_in):
        row = out[j]
        for a in range(columns):
            row[a] *= own
