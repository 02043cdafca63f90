"""One layer of any network, sampled without its weights: forward.

As in matrix_free.py, pre-activations are L times normals Ξ, with L Lᵀ = K = s² XᵀX + b². Here all
of X is at hand, (units, columns): the columns are samples, at every position. Tiles of normals are
those of the matrix-free sampler, so that a uniform stack is the same network.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from snstat.engine.kernels.by_columns import add_square_of_columns, lower_times_transposed
from snstat.engine.kernels.factor import trusted
from snstat.engine.kernels.jit import inner, jit
from snstat.engine.kernels.matrix_free import covariance_factor
from snstat.engine.kernels.moments import exponent_of, finish_gram
from snstat.engine.kernels.random import BIASES, NORMAL, Law, draw_rows
from snstat.engine.kernels.sums import CENTRES, CROSS, SPREAD, Sums, reset, sums_of
from snstat.engine.kernels.tiles import Frame, draw_tile, make_matrix

f64 = np.float64


class Workspace(NamedTuple):
    """Scratch of `forward` for tiles of `tile` units and `columns` columns.

    `xi` (columns, tile) and `rows` (tile, columns), of the network's type; `wide` (columns, tile)
    and `wide_rows` (tile, columns), float64; `product` and `matrix` (columns, columns) of the
    network's type; `sums` of one member.
    """

    xi: Any
    rows: Any
    wide: Any
    wide_rows: Any
    product: Any
    matrix: Any
    sums: Sums


class Patched(NamedTuple):
    """The patches that `taps` take of `x` (channels, columns).

    `wide_rows` (tile, columns), float64, is scratch.
    """

    x: Any
    taps: Any
    wide_rows: Any


class Kept(NamedTuple):
    """What the way back needs of a layer: the factor `lower` of K (columns, columns), float64, and
    `roots` (2, columns, columns) as in tiles.make_matrix, None for Gaussian weights."""

    lower: Any
    roots: Any


@inner
def centre_rows(x, rows, centres):
    """Write the mean of each row of `x` (count, columns) to `centres`, and the rest to `rows`."""
    columns = x.shape[1]
    inverse = x.dtype.type(1.0 / columns)
    for j in range(x.shape[0]):
        row, own = x[j], rows[j]
        mean = x.dtype.type(0)
        for a in range(columns):
            mean += inverse * row[a]
        for a in range(columns):
            own[a] = row[a] - mean
        centres[j] = mean


@inner
def widen_rows(x, scale, wide):
    """Write `scale` · `x` (count, columns) to the first rows of `wide`, float64."""
    for j in range(x.shape[0]):
        row, own = x[j], wide[j]
        for a in range(row.size):
            own[a] = scale * f64(row[a])


@inner
def centred_sums(x, sums, workspace):
    """Write the sums of `x` (units, columns) that finish_gram takes to `sums`, by products of the
    network's type of what is left of X without the mean of each row."""
    layer, samples, square = sums
    product, tile = workspace.product, workspace.rows.shape[0]
    columns = x.shape[1]
    centres = np.empty(tile, x.dtype)
    cross, spread = samples[CROSS], samples[SPREAD]
    for first in range(0, x.shape[0], tile):
        count = min(tile, x.shape[0] - first)
        rows = workspace.rows[:count]
        centre_rows(x[first : first + count], rows, centres)
        for j in range(count):
            row, centre = rows[j], f64(centres[j])
            layer[CENTRES] += centre * centre
            for a in range(columns):
                d = f64(row[a])
                cross[a] += centre * d
                spread[a] += d * d
        add_square_of_columns(rows, 0.0, product)
        for a in range(columns):
            for b in range(a + 1):
                square[a, b] += f64(product[a, b])


@inner
def exact_sums(x, exponent, square, wide_rows):
    """Write XᵀX/4ᵉ with the `exponent` e to the lower triangle of `square`, by float64.

    `wide_rows` (tile, columns) is scratch.
    """
    tile = wide_rows.shape[0]
    for first in range(0, x.shape[0], tile):
        count = min(tile, x.shape[0] - first)
        wide = wide_rows[:count]
        widen_rows(x[first : first + count], 2.0**-exponent, wide)
        add_square_of_columns(wide, 1.0, square)


