"""exp, related functions and Gaussian tails in float32: branch-free polynomials that vectorise.

Every value is within a few units in the last place of the exact one, including subnormal results.
`reassoc` is off here, because it would add up the two-part constants below before they are used.
"""

from __future__ import annotations

import numpy as np

from snstat.engine.kernels.jit import elementwise
from snstat.engine.kernels.random import LN2, log1p_near_zero

i32, f32 = np.int32, np.float32
ZERO, HALF, ONE, TWO = f32(0), f32(0.5), f32(1), f32(2)
# Below this exp(x) rounds to 0: half the smallest subnormal number is 2^-150 = exp(−103.97).
LOWEST = f32(-104)


@elementwise
def exponential_parts(x, low):
    """Return (k, p) with exp(x + low) = 2^k (1 + p), for x ≤ 0 and |low| < 0.1.

    The polynomial of Cephes (Moshier, expf) on |r| ≤ ln 2/2, to 2 units in the last place. An x
    below `LOWEST` is replaced by `LOWEST`; p is NaN where x is.
    """
    # NaN becomes LOWEST here and NaN again below, because it must not be converted to an integer.
    within = x >= LOWEST
    high = x if within else LOWEST
    rest = low if within else ZERO
    k = np.floor((high + rest) * f32(1.4426950408889634) + HALF)
    r = (high - k * f32(0.693359375)) - k * f32(-2.12194440e-4) + rest
    p = f32(1.9875691500e-4)
    p = p * r + f32(1.3981999507e-3)
    p = p * r + f32(8.3334519073e-3)
    p = p * r + f32(4.1665795894e-2)
    p = p * r + f32(1.6666665459e-1)
    p = p * r + f32(5.0000001201e-1)
    return i32(k), p * r * r + r if x == x else x  # noqa: PLR0124


@elementwise
def exp_of_sum(x, low):
    """Return exp(x + low) for x ≤ 0 and |low| < 0.1, subnormal results included."""
    k, p = exponential_parts(x, low)
    # 2^(k + 24) is a normal number for all k ≥ −150.
    scale = np.int32(i32(k + i32(151)) << i32(23)).view(np.float32)
    return (scale * p + scale) * f32(2.0**-24)


@elementwise
def exp_single(x):
    """Return exp(x) for x ≤ 0."""
    return exp_of_sum(x, ZERO)


@elementwise
def expm1_single(x):
    """Return exp(x) − 1 for x ≤ 0."""
    # Below −80 the result is −1 to the last place; at −80, 2^k is still a normal number.
    k, p = exponential_parts(f32(-80) if x < f32(-80) else x, ZERO)
    scale = np.int32(i32(k + i32(127)) << i32(23)).view(np.float32)
    return scale * p + (scale - ONE)


@elementwise
def log1p_single(x):
    """Return ln(1 + x) for x in [0, 1]."""
    halved = x > f32(0.41421356)
    m = (x - ONE) * HALF if halved else x
    return log1p_near_zero(m) + (LN2 if halved else ZERO)


@elementwise
def gaussian(a, rate):
    """Return exp(−rate·a²) for a in [0, 15] and rate ½ or 1.

    A rounded square would cost a² units in the last place. The square of the upper 12 bits of `a`
    is exact, and the rest is small.
    """
    head = np.int32(np.float32(a).view(np.int32) & i32(-4096)).view(np.float32)
    return exp_of_sum(-rate * head * head, -rate * (a - head) * (a + head))


@elementwise
def mills(a):
    """Return (1 − Φ(a)) exp(a²/2) for a in [0, 15], Φ the normal distribution function.

    Times a + 3.25 it is a polynomial in (a − 3.25)/(a + 3.25), as in Shepherd and Laframboise
    (Math. Comp. 36 (1981) 249). Coefficients: least squares with weights moved towards equal
    relative errors (Lawson) at 600 Chebyshev nodes, in float64. The relative error is 8e-9, and
    1.4e-7 with the coefficients rounded.
    """
    q = ONE / (a + f32(3.25))
    s = (a - f32(3.25)) * q
    p = f32(1.282252924e-4)
    p = p * s + f32(1.448074181e-4)
    p = p * s + f32(-1.051440951e-3)
    p = p * s + f32(-1.164942631e-3)
    p = p * s + f32(8.304093033e-3)
    p = p * s + f32(1.097584842e-3)
    p = p * s + f32(-8.092443645e-2)
    p = p * s + f32(2.744538486e-1)
    p = p * s + f32(-5.394867063e-1)
    p = p * s + f32(7.374383807e-1)
    return p * q


@elementwise
def at_most(a, bound):
    """Return min(a, bound), and NaN for NaN."""
    return bound if a > bound else a
