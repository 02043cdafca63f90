"""How the matrix-free sampler makes pre-activations: a matrix times normals, tile by tile.

For Gaussian weights the matrix is the Cholesky factor L of K. For Haar-orthogonal weights it is
L T⁻¹ with T Tᵀ = Ξ Ξᵀ, which turns the normals Ξ into a random frame.
"""

from __future__ import annotations

import numpy as np

from snstat.engine.kernels.blas import add_square, copy, lower_times
from snstat.engine.kernels.factor import RANK_TOLERANCE, cholesky, divide_right
from snstat.engine.kernels.jit import jit
from snstat.engine.kernels.random import BIASES, NORMAL, WEIGHTS, draw_rows
from snstat.engine.kernels.team import STRIDE, meet

f64 = np.float64


@jit
def frame_tiles(first, last, total, layer, trial, key, xi, wide, squares, stop):
    """Add Ξ Ξᵀ over tiles `first`..`last`−1 of the `total` columns of an orthogonal layer's frame
    to the lower triangle of `squares`; `xi` and `wide` (batch, tile) are scratch."""
    batch, tile = xi.shape
    squares[:] = 0.0
    for number in range(first, last):
        if stop[0]:
            return
        draw_rows(xi, number * batch, NORMAL, 1.0, WEIGHTS, layer, trial, key)
        for a in range(batch):
            for j in range(tile):
                wide[a, j] = f64(xi[a, j])
        add_square(wide, min(tile, total - number * tile), 1.0, squares)


@jit
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


@jit
def make_matrix(
    member, team, roots, total, lower, layer, trial, key, xi, wide, squares, matrix, stop
):
    """Write to `matrix` the map from normals to the pre-activations of a layer, from its `lower`.

    An orthogonal layer has a frame of `total` columns. Every member sums its tiles of Ξ Ξᵀ to
    squares[member], and T goes to `roots` (2, batch, batch), for even and odd layers. `xi` and
    `wide` are as in frame_tiles. Without a frame `roots` is None, and numba compiles no frame code.
    """
    members, leads = team.size // STRIDE, member == 0
    if roots is not None:
        count = (total + xi.shape[1] - 1) // xi.shape[1]
        mine, end = count * member // members, count * (member + 1) // members
        frame_tiles(mine, end, total, layer, trial, key, xi, wide, squares[member], stop)
        meet(team, member)
        if leads:
            framed(lower, squares, roots[layer % 2], matrix)
    else:
        batch = lower.shape[0]
        above, below = batch * member // members, batch * (member + 1) // members
        copy(lower[above:below], matrix[above:below])
    meet(team, member)


@jit
def draw_tile(xi, number, layer, trial, key):
    """Write the normals of a tile to `xi` (batch, tile)."""
    draw_rows(xi, number * xi.shape[0], NORMAL, 1.0, WEIGHTS, layer, trial, key)


@jit
def make_tile(matrix, orthogonal, bias_std, number, layer, trial, key, bias, xi, z):
    """Write the pre-activations of a tile to `z`, for its normals `xi`, both (batch, tile); `bias`
    (1, tile) is scratch."""
    lower_times(matrix, xi, z)
    if orthogonal and bias_std > 0.0:
        draw_rows(bias, number, NORMAL, bias_std, BIASES, layer, trial, key)
        for a in range(z.shape[0]):
            row = z[a]
            for j in range(row.size):
                row[j] += bias[0, j]
