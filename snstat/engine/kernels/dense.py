"""The jitted core of the dense sampler: statistics, layers, and the loop over depth.

Arrays hold units by rows, `(width, batch)`, so that a block of units is contiguous. Networks are
float32 or float64; statistics are always float64.
"""

from __future__ import annotations

import math

import numpy as np

from snstat.engine.kernels import functions, random
from snstat.engine.kernels.functions import activate
from snstat.engine.kernels.jit import calls_into, jit
from snstat.engine.kernels.random import BIASES, WEIGHTS, draw_rows

calls_into(__file__, functions, random)

NORMAL, UNIFORM, ORTHOGONAL = 0, 1, 2
DISTRIBUTIONS = {"normal": NORMAL, "uniform": UNIFORM, "orthogonal": ORTHOGONAL}
# Columns of the statistics array, in the order of results.STATISTICS.
STATISTIC_COUNT = 8
# Reflectors applied together in the orthogonal sampler; beyond this the triangular factor costs
# more than the larger matrix product saves.
REFLECTORS = 32

f64 = np.float64

# --------------------------------------------------------------------------- statistics


@jit
def dead_units(z, low, high):
    """Return the number of rows of `z` (units, batch) with no value strictly between the bounds."""
    dead = 0
    for i in range(z.shape[0]):
        live = False
        for value in z[i]:
            live |= low < value < high
        dead += not live
    return dead


@jit
def measure(x, dead_fraction, out):
    """Write the statistics of `x` (units, batch) to `out` (8,); return False if x is not finite.

    Two passes: means first, then everything about them, so that nothing cancels. An undefined
    statistic (the cosine of one sample or of a zero vector, the kurtosis of a constant) is NaN.
    """
    units, batch = x.shape
    unit_mean = np.zeros(units)
    sample_sum, sample_square = np.zeros(batch), np.zeros(batch)
    largest = np.finfo(x.dtype).max
    out[:] = math.nan
    finite = True
    for i in range(units):
        row = x[i]
        total = 0.0
        for j in range(batch):
            value = f64(row[j])
            finite &= abs(row[j]) <= largest
            total += value
            sample_sum[j] += value
            sample_square[j] += value * value
        unit_mean[i] = total / batch
    if not finite:
        return False
    mean = unit_mean.mean()
    sample_mean = sample_sum / units
    scale = np.zeros(batch)
    alive = True
    for j in range(batch):
        alive &= sample_square[j] > 0.0
        scale[j] = 1.0 / math.sqrt(sample_square[j]) if sample_square[j] > 0.0 else 0.0
    second = fourth = over_batch = over_units = resultant = 0.0
    for i in range(units):
        row = x[i]
        centre = unit_mean[i]
        direction = 0.0
        for j in range(batch):
            value = f64(row[j])
            square = (value - mean) * (value - mean)
            second += square
            fourth += square * square
            over_batch += (value - centre) * (value - centre)
            over_units += (value - sample_mean[j]) * (value - sample_mean[j])
            direction += value * scale[j]
        resultant += direction * direction
    size = f64(units) * f64(batch)
    out[0] = mean
    out[1] = second / size
    out[2] = sample_square.sum() / size
    out[3] = over_batch / size
    out[4] = over_units / size
    if alive and batch > 1:
        # |sum of unit vectors|² = batch + batch (batch − 1) · mean cosine
        out[5] = (resultant - batch) / (f64(batch) * (batch - 1))
    if second > 0.0:
        out[6] = fourth / second * (size / second)
    out[7] = dead_fraction
    return True


# --------------------------------------------------------------------------- dense layers


@jit
def dense(x, z, tile, uniform, scale, layer, trial, key, stop):
    """z = W x with W (fan_out, fan_in) drawn in tiles that stay in cache.

    `x` (fan_in, batch), `z` (fan_out, batch), `tile` scratch of at least fan_in values; `scale`
    is the standard deviation of a weight.
    """
    fan_in, fan_out = x.shape[0], z.shape[0]
    rows = tile.size // fan_in
    for first in range(0, fan_out, rows):
        if stop[0]:
            return
        count = min(rows, fan_out - first)
        block = tile[: count * fan_in].reshape(count, fan_in)
        draw_rows(block, first, uniform, scale, WEIGHTS, layer, trial, key)
        np.dot(block, x, z[first : first + count])


@jit
def reflector_signs(signs, n, layer, trial, key, dtype_of):
    """Write to `signs` (fan_in,) the sign that each reflector's vector is given."""
    row = np.empty((1, n), dtype_of.dtype)
    for k in range(signs.size):
        draw_rows(row, k, False, 1.0, WEIGHTS, layer, trial, key)
        signs[k] = -1.0 if row[0, k] >= 0 else 1.0


