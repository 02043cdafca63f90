"""The backward pass of the matrix-free sampler: draws what the forward pass left undetermined in W.

With X̃ = [s X, b 1] (s = σ_w/√fan_in, b the standard deviation of biases) and X̃ X̃ᵀ = L Lᵀ, the
forward pass used W̃ Q̃ = Ξᵀ, Q̃ᵀ = L⁻¹ X̃. On the complement of Q̃ the weights are independent of
everything downstream, so that for H = ∂L/∂Z

    H W̃ = (H Ξᵀ) Q̃ᵀ + C E (1 − Q̃ Q̃ᵀ),   C Cᵀ = H Hᵀ, E standard normal.

This is exact at every width and depth, because each weight matrix is used once forward and once
backward. The gradient of the activations is then A X + B E for two small matrices. H is scaled to
mean square 1 at every layer and the logarithms are added, to avoid overflow at any depth.

For Haar-orthogonal layers with frames U = (T⁻¹ Ξ)ᵀ and Q, O maps span Q to span U, and their
complements to each other uniformly.
"""

from __future__ import annotations

import math

import numpy as np

from snstat.engine.kernels.blas import copy, mirror, multiply
from snstat.engine.kernels.factor import (
    NARROW_TOLERANCE,
    RANK_TOLERANCE,
    benign,
    cholesky,
    divide_right,
)
from snstat.engine.kernels.gradient_tiles import (
    GRADIENTS,
    first_pass,
    first_pass_of_inputs,
    gather,
    second_pass,
)
from snstat.engine.kernels.jit import jit
from snstat.engine.kernels.random import BIAS_NOISE, NORMAL, draw_rows
from snstat.engine.kernels.team import STRIDE, meet
from snstat.engine.kernels.tiles import make_matrix

f64 = np.float64
# Rows of the result: ln of the squared norm of a layer's output gradient, and ln of the mean square
# of H, both for an H of mean square 1 in the layer above.
OUTPUT, STEP, RESULTS = 0, 1, 2
# The layers that the entries of variances and sizes refer to.
FIRST, OTHERS, ABOVE = 0, 1, 2
# Rows of the triangular C multiplied at once.
ROWS = 32
# A Cholesky factor costs as much as dividing this share of the rows of a batch.
FACTOR_SHARE = 0.6


@jit
def turn(square, along, cross, own, lower, root, tolerance, spread, projected):
    """Compute what `combine` needs from the frames of an orthogonal layer.

    `square` = H Hᵀ, `along` = H Ξᵀ (becomes H U), `cross` = E Xᵀ, `own` = E Eᵀ, `lower` is the
    factor of K, `root` that of Ξ Ξᵀ, `tolerance` that of a pivot. `spread` receives C with C F,
    where F is a frame of the complement of Q, and `projected` receives E Q. All are (batch, batch)
    float64.
    """
    batch = square.shape[0]
    part = np.empty((batch, batch))
    divide_right(along, root, True)
    for j in range(batch):
        if lower[j, j] == 0.0:
            # A sample that depends on others has no direction of its own.
            along[:, j] = 0.0
    multiply(along, along.T.copy(), 0.0, part)
    rest = square - part
    cholesky(rest, spread, tolerance)
    copy(cross, projected)
    divide_right(projected, lower, True)
    multiply(projected, projected.T.copy(), 0.0, part)
    rest = own - part
    cholesky(rest, part, tolerance)
    divide_right(spread, part, False)


@jit
def project(cross, first, scale, bias, layer, trial, key, lower, projected):
    """Write E Q̃ = E X̃ᵀ L⁻ᵀ to `projected` (rows, batch), from row `first` on. The sum of `cross`
    (members, rows, batch) over the members is E Xᵀ."""
    rows, batch = projected.shape
    projected[:] = 0.0
    for part in cross:
        for i in range(rows):
            for j in range(batch):
                projected[i, j] += scale * part[i, j]
    if bias > 0.0:
        # The last column of X̃ is `bias` for every sample, and E has a column for it.
        extra = np.empty((1, batch), np.float64)
        draw_rows(extra, 0, NORMAL, bias, BIAS_NOISE, layer, trial, key)
        for i in range(rows):
            for j in range(batch):
                projected[i, j] += extra[0, first + i]
    divide_right(projected, lower, True)