@inner
def largest_of(x):
    """Return the largest absolute value of `x` (units, columns)."""
    most = np.zeros(x.shape[1])
    for j in range(x.shape[0]):
        row = x[j]
        for a in range(row.size):
            most[a] = max(most[a], abs(f64(row[a])))
    return most.max()


@inner
def factor_of(x, layer, orthogonal, lower, workspace):
    """Write the factor of the K of a layer fed with `x` (units, columns) to `lower`: NaN where it
    overflows."""
    columns = x.shape[1]
    gram, sums = np.empty((columns, columns)), sums_of(workspace.sums, 0)
    reset(sums, 0)
    if x.itemsize == 4:
        centred_sums(x, sums, workspace)
        finish_gram(sums, True, gram)
        covariance_factor(gram, 0, layer, orthogonal, lower)
        if trusted(lower, layer.scale, sums.samples[SPREAD], layer.fan_in):
            return
        reset(sums, 0)
    exponent = 0
    if x.itemsize == 8:  # squares of float32 numbers do not underflow in float64
        exponent = exponent_of(largest_of(x), 0)
    exact_sums(x, exponent, sums.squares, workspace.wide_rows)
    finish_gram(sums, False, gram)
    covariance_factor(gram, exponent, layer, orthogonal, lower)


@inner
def factor_of_patches(patched, layer, orthogonal, lower):
    """Do as `factor_of` with patches, by float64.

    Their Gram matrix is a sum over taps of entries of that of the channels, so it takes as much
    less work as there are taps.
    """
    x, taps, wide_rows = patched
    count, after = x.shape[1], taps.sources.shape[1]
    own, gram = np.zeros((count, count)), np.zeros(lower.shape)
    exponent = 0
    if x.itemsize == 8:
        exponent = exponent_of(largest_of(x), 0)
    exact_sums(x, exponent, own, wide_rows)
    for a in range(count):
        for b in range(a):
            own[b, a] = own[a, b]
    for sources in taps.sources:
        for u in range(gram.shape[0]):
            source = sources[u % after]
            if source < 0:
                continue
            row, target = own[u // after * taps.before + source], gram[u]
            for sample in range(gram.shape[0] // after):
                there, here = row[sample * taps.before :], target[sample * after :]
                for j in range(after):
                    if sources[j] >= 0:
                        here[j] += there[sources[j]]
    covariance_factor(gram, exponent, layer, orthogonal, lower)


@inner
def add_biases(z, variance, number, tile, draw):
    """Add the biases of the units of a tile to the rows of `z` (count, columns)."""
    bias = np.empty((1, tile), z.dtype)
    draw_rows(bias, number, Law(NORMAL, math.sqrt(variance)), BIASES, draw)
    for j in range(z.shape[0]):
        row, own = z[j], bias[0, j]
        for a in range(row.size):
            row[a] += own


@jit
def forward(team, x, z, layer, draw, kept, workspace):
    """Write the pre-activations of a MatrixFreeLayer fed with `x` (fan_in, columns) to `z` (units,
    columns), and what the way back needs to `kept`. They are incomplete after a stop.

    The team has one member.
    """
    factor_of(x, layer, kept.roots is not None, kept.lower, workspace)
    draw_units(team, z, layer, draw, kept, workspace)


@jit
def forward_of_patches(team, patched, z, layer, draw, kept, workspace):
    """Do the same with patches."""
    factor_of_patches(patched, layer, kept.roots is not None, kept.lower)
    draw_units(team, z, layer, draw, kept, workspace)


@inner
def draw_units(team, z, layer, draw, kept, workspace):
    """Write the pre-activations of all units to `z`, from the factor that is `kept`."""
    xi, matrix = workspace.xi, workspace.matrix
    tile, orthogonal = xi.shape[1], kept.roots is not None
    frame = Frame(xi, workspace.wide, workspace.sums.squares)
    larger = max(layer.fan_in, layer.units)
    make_matrix(team, kept.roots, larger, kept.lower, draw, frame, matrix)
    for number in range((layer.units + tile - 1) // tile):
        if team.stop[0]:
            return
        first = number * tile
        part = z[first : min(first + tile, layer.units)]
        draw_tile(xi, number, draw)
        lower_times_transposed(matrix, xi, 0.0, part)
        if orthogonal and layer.bias > 0.0:
            add_biases(part, layer.bias, number, tile, draw)
