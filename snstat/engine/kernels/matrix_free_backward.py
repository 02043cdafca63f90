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
from typing import Any, NamedTuple

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
    Level,
    first_pass,
    first_pass_of_inputs,
    gather,
    second_pass,
)
from snstat.engine.kernels.jit import inner, jit
from snstat.engine.kernels.random import BIAS_NOISE, NORMAL, Draw, Law, draw_rows
from snstat.engine.kernels.team import meet, size_of
from snstat.engine.kernels.tiles import Frame, make_matrix

f64 = np.float64
# Rows of the result: ln of the squared norm of a layer's output gradient, and ln of the mean square
# of H, both for an H of mean square 1 in the layer above.
OUTPUT, STEP, RESULTS = 0, 1, 2
# Rows of the triangular C multiplied at once.
ROWS = 32
# A Cholesky factor costs as much as dividing this share of the rows of a batch.
FACTOR_SHARE = 0.6


class Trace(NamedTuple):
    """What the forward pass leaves of some trials: layer 0, `source` (trials, inputs, batch), and
    the factors of K of the layers of a stretch, `factors` (trials, count, batch, batch)."""

    source: Any
    factors: Any


class Carried(NamedTuple):
    """What a stretch leaves to the one below it, (batch, batch) float64: H Hᵀ (lower triangle) and
    H Ξᵀ of its first layer, for an H of mean square 1, and the factor `upper` of that layer's K."""

    square: Any
    along: Any
    upper: Any


class Found(NamedTuple):
    """What is found of some trials: `logarithms` (trials, RESULTS, depth + 1) of each layer,
    `gradients` (trials, depth + 1 or 0, batch, batch), H Hᵀ at mean square 1, and `verdict`
    (trials,), nonzero for a trial that is not finite and after a stop."""

    logarithms: Any
    gradients: Any
    verdict: Any


@inner
def turn(lower, root, tolerance, carried, workspace):
    """Compute what `combine` needs from the frames of an orthogonal layer.

    `lower` is the factor of K, `root` that of Ξ Ξᵀ, `tolerance` that of a pivot. E Xᵀ and E Eᵀ are
    those of member 0. H Ξᵀ becomes H U; `spread` becomes C F⁻¹, where F is the factor of the noise
    outside of Q, and `projected` E Q.
    """
    square, along, products = carried.square, carried.along, workspace.products
    spread, projected = workspace.spread, workspace.projected
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
    copy(products.noise_by_input[0], projected)
    divide_right(projected, lower, True)
    multiply(projected, projected.T.copy(), 0.0, part)
    rest = products.noise_by_noise[0] - part
    cholesky(rest, part, tolerance)
    divide_right(spread, part, False)


@inner
def project(above, below, layer, draw, lower, products, projected):
    """Write rows `above`..`below`−1 of E Q̃ = E X̃ᵀ L⁻ᵀ to `projected` (batch, batch)."""
    scale, own = math.sqrt(layer.scale), projected[above:below]
    rows, batch = own.shape
    own[:] = 0.0
    for part in products.noise_by_input[:, above:below]:
        for i in range(rows):
            for j in range(batch):
                own[i, j] += scale * part[i, j]
    bias = math.sqrt(layer.bias)
    if bias > 0.0:
        # The last column of X̃ is `bias` for every sample, and E has a column for it.
        extra = np.empty((1, batch), np.float64)
        draw_rows(extra, 0, Law(NORMAL, bias), BIAS_NOISE, draw)
        for i in range(rows):
            for j in range(batch):
                own[i, j] += extra[0, above + i]
    divide_right(own, lower, True)


@inner
def combine(above, below, square_scale, lower, along, workspace):
    """Write rows `above`..`below`−1 of A and B, and sums of A, with ∂L/∂X = A X + B E.

    `along` = H Ξᵀ (H U for frames); `lower` is the factor of K.
    """
    along, spread = along[above:below], workspace.spread[above:below]
    projected, coefficients = workspace.projected, workspace.coefficients
    rows, batch = along.shape
    quotient = np.empty((rows, batch))
    for start in range(0, rows, ROWS):
        end = min(start + ROWS, rows)
        # C is triangular, so these rows end here.
        length = above + end
        part = spread[start:end, :length].copy()
        multiply(part, projected[:length], 0.0, quotient[start:end])
    for i in range(rows):
        for j in range(batch):
            quotient[i, j] = along[i, j] - quotient[i, j]
    divide_right(quotient, lower, False)
    scale = math.sqrt(square_scale)
    for i in range(rows):
        row, total = above + i, 0.0
        for j in range(batch):
            entry = square_scale * quotient[i, j]
            coefficients.a[row, j] = entry
            coefficients.fine[row, j] = entry
            coefficients.b[row, j] = scale * spread[i, j]
        # A loop either stores or sums: see moments.absorb.
        for j in range(batch):
            total += coefficients.fine[row, j]
        coefficients.sums[row] = total


@inner
def join(parts):
    """Add parts[1:] (members, batch, batch) to the first."""
    for member in range(1, parts.shape[0]):
        parts[0] += parts[member]


@inner
def equal_work(batch, share):
    """Return the row up to which a `share` of the work of `combine` is done.

    Row i takes i columns of C, and its division as many as half the batch.
    """
    return int(batch * (math.sqrt(1.0 + 8.0 * share) - 1.0) / 2.0)