@jit
def combine(along, spread, first, projected, lower, square_scale, a, b, fine, sums):
    """Write rows of A (also in float64 to `fine`) and B, and sums of A, with ∂L/∂X = A X + B E.

    `along` = H Ξᵀ (H U for frames), `spread` = C, both (rows, batch) from row `first` on,
    `projected` = E Q̃ (batch, batch), `lower` the factor of K; all float64.
    """
    rows, batch = along.shape
    quotient = np.empty((rows, batch))
    for start in range(0, rows, ROWS):
        end = min(start + ROWS, rows)
        # C is triangular, so these rows end here.
        length = first + end
        part = spread[start:end, :length].copy()
        multiply(part, projected[:length], 0.0, quotient[start:end])
    for i in range(rows):
        for j in range(batch):
            quotient[i, j] = along[i, j] - quotient[i, j]
    divide_right(quotient, lower, False)
    scale = math.sqrt(square_scale)
    for i in range(rows):
        total = 0.0
        for j in range(batch):
            entry = square_scale * quotient[i, j]
            total += entry
            a[i, j] = entry
            fine[i, j] = entry
            b[i, j] = scale * spread[i, j]
        sums[i] = total


@jit
def join(parts):
    """Add parts[1:] (members, batch, batch) to the first."""
    for member in range(1, parts.shape[0]):
        parts[0] += parts[member]


@jit
def equal_work(batch, share):
    """Return the row up to which a `share` of the work of `combine` is done.

    Row i takes i columns of C, and its division as many as half the batch.
    """
    return int(batch * (math.sqrt(1.0 + 8.0 * share) - 1.0) / 2.0)


@jit
def make_coefficients(
    member, team, roots, tolerance, layer, trial, key, square_scale, square_bias, lower, small,
    cross, own, a, b, sums,
):  # fmt: skip
    """Write A, B and the sums of A's rows for the gradient of the activations below `layer`.

    Every member computes its own rows. The leader computes the frames of an orthogonal layer and
    the factor of H Hᵀ, with `tolerance` for its pivots. `small` and `roots` are as in backward,
    `lower` is the layer's factor.
    """
    members, batch = team.size // STRIDE, lower.shape[0]
    square, along, spread, projected, fine = small[0], small[1], small[2], small[3], small[4]
    scale = math.sqrt(square_scale)
    if roots is not None:
        if member == 0:
            join(cross)
            join(own)
            mirror(own[0])
            cross[0] *= scale
            turn(
                square, along, cross[0], own[0], lower, roots[layer % 2], tolerance, spread,
                projected,
            )  # fmt: skip
    else:
        if member == 0:
            cholesky(square, spread, tolerance)
        # The member that factorises gets this many rows fewer.
        spared = FACTOR_SHARE * batch
        share = max((batch + spared) / members - spared, 0.0)
        above, below = 0, int(share)
        if member > 0:
            rest = (batch - below) * (member - 1) // (members - 1)
            above, below = below + rest, below + (batch - below) * member // (members - 1)
        project(
            cross[:, above:below], above, scale, math.sqrt(square_bias), layer, trial, key, lower,
            projected[above:below],
        )  # fmt: skip
    meet(team, member)
    above = equal_work(batch, member / members)
    below = equal_work(batch, (member + 1) / members)
    combine(
        along[above:below], spread[above:below], above, projected, lower, square_scale,
        a[above:below], b[above:below], fine[above:below], sums[above:below],
    )  # fmt: skip
    meet(team, member)


@jit
def delicate(lower, square_scale, units, sample):
    """Return whether products with the input of a layer have to be exact. `lower` is the factor of
    the layer's K; `sample` is an array of the network's type."""
    return sample.itemsize == 4 and not benign(lower, square_scale, units)


