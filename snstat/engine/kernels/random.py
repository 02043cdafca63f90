"""Counter-based random numbers, so that any block of any matrix can be drawn again in any order.

Philox4x32-10 (Salmon, Moraes, Dror, Shaw, *Parallel random numbers: as easy as 1, 2, 3*, SC'11):
four 32-bit words are a function of a 128-bit counter (index, purpose, layer, trial) and a 64-bit
key (the seed). Streams cannot overlap. Normals are made by Box–Muller.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numba import types
from numba.extending import overload

from snstat.engine.kernels.jit import inlined, inner, jit
from snstat.engine.kernels.truncated import cut_normal, cut_normal_double

# The purposes of random numbers, which are a part of the counter.
WEIGHTS, BIASES, INPUTS, READOUT, NOISE, BIAS_NOISE, MASKS = 0, 1, 2, 3, 4, 5, 6
# The bytes of the values from one counter.
BLOCK_BYTES = 16
# Trials are numbered below 2^24 (see limits.MAX_TRIALS). The rest of their word says how often a
# layer has drawn before, at most so many times.
AGAIN_SHIFT, MOST_DRAWS = 24, 256

# The distributions.
NORMAL, UNIFORM, TRUNCATED = 0, 1, 2
LAWS = {"normal": NORMAL, "uniform": UNIFORM, "truncated_normal": TRUNCATED}

u32, u64, i32 = np.uint32, np.uint64, np.int32
f32, f64 = np.float32, np.float64
MASK = u64(0xFFFFFFFF)
HIGH = u64(32)
MULTIPLIER_0, MULTIPLIER_1 = u64(0xD2511F53), u64(0xCD9E8D57)
WEYL_0, WEYL_1 = u64(0x9E3779B9), u64(0xBB67AE85)
PURPOSE_SHIFT = u64(24)
LN2 = f32(math.log(2.0))


class Draw(NamedTuple):
    """Which random numbers: those of one layer of one trial. `key` is the seed, in uint64."""

    key: np.uint64
    trial: int
    layer: int


class Law(NamedTuple):
    """How values are distributed: NORMAL, UNIFORM or TRUNCATED, with standard deviation `std`.

    TRUNCATED is a normal of standard deviation `std`, cut at two of these.
    """

    distribution: int
    std: float


class Stream(NamedTuple):
    """What the counters and the key of one purpose of a Draw have in common, words in uint64."""

    purpose: np.uint64
    layer: np.uint64
    trial: np.uint64
    key_low: np.uint64
    key_high: np.uint64


STANDARD = Law(NORMAL, 1.0)


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
    """Return the same as `philox`, compiled once, for loops that cannot be vectorised anyway."""
    return philox(c0, c1, c2, c3, k0, k1)


@jit
def log1p_near_zero(m):
    """Return ln(1 + m) for float32 m in [√½ − 1, √2 − 1], by the polynomial of Cephes (Moshier)."""
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
    return y * m * square - f32(0.5) * square + m


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
    log = log1p_near_zero(m) + f32(exponent) * LN2
    radius = scale * f32(math.sqrt(max(f32(-2) * log, f32(0))))
    # The low 30 bits are an angle in [-pi/4, pi/4); the top two bits choose the quadrant.
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


@jit
def symmetric_double(a, b, step):
    """Return a float64 uniform on [−2^31 step, 2^31 step) from two words.

    The formula avoids a difference from 1, which compilers may or may not fuse with the product, so
    every kernel draws the same bits.
    """
    return (f64(a) - 2.0**31 + f64(b) * 2.0**-32) * step


@jit
def copy(source, target):
    """Copy as many values as `target` has. Slice assignment would take 2 s to compile."""
    for j in range(target.size):
        target[j] = source[j]


@inner
def stream_of(purpose, draw):
    """Return the stream of a purpose."""
    return Stream(
        u64(purpose) << PURPOSE_SHIFT,
        u64(draw.layer),
        u64(draw.trial),
        u64(draw.key) & MASK,
        u64(draw.key) >> HIGH,
    )


@inlined
def fill_single(row, words, start, law, stream):
    """Write the float32 values of the blocks `start`... to `row` (4·blocks): see draw_rows.

    `words` (4·blocks) is scratch. All words are drawn before all values are computed, because two
    simple loops vectorise better than one long one.
    """
    n = words.size // 4
    c1, c2, c3, k0, k1 = stream
    for j in range(n):
        index = start + u64(j)
        a, b, c, d = philox(index & MASK, c1 | (index >> HIGH), c2, c3, k0, k1)
        words[j], words[n + j], words[2 * n + j], words[3 * n + j] = u32(a), u32(b), u32(c), u32(d)
    deviation = f32(law.std)
    if law.distribution == UNIFORM:
        step = f32(law.std * math.sqrt(3.0) * 2.0**-31)
        for j in range(4 * n):
            row[j] = symmetric(words[j], step)
    elif law.distribution == TRUNCATED:
        for j in range(4 * n):
            row[j] = cut_normal(words[j], deviation)
    else:
        for j in range(n):
            row[j], row[n + j] = normal_pair(words[j], words[n + j], deviation)
        for j in range(2 * n, 3 * n):
            row[j], row[n + j] = normal_pair(words[j], words[n + j], deviation)


@inner
def fill_double(row, start, law, stream):
    """Write the float64 values of the blocks `start`... to `row` (2·blocks): see draw_rows."""
    n = row.size // 2
    c1, c2, c3, k0, k1 = stream
    step = law.std * math.sqrt(3.0) * 2.0**-31
    for j in range(n):
        index = start + u64(j)
        a, b, c, d = philox_call(index & MASK, c1 | (index >> HIGH), c2, c3, k0, k1)
        if law.distribution == UNIFORM:
            row[j] = symmetric_double(a, b, step)
            row[n + j] = symmetric_double(c, d, step)
        elif law.distribution == TRUNCATED:
            row[j] = cut_normal_double(a, b, law.std)
            row[n + j] = cut_normal_double(c, d, law.std)
        else:
            row[j], row[n + j] = normal_pair_double(a, b, c, d, law.std)


def draw_rows(out, first_row, law, purpose, draw):
    """Fill `out` (rows, columns) with rows `first_row`... of a random matrix.

    Value (row, column) is a function of (row, column, columns, dtype, purpose, `draw`) alone. `law`
    is a Law. A row consists of blocks of four float32 or two float64 values, one counter each.
    Value k of a block goes to column k·blocks + block, and surplus values are dropped.
    """
    fill = draw_rows_single if out.itemsize == 4 else draw_rows_double
    fill(out, first_row, law, purpose, draw)


@overload(draw_rows)
def _draw_rows(out, first_row, law, purpose, draw):
    # Chosen by type, so that a kernel compiles only one of the two.
    fill = draw_rows_single if out.dtype == types.float32 else draw_rows_double

    def call(out, first_row, law, purpose, draw):
        fill(out, first_row, law, purpose, draw)

    return call


@jit
def draw_rows_single(out, first_row, law, purpose, draw):
    """Draw float32 rows: see draw_rows."""
    rows, columns = out.shape
    n = (columns + 3) // 4
    words = np.empty(4 * n, np.uint32)
    padded = np.empty(4 * n, out.dtype)
    stream = stream_of(purpose, draw)
    for i in range(rows):
        start = u64(first_row + i) * u64(n)
        row = out[i] if padded.size == columns else padded
        fill_single(row, words, start, law, stream)
        if padded.size != columns:
            copy(padded, out[i])


@jit
def draw_rows_double(out, first_row, law, purpose, draw):
    """Draw float64 rows: see draw_rows."""
    rows, columns = out.shape
    n = (columns + 1) // 2
    padded = np.empty(2 * n, out.dtype)
    stream = stream_of(purpose, draw)
    for i in range(rows):
        start = u64(first_row + i) * u64(n)
        fill_double(padded, start, law, stream)
        copy(padded, out[i])


@jit
def draw_uniform(out, draw):
    """Fill `out` (n,), float64, with independent numbers, uniform on (0, 1), of 32 bits each."""
    n = (out.size + 3) // 4
    c1, c2, c3, k0, k1 = stream_of(MASKS, draw)
    words = np.empty(4 * n, np.uint32)
    for j in range(n):
        index = u64(j)
        a, b, c, d = philox(index & MASK, c1 | (index >> HIGH), c2, c3, k0, k1)
        words[j], words[n + j], words[2 * n + j], words[3 * n + j] = u32(a), u32(b), u32(c), u32(d)
    for j in range(out.size):
        out[j] = (f64(words[j]) + 0.5) * 2.0**-32


def draw_strip(out, columns, first_block, law, purpose, draw):
    """Fill `out` (rows, values·blocks) with some blocks of all rows of the matrix of draw_rows.

    The matrix has `columns` columns. Value k of block `first_block` + j goes to column
    k·blocks + j of `out`. A block has four float32 or two float64 values.
    """
    fill = draw_strip_single if out.itemsize == 4 else draw_strip_double
    fill(out, columns, first_block, law, purpose, draw)


@overload(draw_strip)
def _draw_strip(out, columns, first_block, law, purpose, draw):
    fill = draw_strip_single if out.dtype == types.float32 else draw_strip_double

    def call(out, columns, first_block, law, purpose, draw):
        fill(out, columns, first_block, law, purpose, draw)

    return call


@jit
def draw_strip_single(out, columns, first_block, law, purpose, draw):
    """Draw float32 blocks of all rows: see draw_strip."""
    n = (columns + 3) // 4
    words = np.empty(out.shape[1], np.uint32)
    stream = stream_of(purpose, draw)
    for i in range(out.shape[0]):
        start = u64(i) * u64(n) + u64(first_block)
        fill_single(out[i], words, start, law, stream)


@jit
def draw_strip_double(out, columns, first_block, law, purpose, draw):
    """Draw float64 blocks of all rows: see draw_strip."""
    n = (columns + 1) // 2
    stream = stream_of(purpose, draw)
    for i in range(out.shape[0]):
        start = u64(i) * u64(n) + u64(first_block)
        fill_double(out[i], start, law, stream)
