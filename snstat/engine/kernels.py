"""The jitted core: random numbers, activations, statistics, and the loop over depth.

Everything that a kernel calls stands in this one file, because numba's on-disk cache does not
notice a changed callee in another file. Arrays hold units by rows: `(width, batch)`, so that a
block of units is contiguous. Networks are float32 or float64; statistics are always float64.

Random numbers are Philox4x32-10 (Salmon, Moraes, Dror, Shaw, *Parallel random numbers: as easy
as 1, 2, 3*, SC'11): four 32-bit words are a function of a 128-bit counter (index, purpose,
layer, trial) and a 64-bit key (the seed). Streams cannot overlap, and any block of any matrix
can be drawn by any thread, again, in any order.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit, types
from numba.extending import overload

# No "nnan"/"ninf": kernels must see non-finite values. No "arcp"/"afn": results stay portable.
FAST = {"contract", "reassoc", "nsz"}
inlined = njit(inline="always")


def jit(function):
    """Compile without the GIL, cached on disk where a cache can be written."""
    try:
        return njit(function, cache=True, nogil=True, fastmath=FAST)
    except RuntimeError:  # no writable place for the cache
        return njit(function, nogil=True, fastmath=FAST)


SELU, RELU, LEAKY_RELU, ELU, GELU, SILU = 0, 1, 2, 3, 4, 5
TANH, SIGMOID, SOFTPLUS, ERF, HARD_TANH, IDENTITY = 6, 7, 8, 9, 10, 11
CODES = {
    "selu": SELU,
    "relu": RELU,
    "leaky_relu": LEAKY_RELU,
    "elu": ELU,
    "gelu": GELU,
    "silu": SILU,
    "tanh": TANH,
    "sigmoid": SIGMOID,
    "softplus": SOFTPLUS,
    "erf": ERF,
    "hard_tanh": HARD_TANH,
    "identity": IDENTITY,
}
NORMAL, UNIFORM, ORTHOGONAL = 0, 1, 2
DISTRIBUTIONS = {"normal": NORMAL, "uniform": UNIFORM, "orthogonal": ORTHOGONAL}
WEIGHTS, BIASES, INPUTS = 0, 1, 2
# Columns of the statistics array, in the order of results.STATISTICS.
STATISTIC_COUNT = 8
# Reflectors applied together in the orthogonal sampler; beyond this the triangular factor costs
# more than the larger matrix product saves.
REFLECTORS = 32

SELU_ALPHA = 1.6732632423543772848170429916717
SELU_LAMBDA = 1.0507009873554804934193349852946
LEAKY_SLOPE = 0.01
SQRT_HALF = math.sqrt(0.5)

u32, u64, i32 = np.uint32, np.uint64, np.int32
f32, f64 = np.float32, np.float64
MASK = u64(0xFFFFFFFF)
HIGH = u64(32)
MULTIPLIER_0, MULTIPLIER_1 = u64(0xD2511F53), u64(0xCD9E8D57)
WEYL_0, WEYL_1 = u64(0x9E3779B9), u64(0xBB67AE85)
PURPOSE_SHIFT = u64(24)

# --------------------------------------------------------------------------- random numbers


@inlined
def philox(c0, c1, c2, c3, k0, k1):
    """Return the four 32-bit words (held in uint64) of one counter."""
    for _ in range(10):
        product_0 = MULTIPLIER_0 * c0
        product_1 = MULTIPLIER_1 * c2
        c0, c1 = (product_1 >> HIGH) ^ c1 ^ k0, product_1 & MASK
        c2, c3 = (product_0 >> HIGH) ^ c3 ^ k1, product_0 & MASK
        k0, k1 = (k0 + WEYL_0) & MASK, (k1 + WEYL_1) & MASK
    return c0, c1, c2, c3


@jit
def philox_call(c0, c1, c2, c3, k0, k1):
    """Return what `philox` returns, compiled once: for loops that cannot be vectorised anyway."""
    return philox(c0, c1, c2, c3, k0, k1)


@jit
def normal_pair(a, b, scale):
    """Return two float32 normals of standard deviation `scale` from two words (Box–Muller).

    log, sin and cos are the single-precision polynomials of Cephes (Moshier), branch-free so
    that LLVM vectorises them. |x| reaches sqrt(2 ln 2^33) = 6.76 standard deviations.
    """
    uniform = f32(f32(a) + f32(0.5)) * f32(2.0**-32)
    bits = np.float32(uniform).view(np.int32)
    exponent = i32(i32(bits - i32(0x3F3504F3)) >> i32(23))
    m = np.int32(bits - i32(exponent << i32(23))).view(np.float32) - f32(1)
    y = f32(7.0376836292e-2)
    y = y * m + f32(-1.1514610310e-1)
    y = y * m + f32(1.1676998740e-1)
    y = y * m + f32(-1.2420140846e-1)
    y = y * m + f32(1.4249322787e-1)
    y = y * m + f32(-1.6668057665e-1)
    y = y * m + f32(2.0000714765e-1)
    y = y * m + f32(-2.4999993993e-1)
    y = y * m + f32(3.3333331174e-1)
    square = m * m
    log = y * m * square - f32(0.5) * square + m + f32(exponent) * f32(0.693147180559945)
    radius = scale * f32(math.sqrt(max(f32(-2) * log, f32(0))))
    # The low 30 bits are an angle in [-pi/4, pi/4); the top two choose the quarter circle.
    word = u32(b)
    angle = f32(np.uint32(word << u32(2)).view(np.int32)) * f32(math.pi / 4 * 2.0**-31)
    t = angle * angle
    sine = angle + angle * t * (
        f32(-1.6666654611e-1) + t * (f32(8.3321608736e-3) + t * f32(-1.9515295891e-4))
    )
    cosine = (
        f32(1)
        - f32(0.5) * t
        + t
        * t
        * (
            f32(4.166664568298827e-2)
            + t * (f32(-1.388731625493765e-3) + t * f32(2.443315711809948e-5))
        )
    )
    sign = u32(word & u32(0x80000000))
    cosine = np.uint32(np.float32(cosine).view(np.uint32) ^ sign).view(np.float32)
    swap = word & u32(0x40000000)
    return (
        radius * (sine if swap != 0 else cosine),
        radius * (cosine if swap != 0 else sine),
    )


@jit
def normal_pair_double(a, b, c, d, scale):
    """Return two float64 normals of standard deviation `scale` from four words."""
    uniform = (f64(a) * 2.0**-32 + f64(b) * 2.0**-64) + 2.0**-65
    radius = scale * math.sqrt(-2.0 * math.log(min(uniform, 1.0)))
    angle = (f64(c) + f64(d) * 2.0**-32) * (2.0 * math.pi * 2.0**-32)
    return radius * math.cos(angle), radius * math.sin(angle)


@jit
def symmetric(word, step):
    """Return a float32 uniform on (−2^31 step, 2^31 step) from one word."""
    return (f32(np.uint32(word).view(np.int32)) + f32(0.5)) * step


def draw_rows(out, first_row, uniform, scale, purpose, layer, trial, key):
    """Fill `out` (rows, columns) with rows `first_row`... of a random matrix.

    Value (row, column) is a function of (row, column, columns, dtype, purpose, layer, trial,
    key) alone. `scale` is the standard deviation; `uniform` chooses that distribution over the
    normal. A row is made of blocks, one counter each, of four float32 or two float64 values;
    value k of a block goes to column k·blocks + block, and the surplus is dropped.
    """
    draw = draw_rows_single if out.itemsize == 4 else draw_rows_double
    draw(out, first_row, uniform, scale, purpose, layer, trial, key)


@overload(draw_rows)
def _draw_rows(out, first_row, uniform, scale, purpose, layer, trial, key):
    # Chosen by type, so that a kernel compiles one of the two.
    draw = draw_rows_single if out.dtype == types.float32 else draw_rows_double

    def call(out, first_row, uniform, scale, purpose, layer, trial, key):
        draw(out, first_row, uniform, scale, purpose, layer, trial, key)

    return call


@jit
def draw_rows_single(out, first_row, uniform, scale, purpose, layer, trial, key):
    """Draw float32 rows: see draw_rows."""
    rows, columns = out.shape
    n = (columns + 3) // 4
    # Words first, values second: two simple loops vectorise better than one long one.
    words = np.empty(4 * n, np.uint32)
    padded = np.empty(4 * n, out.dtype)
    c1, c2, c3 = u64(purpose) << PURPOSE_SHIFT, u64(layer), u64(trial)
    k0, k1 = u64(key) & MASK, u64(key) >> HIGH
    deviation = f32(scale)
    step = f32(scale * math.sqrt(3.0) * 2.0**-31)
    for i in range(rows):
        start = u64(first_row + i) * u64(n)
        for j in range(n):
            index = start + u64(j)
            a, b, c, d = philox(index & MASK, c1 | (index >> HIGH), c2, c3, k0, k1)
            words[j], words[n + j], words[2 * n + j], words[3 * n + j] = (
                u32(a),
                u32(b),
                u32(c),
                u32(d),
            )
        row = out[i] if padded.size == columns else padded
        if uniform:
            for j in range(4 * n):
                row[j] = symmetric(words[j], step)
        else:
            for j in range(n):
                row[j], row[n + j] = normal_pair(words[j], words[n + j], deviation)
            for j in range(2 * n, 3 * n):
                row[j], row[n + j] = normal_pair(words[j], words[n + j], deviation)
        if padded.size != columns:
            out[i, :] = padded[:columns]


@jit
def draw_rows_double(out, first_row, uniform, scale, purpose, layer, trial, key):
    """Draw float64 rows: see draw_rows."""
    rows, columns = out.shape
    n = (columns + 1) // 2
    padded = np.empty(2 * n, out.dtype)
    c1, c2, c3 = u64(purpose) << PURPOSE_SHIFT, u64(layer), u64(trial)
    k0, k1 = u64(key) & MASK, u64(key) >> HIGH
    half_width = scale * math.sqrt(3.0)
    for i in range(rows):
        start = u64(first_row + i) * u64(n)
        for j in range(n):
            index = start + u64(j)
            a, b, c, d = philox_call(index & MASK, c1 | (index >> HIGH), c2, c3, k0, k1)
            if uniform:
                padded[j] = half_width * (f64(a) * 2.0**-31 + f64(b) * 2.0**-63 - 1.0)
                padded[n + j] = half_width * (f64(c) * 2.0**-31 + f64(d) * 2.0**-63 - 1.0)
            else:
                padded[j], padded[n + j] = normal_pair_double(a, b, c, d, scale)
        out[i, :] = padded[:columns]


# --------------------------------------------------------------------------- activations
# Evaluated in float64 and rounded to the network's dtype by the assignment.


@jit
def selu(x):
    """Return SELU."""
    return SELU_LAMBDA * x if x > 0.0 else SELU_LAMBDA * SELU_ALPHA * math.expm1(x)


@jit
def gelu(x):
    """Return x·Φ(x), the exact GELU."""
    # Far to the left x·Φ(x) is 0, −∞ included; NaN takes the other branch.
    return 0.0 if x < -40.0 else 0.5 * x * math.erfc(-x * SQRT_HALF)


@jit
def sigmoid(x):
    """Return 1/(1 + e^−x)."""
    e = math.exp(-abs(x))
    return 1.0 / (1.0 + e) if x > 0.0 else e / (1.0 + e)


@jit
def silu(x):
    """Return x·sigmoid(x)."""
    return 0.0 if x < -800.0 else x * sigmoid(x)


@jit
def softplus(x):
    """Return ln(1 + e^x)."""
    return max(x, 0.0) + math.log1p(math.exp(-abs(x)))


@jit
def activate(code, z, x):
    """Write the activation `code` of `z` to `x`; both (units, batch), contiguous."""
    source, target = z.reshape(z.size), x.reshape(x.size)
    n = source.size
    if code == SELU:
        for i in range(n):
            target[i] = selu(f64(source[i]))
    elif code == RELU:
        for i in range(n):
            # Not max(): it would turn NaN into 0.
            target[i] = 0 if source[i] <= 0 else source[i]
    elif code == LEAKY_RELU:
        for i in range(n):
            target[i] = LEAKY_SLOPE * source[i] if source[i] <= 0 else source[i]
    elif code == ELU:
        for i in range(n):
            target[i] = math.expm1(f64(source[i])) if source[i] <= 0 else source[i]
    elif code == GELU:
        for i in range(n):
            target[i] = gelu(f64(source[i]))
    elif code == SILU:
        for i in range(n):
            target[i] = silu(f64(source[i]))
    elif code == TANH:
        for i in range(n):
            target[i] = math.tanh(f64(source[i]))
    elif code == SIGMOID:
        for i in range(n):
            target[i] = sigmoid(f64(source[i]))
    elif code == SOFTPLUS:
        for i in range(n):
            target[i] = softplus(f64(source[i]))
    elif code == ERF:
        for i in range(n):
            target[i] = math.erf(f64(source[i]))
    elif code == HARD_TANH:
        for i in range(n):
            value = source[i]
            target[i] = -1.0 if value < -1.0 else (1.0 if value > 1.0 else value)
    else:
        for i in range(n):
            target[i] = source[i]


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
def orthogonal(x, z, gain, layer, trial, key, stop):
    """z = gain · Q x with Q a fan_out × fan_in corner of a Haar-random orthogonal matrix.

    Q is a product of Householder reflectors of Gaussian vectors of falling length (Stewart,
    SIAM J. Numer. Anal. 17 (1980) 403; signs as in Mezzadri, arXiv:math-ph/0609050), applied
    `REFLECTORS` at a time as I − Vᵀ T V, so that Q itself is never formed. `x` (fan_in, batch),
    `z` (fan_out, batch).
    """
    fan_in, batch = x.shape
    fan_out = z.shape[0]
    n = max(fan_in, fan_out)
    # Reflector k moves coordinates k.. only, so those past fan_in meet zeros.
    count = fan_in
    work = np.zeros((n, batch), x.dtype)
    vectors = np.empty((REFLECTORS, n), x.dtype)
    signs = np.ones(count)
    for k in range(count):
        draw_rows(vectors[:1], k, False, 1.0, WEIGHTS, layer, trial, key)
        signs[k] = -1.0 if vectors[0, k] >= 0 else 1.0
    sign = 1.0
    for k in range(fan_in):
        sign *= signs[k]
        for j in range(batch):
            work[k, j] = sign * x[k, j]
    for block in range((count - 1) // REFLECTORS, -1, -1):
        if stop[0]:
            return
        first = block * REFLECTORS
        size = min(REFLECTORS, count - first)
        v = vectors[:size]
        draw_rows(v, first, False, 1.0, WEIGHTS, layer, trial, key)
        factor = np.zeros((size, size), x.dtype)
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
            # Forward compact WY (Schreiber, Van Loan 1989): T is upper triangular.
            factor[i, i] = tau
            if i > 0:
                overlap = np.dot(v[:i], v[i])
                factor[:i, i] = -tau * np.dot(np.ascontiguousarray(factor[:i, :i]), overlap)
        coefficients = np.dot(factor, np.dot(v, work))
        work -= np.dot(v.T, coefficients)
    for i in range(fan_out):
        for j in range(batch):
            z[i, j] = gain * work[i, j]


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
