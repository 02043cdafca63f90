"""The backward pass of the matrix-free sampler: what forward did not say of W is drawn now.

With X̃ = [s X, b 1] (s = σ_w/√fan_in, b the deviation of biases) and X̃ X̃ᵀ = L Lᵀ, the forward
pass used W̃ Q̃ = Ξᵀ, Q̃ᵀ = L⁻¹ X̃. On the complement of Q̃ the weights are independent of everything
downstream, so that for H = ∂L/∂Z

    H W̃ = (H Ξᵀ) Q̃ᵀ + C E (1 − Q̃ Q̃ᵀ),   C Cᵀ = H Hᵀ, E standard normal,

exactly, at every width and depth: each weight matrix is met once forward and once backward. The
gradient of the activations is then A X + B E for two small matrices, and Ξ, E and X are made again
tile by tile from their counters. Gradients are scaled to mean square 1 at every layer and the
logarithms added, so that no depth overflows.

Haar-orthogonal layers (square): with frames U = (T⁻¹ Ξ)ᵀ and Q, O maps span Q to span U and the
complements to each other uniformly.
"""

from __future__ import annotations

import math

import numpy as np

from snstat.engine.kernels import functions, matrix_free, random
from snstat.engine.kernels.functions import activate, scale_by_derivative
from snstat.engine.kernels.jit import calls_into, jit
from snstat.engine.kernels.matrix_free import (
    add_gram,
    cholesky,
    mirror,
    tile_width,
    triangular_product,
)
from snstat.engine.kernels.random import BIAS_NOISE, BIASES, NOISE, READOUT, WEIGHTS, draw_rows

calls_into(__file__, functions, random, matrix_free)

f64 = np.float64


@jit
def divide_right(matrix, lower):
    """Return matrix · lower⁻¹, `lower` (n, n) triangular; zero pivots give zero columns."""
    n = lower.shape[0]
    result = matrix.copy()
    for j in range(n - 1, -1, -1):
        if lower[j, j] == 0.0:
            result[:, j] = 0.0
            continue
        for r in range(result.shape[0]):
            total = result[r, j]
            for i in range(j + 1, n):
                total -= result[r, i] * lower[i, j]
            result[r, j] = total / lower[j, j]
    return result


@jit
def divide_right_transposed(matrix, lower):
    """Return matrix · lower⁻ᵀ, `lower` (n, n) triangular; zero pivots give zero columns."""
    n = lower.shape[0]
    result = matrix.copy()
    for j in range(n):
        if lower[j, j] == 0.0:
            result[:, j] = 0.0
            continue
        for r in range(result.shape[0]):
            total = result[r, j]
            for i in range(j):
                total -= result[r, i] * lower[j, i]
            result[r, j] = total / lower[j, j]
    return result


@jit
def make_tile(matrix, orthogonal, bias_std, number, layer, trial, key, xi, z):
    """Draw again the normals `xi` of a tile and its pre-activations `z`, both (batch, tile)."""
    batch, tile = xi.shape
    draw_rows(xi, number * batch, False, 1.0, WEIGHTS, layer, trial, key)
    if orthogonal:
        np.dot(matrix, xi, z)
        if bias_std > 0.0:
            bias = np.empty((1, tile), xi.dtype)
            draw_rows(bias, number, False, bias_std, BIASES, layer, trial, key)
            z += bias
    else:
        triangular_product(matrix, xi, z)


