"""How the matrix-free sampler makes pre-activations: a matrix times normals, tile by tile.

For Gaussian weights the matrix is the Cholesky factor L of K. For Haar-orthogonal weights it is
L T⁻¹ with T Tᵀ = Ξ Ξᵀ, which turns the normals Ξ into a random frame.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from snstat.engine.kernels.blas import add_square, copy, lower_times
from snstat.engine.kernels.factor import RANK_TOLERANCE, cholesky, divide_right
from snstat.engine.kernels.jit import inner
from snstat.engine.kernels.random import BIASES, NORMAL, STANDARD, WEIGHTS, Law, draw_rows
from snstat.engine.kernels.team import meet, share

f64 = np.float64


class Frame(NamedTuple):
    """Scratch of `make_matrix`: `xi` and `wide` (batch, tile) of one member, the latter float64,
    and `squares` (members, batch, batch, float64) of all."""

    xi: Any
    wide: Any
    squares: Any


@inner
def widen(x, units, wide):
    """Copy the first `units` columns of `x` to `wide`, both (batch, tile), the latter float64."""
    for a in range(x.shape[0]):
        for j in range(units):
            wide[a, j] = f64(x[a, j])


@inner
def frame_tiles(team, total, draw, frame):
    """Write Ξ Ξᵀ over this member's share of the `total` columns of an orthogonal layer's frame to
    the lower triangle of its `squares`."""
    xi, wide, squares = frame.xi, frame.wide, frame.squares[team.member]
    tile = xi.shape[1]
    first, end = share(team, (total + tile - 1) // tile)
    squares[:] = 0.0
    for number in range(first, end):
        if team.stop[0]:
            return
        draw_tile(xi, number, draw)
        widen(xi, tile, wide)
        add_square(wide, min(tile, total - number * tile), 1.0, squares)


@inner
def framed(lower, squares, root, matrix):
    """Write lower · T⁻¹ to `matrix`, with T Tᵀ = Ξ Ξᵀ the sum of `squares` (members, batch, batch,
    lower triangles), and T to `root`."""
    batch = lower.shape[0]
    for member in range(1, squares.shape[0]):
        for a in range(batch):
            for b in range(a + 1):
                squares[0, a, b] += squares[member, a, b]
    cholesky(squares[0], root, RANK_TOLERANCE)
    quotient = lower.copy()
    divide_right(quotient, root, False)
    copy(quotient, matrix)


@inner
def make_matrix(team, roots, total, lower, draw, frame, matrix):
    """Write to `matrix` the map from normals to the pre-activations of a layer, from its `lower`.

    An orthogonal layer has a frame of `total` columns. Every member sums its tiles of Ξ Ξᵀ, and T
    goes to `roots` (2, batch, batch), for even and odd layers. Without a frame `roots` is None, and
    numba compiles no frame code.
    """
    if roots is not None:
        frame_tiles(team, total, draw, frame)
        meet(team)
        if team.member == 0:
            framed(lower, frame.squares, roots[draw.layer % 2], matrix)
    else:
        above, below = share(team, lower.shape[0])
        copy(lower[above:below], matrix[above:below])
    meet(team)


@inner
def draw_tile(xi, number, draw):
    """Write the normals of a tile to `xi` (batch, tile)."""
    draw_rows(xi, number * xi.shape[0], STANDARD, WEIGHTS, draw)


@inner
def make_tile(matrix, orthogonal, variance, number, draw, xi, z):
    """Write the pre-activations of a tile to `z`, for its normals `xi`, both (batch, tile).

    The `matrix` of an `orthogonal` layer does not include the biases, which have this variance.
    """
    lower_times(matrix, xi, z)
    if orthogonal and variance > 0.0:
        bias = np.empty((1, z.shape[1]), z.dtype)
        draw_rows(bias, number, Law(NORMAL, math.sqrt(variance)), BIASES, draw)
        for a in range(z.shape[0]):
            row = z[a]
            for j in range(row.size):
                row[j] += bias[0, j]