@jit
def reflector_block(v, factor, first, signs, layer, trial, key):
    """Draw reflectors `first`... to the rows of `v` (size, n), and their triangular factor.

    Their product is I − vᵀ · factor · v (forward compact WY: Schreiber, Van Loan 1989).
    """
    size, n = v.shape
    draw_rows(v, first, False, 1.0, WEIGHTS, layer, trial, key)
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
def orthogonal(x, z, gain, layer, trial, key, stop):
    """z = gain · Q x with Q a fan_out × fan_in corner of a Haar-random orthogonal matrix.

    Q is a product of Householder reflectors of Gaussian vectors of falling length (Stewart,
    SIAM J. Numer. Anal. 17 (1980) 403; signs as in Mezzadri, arXiv:math-ph/0609050), applied
    `REFLECTORS` at a time, so that Q itself is never formed. `x` (fan_in, batch),
    `z` (fan_out, batch).
    """
    fan_in, batch = x.shape
    fan_out = z.shape[0]
    n = max(fan_in, fan_out)
    # Reflector k moves coordinates k.. only, so those past fan_in meet zeros.
    work = np.zeros((n, batch), x.dtype)
    vectors = np.empty((REFLECTORS, n), x.dtype)
    signs = np.ones(fan_in)
    reflector_signs(signs, n, layer, trial, key, x)
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
        reflector_block(v, factor, first, signs, layer, trial, key)
        work -= np.dot(v.T, np.dot(factor, np.dot(v, work)))
    for i in range(fan_out):
        for j in range(batch):
            z[i, j] = gain * work[i, j]


@jit
def orthogonal_transposed(h, out, gain, layer, trial, key, stop):
    """out = gain · Qᵀ h for the Q of `orthogonal`: `h` (fan_out, batch), `out` (fan_in, batch)."""
    fan_out, batch = h.shape
    fan_in = out.shape[0]
    n = max(fan_in, fan_out)
    work = np.zeros((n, batch), h.dtype)
    work[:fan_out] = h
    vectors = np.empty((REFLECTORS, n), h.dtype)
    signs = np.ones(fan_in)
    reflector_signs(signs, n, layer, trial, key, h)
    for block in range((fan_in - 1) // REFLECTORS + 1):
        if stop[0]:
            return
        first = block * REFLECTORS
        size = min(REFLECTORS, fan_in - first)
        v = vectors[:size]
        factor = np.empty((size, size), h.dtype)
        reflector_block(v, factor, first, signs, layer, trial, key)
        work -= np.dot(v.T, np.dot(factor.T, np.dot(v, work)))
    sign = 1.0
    for k in range(fan_in):
        sign *= signs[k]
        for j in range(batch):
            out[k, j] = gain * sign * work[k, j]


@jit
def forward(
    code, distribution, first, source, state, z, tile, scales, biases, uniform_bias,
    live, trial, key, out, finite, done, stop,
):  # fmt: skip
    """Run layers first..first+count−1 of one trial; count is the number of rows of `out`.

    `source` (fan_in, batch) feeds the first of them, `state` (width, batch) receives every
    layer's activations in turn, `z` (width, batch) and `tile` are scratch. `scales` and `biases`
    (2,) are the standard deviations of weights and biases of the first layer and of the others
    (for orthogonal weights the scale multiplies Q). `live` (2,) bounds the pre-activations whose
    derivative is not 0. `out` (count, 8) and `finite` (count,) receive the statistics, `done`
    (1,) counts finished layers, and a nonzero `stop` (1,) ends the run early.
    """
    bias = np.empty((1, z.shape[0]), z.dtype)
    for i in range(out.shape[0]):
        layer = first + i
        x = source if i == 0 else state
        which = min(i, 1)
        if distribution == ORTHOGONAL:
            orthogonal(x, z, scales[which], layer, trial, key, stop)
        else:
            uniform = distribution == UNIFORM
            dense(x, z, tile, uniform, scales[which], layer, trial, key, stop)
        if stop[0]:
            return
        if biases[which] > 0:
            draw_rows(bias, 0, uniform_bias, biases[which], BIASES, layer, trial, key)
            for unit in range(z.shape[0]):
                z[unit] += bias[0, unit]
        activate(code, z, state)
        dead = dead_units(z, live[0], live[1]) / z.shape[0]
        finite[i] = measure(state, dead, out[i])
        done[0] += 1
        if not finite[i]:
            # Nothing after a non-finite layer can be finite or informative.
            for later in range(i + 1, out.shape[0]):
                finite[later] = False
                out[later] = math.nan
            done[0] += out.shape[0] - i - 1
            return