@jit
def gradient_tiles(
    code, matrix, orthogonal, bias_std, readout, a, b, units, layer, trial, key, gram, overlap
):
    """Sum H Hᵀ to `gram` and H Ξᵀ to `overlap` (batch, batch, float64) over a layer's tiles.

    H = (A X + B E) φ'(Z), or for the last layer (`readout`) r φ'(Z) with one normal r a unit.
    """
    batch = matrix.shape[0]
    tile = tile_width(units)
    xi, z = np.empty((batch, tile), matrix.dtype), np.empty((batch, tile), matrix.dtype)
    x, h = np.empty((batch, tile), matrix.dtype), np.empty((batch, tile), matrix.dtype)
    noise, weights = np.empty((batch, tile), matrix.dtype), np.empty((1, tile), matrix.dtype)
    gram[:] = 0.0
    overlap[:] = 0.0
    for number in range((units + tile - 1) // tile):
        make_tile(matrix, orthogonal, bias_std, number, layer, trial, key, xi, z)
        if readout:
            draw_rows(weights, number, False, 1.0, READOUT, layer, trial, key)
            h[:] = weights
        else:
            activate(code, z, x)
            draw_rows(noise, number * batch, False, 1.0, NOISE, layer, trial, key)
            np.dot(a, x, h)
            h += np.dot(b, noise)
        scale_by_derivative(code, z, h)
        h[:, min(tile, units - number * tile) :] = 0
        wide = h.astype(np.float64)
        add_gram(wide, gram)
        overlap += np.dot(wide, xi.astype(np.float64).T)
    mirror(gram)


@jit
def noise_tiles(code, matrix, orthogonal, bias_std, units, layer, trial, key, cross, own):
    """Sum E Xᵀ to `cross` and E Eᵀ to `own` (batch, batch, float64) over a layer's tiles."""
    batch = matrix.shape[0]
    tile = tile_width(units)
    xi, z = np.empty((batch, tile), matrix.dtype), np.empty((batch, tile), matrix.dtype)
    x, noise = np.empty((batch, tile), matrix.dtype), np.empty((batch, tile), matrix.dtype)
    cross[:] = 0.0
    own[:] = 0.0
    for number in range((units + tile - 1) // tile):
        make_tile(matrix, orthogonal, bias_std, number, layer, trial, key, xi, z)
        activate(code, z, x)
        draw_rows(noise, number * batch, False, 1.0, NOISE, layer, trial, key)
        noise[:, min(tile, units - number * tile) :] = 0
        wide = noise.astype(np.float64)
        cross += np.dot(wide, x.astype(np.float64).T)
        add_gram(wide, own)
    mirror(own)


@jit
def noise_of_inputs(source, trial, key, cross, own):
    """Sum E Xᵀ and E Eᵀ over the units of the inputs `source` (units, batch)."""
    units, batch = source.shape
    tile = tile_width(units)
    noise = np.empty((batch, tile), source.dtype)
    cross[:] = 0.0
    own[:] = 0.0
    for number in range((units + tile - 1) // tile):
        count = min(tile, units - number * tile)
        draw_rows(noise, number * batch, False, 1.0, NOISE, 0, trial, key)
        noise[:, count:] = 0
        wide = noise.astype(np.float64)
        part = source[number * tile : number * tile + count].astype(np.float64)
        cross += np.dot(np.ascontiguousarray(wide[:, :count]), part)
        add_gram(wide, own)
    mirror(own)


@jit
def coefficients(
    gram, gradient, overlap, cross, own, square_scale, square_bias, orthogonal, root, layer,
    trial, key,
):  # fmt: skip
    """Return A and B with ∂L/∂X = A X + B E, for X of the layer before `layer`; all float64.

    `gram` = X Xᵀ, `gradient` = H Hᵀ, `overlap` = H Ξᵀ, `cross` = E Xᵀ, `own` = E Eᵀ; `root` is
    the Cholesky factor of Ξ Ξᵀ (orthogonal layers).
    """
    batch = gram.shape[0]
    lower, spread = np.empty((batch, batch)), np.empty((batch, batch))
    scale = math.sqrt(square_scale)
    if orthogonal:
        cholesky(gram, lower)
        turned = divide_right_transposed(overlap, root)  # H U
        cholesky(gradient - np.dot(turned, turned.T), spread)
        projected = divide_right_transposed(cross, lower)  # E Q
        frame = np.empty((batch, batch))
        cholesky(own - np.dot(projected, projected.T), frame)
        b = divide_right(spread, frame)
        a = divide_right(turned - np.dot(b, projected), lower)
        return scale * a, scale * b
    cholesky(square_scale * gram + square_bias, lower)
    cholesky(gradient, spread)
    projected = scale * cross
    if square_bias > 0.0:
        extra = np.empty((1, batch), np.float64)
        draw_rows(extra, 0, False, math.sqrt(square_bias), BIAS_NOISE, layer, trial, key)
        for i in range(batch):
            projected[i] += extra[0, i]
    projected = divide_right_transposed(projected, lower)  # E Q̃
    a = divide_right(overlap - np.dot(spread, projected), lower)
    return square_scale * a, scale * spread


@jit
def trace_of_inputs(a, b, gram, cross, own):
    """Return the sum of squares of A X + B E from the Gram matrices of X and E."""
    total = 0.0
    mixed = np.dot(np.dot(b, cross), a.T)
    first, second = np.dot(np.dot(a, gram), a.T), np.dot(np.dot(b, own), b.T)
    for i in range(a.shape[0]):
        total += first[i, i] + second[i, i] + 2.0 * mixed[i, i]
    return total