@jit
def backward(
    member, team, code, first, factors, source, sizes, depth, square_scales, square_biases, trial,
    key, matrices, small, upper, roots, sums, kept, centres, tiles, wide, norms, product, cross,
    own, gradient, overlap, result, gradients, verdict, stop,
):  # fmt: skip
    """Go backwards from layer first+count−1 to `first`, where count is the length of `factors`.

    Every member of `team` runs this with its own number; member 0 leads. `sizes` (3,) are the
    fan_in of layer `first`, the units of all these layers, and those of the layer above them.
    `square_scales` and `square_biases` (3,) are the variances of weights (of Q's factor for
    orthogonal ones) and biases of the first layer, of the others, and of the layer above them.
    `factors` (count, batch, batch) holds the factors of K of the layers first…. `small` (5, batch,
    batch) holds H Hᵀ and H Ξᵀ of the layer above, then C, E Q̃ and A. `upper` is the factor of the
    layer above. One call leaves H Hᵀ, H Ξᵀ and `upper` to the next. `roots` (2, batch, batch) are
    the factors of Ξ Ξᵀ of even and odd layers (None for Gaussian ones).
    Scratch: `matrices` (3, batch, batch) of the network's type, `sums` (batch,), `kept` (KEPT,
    tiles, batch, tile), `centres` (tiles, tile), `verdict` (1,), and with a first axis of members
    `tiles` (…, batch, tile), `wide` (…, 2, batch, tile, float64), `norms` (…,), `product`, `cross`,
    `own`, `gradient`, `overlap` (…, batch, batch). `source` (fan_in, batch) is layer 0. `result`
    (RESULTS, depth + 1) receives the logarithms of each layer, `gradients` (depth + 1 or 0, batch,
    batch) H Hᵀ at mean square 1.
    """
    members, leads, orthogonal = team.size // STRIDE, member == 0, roots is not None
    batch, tile = kept.shape[2], kept.shape[3]
    fan_in, units, units_above = sizes[0], sizes[1], sizes[2]
    matrix, a, b = matrices[0], matrices[1], matrices[2]
    square, along = small[0], small[1]
    above, below = batch * member // members, batch * (member + 1) // members
    tolerance = NARROW_TOLERANCE if matrix.itemsize == 4 else RANK_TOLERANCE
    top = first + factors.shape[0] - 1
    # Where samples are nearly dependent, so are their gradients. `fed` says so of the output of
    # this layer, `careful` of its input.
    careful = top < depth and delicate(upper, square_scales[ABOVE], units, a)
    for layer in range(top, (0 if first == 1 else first) - 1, -1):
        which = FIRST if layer <= first else OTHERS
        over = ABOVE if layer == top else (FIRST if layer < first else OTHERS)
        lower = factors[max(layer - first, 0)]
        fed = careful
        careful = layer > 0 and delicate(lower, square_scales[which], units, a)
        width = source.shape[0] if layer == 0 else units
        total = width
        if orthogonal:
            # The noise of a layer that is not square has the larger of its two dimensions.
            total = max(width, units_above if layer == top else units)
        count = (total + tile - 1) // tile
        mine, end = count * member // members, count * (member + 1) // members
        if layer > 0:
            larger = max(fan_in if layer == first else units, units)
            make_matrix(
                member, team, roots, larger, lower, layer, trial, key, kept[GRADIENTS, member],
                wide[member, 0], cross, matrix, stop,
            )  # fmt: skip
            first_pass(
                code, matrix, orthogonal, math.sqrt(square_biases[which]), units, total, mine, end,
                layer < depth, layer, trial, key, fed, kept, centres, wide[member],
                product[member], cross[member], own[member], stop,
            )  # fmt: skip
        else:
            first_pass_of_inputs(
                source, total, mine, end, orthogonal, trial, key, fed, kept, centres,
                wide[member], product[member], cross[member], own[member], stop,
            )  # fmt: skip
        meet(team, member)
        if layer < depth:
            make_coefficients(
                member, team, roots, RANK_TOLERANCE if fed and not orthogonal else tolerance,
                layer + 1, trial, key, square_scales[over], square_biases[over],
                upper if layer == top else factors[layer + 1 - first], small, cross, own, a, b,
                sums,
            )  # fmt: skip
        norms[member] = second_pass(
            code, a, b, small[4], sums, width, mine, min(end, (width + tile - 1) // tile), layer,
            layer == depth, trial, key, fed, kept, centres, tiles[member], wide[member],
            product[member], gradient[member], overlap[member], careful, stop,
        )  # fmt: skip
        meet(team, member)
        logarithm = gather(
            gradient, overlap, above, below, f64(width) * f64(batch), square, along
        )  # fmt: skip
        if leads:
            result[STEP, layer] = logarithm
            norm = norms.sum()
            result[OUTPUT, layer] = -math.inf if norm == 0.0 else math.log(norm)
            # One member decides, so that all continue or all stop.
            verdict[0] = stop[0]
        meet(team, member)
        if leads and gradients.shape[0] > 0:
            copy(square, gradients[layer])
            mirror(gradients[layer])
        if verdict[0]:
            return
    if leads:
        copy(factors[0], upper)
