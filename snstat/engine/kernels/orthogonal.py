"""Layers with Haar-orthogonal weights: products with Q and Qᵀ, without forming Q.

Arrays hold units by rows, `(width, batch)`, float32 or float64.
"""

from __future__ import annotations

import math

import numpy as np

from snstat.engine.kernels.jit import inner, jit
from snstat.engine.kernels.random import STANDARD, WEIGHTS, draw_rows

# Reflectors applied together. With more of them the triangular factor costs more than the larger
# matrix product saves.
REFLECTORS = 32

f64 = np.float64


@inner
def reflector_signs(signs, n, draw, dtype_of):
    """Write the sign of each reflector's vector to `signs` (fan_in,)."""
    row = np.empty((1, n), dtype_of.dtype)
    for k in range(signs.size):
        draw_rows(row, k, STANDARD, WEIGHTS, draw)
        signs[k] = -1.0 if row[0, k] >= 0 else 1.0


@inner
def reflector_block(v, factor, first, signs, draw):
    """Draw reflectors `first`... to the rows of `v` (size, n), and their triangular factor.

    Their product is I − vᵀ · factor · v (forward compact WY: Schreiber, Van Loan 1989).
    """
    size, n = v.shape
    draw_rows(v, first, STANDARD, WEIGHTS, draw)
    factor[:] = 0
    for i in range(size):
        k = first + i
        v[i, :k] = 0
        norm = 0.0
        for j in range(k, n):
            norm += f64(v[i, j]) * f64(v[i, j])
        v[i, k] -= signs[k] * math.sqrt(norm)
        norm = 0.0
        for j in range(k, n):
            norm += f64(v[i, j]) * f64(v[i, j])
        tau = 2.0 / norm
        factor[i, i] = tau
        if i > 0:
            overlap = np.dot(v[:i], v[i])
            factor[:i, i] = -tau * np.dot(np.ascontiguousarray(factor[:i, :i]), overlap)


@jit
def orthogonal(x, z, gain, draw, stop):
    """z = gain · Q x with Q a fan_out × fan_in corner of a Haar-random orthogonal matrix.

    Q is a product of Householder reflectors of Gaussian vectors of decreasing length (Stewart,
    SIAM J. Numer. Anal. 17 (1980) 403; signs as in Mezzadri, arXiv:math-ph/0609050). They are
    applied `REFLECTORS` at a time, so that Q itself is never formed. `x` (fan_in, batch),
    `z` (fan_out, batch).
    """
    fan_in, batch = x.shape
    fan_out = z.shape[0]
    n = max(fan_in, fan_out)
    # Reflector k acts on coordinates k.. only, so those past fan_in act on zeros.
    work = np.zeros((n, batch), x.dtype)
    vectors = np.empty((REFLECTORS, n), x.dtype)
    signs = np.ones(fan_in)
    reflector_signs(signs, n, draw, x)
    sign = 1.0
    for k in range(fan_in):
        sign *= signs[k]
        for j in range(batch):
            work[k, j] = sign * x[k, j]
    for block in range((fan_in - 1) // REFLECTORS, -1, -1):
        if stop[0]:
            return
        first = block * REFLECTORS
        size = min(REFLECTORS, fan_in - first)
        v = vectors[:size]
        factor = np.empty((size, size), x.dtype)
        reflector_block(v, factor, first, signs, draw)
        work -= np.dot(v.T, np.dot(factor, np.dot(v, work)))
    for i in range(fan_out):
        for j in range(batch):
            z[i, j] = gain * work[i, j]


@jit
def orthogonal_transposed(h, out, gain, draw, stop):
    """out = gain · Qᵀ h for the Q of `orthogonal`: `h` (fan_out, batch), `out` (fan_in, batch)."""
    fan_out, batch = h.shape
    fan_in = out.shape[0]
    n = max(fan_in, fan_out)
    work = np.zeros((n, batch), h.dtype)
    work[:fan_out] = h
    vectors = np.empty((REFLECTORS, n), h.dtype)
    signs = np.ones(fan_in)
    reflector_signs(signs, n, draw, h)
    for block in range((fan_in - 1) // REFLECTORS + 1):
        if stop[0]:
            return
        first = block * REFLECTORS
        size = min(REFLECTORS, fan_in - first)
        v = vectors[:size]
        factor = np.empty((size, size), h.dtype)
        reflector_block(v, factor, first, signs, draw)
        work -= np.dot(v.T, np.dot(factor.T, np.dot(v, work)))
    sign = 1.0
    for k in range(fan_in):
        sign *= signs[k]
        for j in range(batch):
            out[k, j] = gain * sign * work[k, j]