@inner
def make_coefficients(team, roots, tolerance, lower, layer, draw, carried, workspace):
    """Write A, B and the sums of A's rows for the gradient of the activations that feed `layer`.

    Every member computes its own rows. The leader computes the frames of an orthogonal layer and
    the factor of H Hᵀ, with `tolerance` for its pivots. `roots` is that of the workspace; `lower`
    is the layer's factor.
    """
    members, batch, products = size_of(team), lower.shape[0], workspace.products
    if roots is not None:
        if team.member == 0:
            join(products.noise_by_input)
            join(products.noise_by_noise)
            mirror(products.noise_by_noise[0])
            products.noise_by_input[0] *= math.sqrt(layer.scale)
            turn(lower, roots[draw.layer % 2], tolerance, carried, workspace)
    else:
        if team.member == 0:
            cholesky(carried.square, workspace.spread, tolerance)
        # The member that factorises gets this many rows fewer.
        spared = FACTOR_SHARE * batch
        share_of_leader = max((batch + spared) / members - spared, 0.0)
        above, below = 0, int(share_of_leader)
        if team.member > 0:
            others = batch - below
            above, below = (
                below + others * (team.member - 1) // (members - 1),
                below + others * team.member // (members - 1),
            )
        project(above, below, layer, draw, lower, products, workspace.projected)
    meet(team)
    above = equal_work(batch, team.member / members)
    below = equal_work(batch, (team.member + 1) / members)
    combine(above, below, layer.scale, lower, carried.along, workspace)
    meet(team)


@inner
def delicate(lower, layer, sample):
    """Return whether products with the input of a layer have to be exact. `lower` is the factor of
    the layer's K; `sample` is an array of the network's type."""
    return sample.itemsize == 4 and not benign(lower, layer.scale, layer.fan_in)


@inner
def run_trial(team, layers, above, draw, trace, carried, found, workspace):
    """Go backwards from layer draw.layer+count−1 to draw.layer, where count is the length of
    `trace.factors`; from layer 1, to layer 0.

    `trace` and `found` are those of one trial, without the axis of trials but in `verdict` (1,).
    """
    leads, orthogonal = team.member == 0, workspace.roots is not None
    source, factors = trace
    kept, products, sample = workspace.kept, workspace.products, workspace.matrix
    batch = carried.square.shape[0]
    depth = found.logarithms.shape[1] - 1
    frame = Frame(kept.noise[team.member], workspace.wide[team.member, 0], products.noise_by_input)
    tolerance = NARROW_TOLERANCE if sample.itemsize == 4 else RANK_TOLERANCE
    top = draw.layer + factors.shape[0] - 1
    # Where samples are nearly dependent, so are their gradients. `exact` says so of the output of
    # this layer, `careful` of its input.
    careful = top < depth and delicate(carried.upper, above, sample)
    for number in range(top, (0 if draw.layer == 1 else draw.layer) - 1, -1):
        here = Draw(draw.key, draw.trial, number)
        layer = layers.leading if number <= draw.layer else layers.later
        over = above
        if number < top:
            over = layers.leading if number < draw.layer else layers.later
        lower = factors[max(number - draw.layer, 0)]
        exact = careful
        careful = number > 0 and delicate(lower, layer, sample)
        units = source.shape[0] if number == 0 else layer.units
        # The noise of an orthogonal layer that is not square has the larger of its two dimensions.
        total = max(units, over.units) if orthogonal else units
        level = Level(units, total, number == depth, exact, careful)
        if number > 0:
            larger = max(layer.fan_in, layer.units)
            make_matrix(team, workspace.roots, larger, lower, here, frame, workspace.matrix)
            first_pass(team, layer, layers.activation, here, level, workspace)
        else:
            first_pass_of_inputs(team, source, here, level, workspace)
        meet(team)
        if number < depth:
            make_coefficients(
                team,
                workspace.roots,
                RANK_TOLERANCE if exact and not orthogonal else tolerance,
                carried.upper if number == top else factors[number + 1 - draw.layer],
                over,
                Draw(draw.key, draw.trial, number + 1),
                carried,
                workspace,
            )
        workspace.norms[team.member] = second_pass(team, layers.activation, here, level, workspace)
        meet(team)
        size = f64(units) * f64(batch)
        logarithm = gather(team, products, size, carried.square, carried.along)
        if leads:
            found.logarithms[STEP, number] = logarithm
            norm = workspace.norms.sum()
            found.logarithms[OUTPUT, number] = -math.inf if norm == 0.0 else math.log(norm)
            # One member decides, so that all continue or all stop.
            found.verdict[0] = team.stop[0]
        meet(team)
        if leads and found.gradients.shape[0] > 0:
            copy(carried.square, found.gradients[number])
            mirror(found.gradients[number])
        if found.verdict[0]:
            return
    if leads:
        copy(factors[0], carried.upper)


@jit
def backward(team, layers, above, draw, trace, carried, found, workspace):
    """Go back through a stretch of some trials, draw.trial..., one after the other: see
    `run_trial`.

    Every member of the team runs this. `layers` is a Layers of MatrixFreeLayer, `above` the layer
    above them. One call leaves `carried` of its last trial to the next, for the layers below. Small
    trials therefore share a call, as in matrix_free.forward, only where it goes through all layers.
    """
    for i in range(found.verdict.size):
        if found.verdict[i] == 0:
            here = Draw(draw.key, draw.trial + i, draw.layer)
            left = Trace(trace.source[i], trace.factors[i])
            own = Found(found.logarithms[i], found.gradients[i], found.verdict[i : i + 1])
            run_trial(team, layers, above, here, left, carried, own, workspace)
