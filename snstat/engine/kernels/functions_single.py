"""The activations in float32, and their derivatives: branch-free polynomials that vectorise.

Every value is within a few units of the last place of the exact one, in the tails too, where
results are subnormal at last; ±inf give the limits and NaN stays NaN. No `reassoc` here: the
two-part constants below would be added up before they are used.
"""

from __future__ import annotations

import math

import numpy as np

from snstat.engine.kernels import codes, random
from snstat.engine.kernels.codes import (
    ELU,
    ERF,
    GELU,
    HARD_TANH,
    LEAKY_RELU,
    LEAKY_SLOPE,
    RELU,
    SELU,
    SELU_ALPHA,
    SELU_LAMBDA,
    SIGMOID,
    SILU,
    SOFTPLUS,
    TANH,
)
from snstat.engine.kernels.jit import calls_into, elementwise
from snstat.engine.kernels.random import LN2, log1p_near_zero

calls_into(__file__, codes, random)

i32, f32 = np.int32, np.float32
ZERO, HALF, ONE, TWO = f32(0), f32(0.5), f32(1), f32(2)
# exp(x) rounds to 0 below: half of the smallest subnormal number is 2^-150 = exp(−103.97).
LOWEST = f32(-104)
# From here on erf rounds to 1, and a Gaussian density times its argument to 0.
ERF_END, GAUSSIAN_END = f32(4), f32(15)
INVERSE_ROOT_2PI = f32(1.0 / math.sqrt(2.0 * math.pi))


# --------------------------------------------------------------------------- building blocks


@elementwise
def exponential_parts(x, low):
    """Return (k, p) with exp(x + low) = 2^k (1 + p), for x ≤ 0 and |low| < 0.1.

    The polynomial of Cephes (Moshier, expf) on |r| ≤ ln 2/2, to 2 units of the last place. Below
    `LOWEST` x is taken as that; p is NaN where x is.
    """
    # NaN becomes LOWEST here and NaN again below: a conversion to an integer must not see it.
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
    # −1 to the last place from here on, and 2^k still a normal number.
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

    A rounded square would cost a² units of the last place: the square of the upper 12 bits of `a`
    is exact, and the rest small.
    """
    head = np.int32(np.float32(a).view(np.int32) & i32(-4096)).view(np.float32)
    return exp_of_sum(-rate * head * head, -rate * (a - head) * (a + head))


@elementwise
def mills(a):
    """Return (1 − Φ(a)) exp(a²/2) for a in [0, 15], Φ the normal distribution function.

    Times a + 3.25 it is a polynomial in (a − 3.25)/(a + 3.25), as Shepherd and Laframboise (Math.
    Comp. 36 (1981) 249) have it. Coefficients: least squares with weights moved towards equal
    relative errors (Lawson) at 600 Chebyshev nodes, in float64; the relative error is 8e-9, and
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


# --------------------------------------------------------------------------- activations


@elementwise
def gelu_single(x):
    """Return x·Φ(x)."""
    a = at_most(abs(x), GAUSSIAN_END)
    tail = gaussian(a, HALF) * mills(a)
    return -a * tail if x < ZERO else x * (ONE - tail)


@elementwise
def gelu_slope(x):
    """Return Φ(x) + x·ϕ(x)."""
    a = at_most(abs(x), GAUSSIAN_END)
    left = gaussian(a, HALF) * (mills(a) - a * INVERSE_ROOT_2PI)
    return left if x < ZERO else ONE - left


@elementwise
def sigmoid_single(x):
    """Return 1/(1 + e^−x)."""
    e = exp_single(-abs(x))
    return (ONE if x > ZERO else e) / (ONE + e)


@elementwise
def silu_slope(x):
    """Return s + x·s·(1 − s) with s = 1/(1 + e^−x)."""
    a = at_most(abs(x), -LOWEST)
    e = exp_single(-a)
    q = ONE / (ONE + e)
    return q * (ONE + a * (e * q)) if x > ZERO else e * q * (ONE - a * q)


@elementwise
def tanh_single(x):
    """Return tanh(x)."""
    e = expm1_single(-TWO * abs(x))
    t = -e / (e + TWO)
    return -t if x < ZERO else t


@elementwise
def bell(x):
    """Return e^−|x|/(1 + e^−|x|)², the derivative of the sigmoid."""
    e = exp_single(-abs(x))
    q = ONE / (ONE + e)
    return e * q * q


@elementwise
def erf_single(x):
    """Return erf(x): the polynomial of Cephes (Moshier, erff) up to 1, and 1 − erfc beyond."""
    a = at_most(abs(x), ERF_END)
    square = a * a
    p = f32(7.853861353153693e-5)
    p = p * square + f32(-8.010193625184903e-4)
    p = p * square + f32(5.188327685732524e-3)
    p = p * square + f32(-2.685381193529856e-2)
    p = p * square + f32(1.128358514861418e-1)
    p = p * square + f32(-3.761262582423300e-1)
    p = p * square + f32(1.128379165726710)
    tail = TWO * exp_single(-square) * mills(a * f32(math.sqrt(2.0)))
    y = p * a if a < ONE else ONE - tail
    return -y if x < ZERO else y


@elementwise
def activate_single(code, z, x):
    """Write the activation of `z` to `x`, both (rows, columns) and contiguous."""
    source, target = z.reshape(z.size), x.reshape(x.size)
    n = source.size
    if code == SELU:
        for i in range(n):
            v = source[i]
            negative = f32(SELU_LAMBDA * SELU_ALPHA) * expm1_single(-abs(v))
            target[i] = f32(SELU_LAMBDA) * v if v > ZERO else negative
    elif code == RELU:
        for i in range(n):
            # Not max(): it would turn NaN into 0.
            target[i] = ZERO if source[i] <= ZERO else source[i]
    elif code == LEAKY_RELU:
        for i in range(n):
            target[i] = f32(LEAKY_SLOPE) * source[i] if source[i] <= ZERO else source[i]
    elif code == ELU:
        for i in range(n):
            v = source[i]
            negative = expm1_single(-abs(v))
            target[i] = v if v > ZERO else negative
    elif code == GELU:
        for i in range(n):
            target[i] = gelu_single(source[i])
    elif code == SILU:
        for i in range(n):
            v = source[i]
            target[i] = (LOWEST if v < LOWEST else v) * sigmoid_single(v)
    elif code == TANH:
        for i in range(n):
            target[i] = tanh_single(source[i])
    elif code == SIGMOID:
        for i in range(n):
            target[i] = sigmoid_single(source[i])
    elif code == SOFTPLUS:
        for i in range(n):
            v = source[i]
            target[i] = (v if v > ZERO else ZERO) + log1p_single(exp_single(-abs(v)))
    elif code == ERF:
        for i in range(n):
            target[i] = erf_single(source[i])
    elif code == HARD_TANH:
        for i in range(n):
            v = source[i]
            target[i] = -ONE if v < -ONE else (ONE if v > ONE else v)
    else:
        for i in range(n):
            target[i] = source[i]


@elementwise
def scale_by_derivative_single(code, z, h):
    """Multiply `h` by the derivative at `z`, both (rows, columns) and contiguous."""
    source, target = z.reshape(z.size), h.reshape(h.size)
    n = source.size
    if code == SELU:
        for i in range(n):
            v = source[i]
            slope = f32(SELU_LAMBDA * SELU_ALPHA) * exp_single(-abs(v))
            target[i] *= f32(SELU_LAMBDA) if v > ZERO else slope
    elif code == RELU:
        for i in range(n):
            target[i] = target[i] if source[i] > ZERO else ZERO
    elif code == LEAKY_RELU:
        for i in range(n):
            target[i] *= ONE if source[i] > ZERO else f32(LEAKY_SLOPE)
    elif code == ELU:
        for i in range(n):
            v = source[i]
            slope = exp_single(-abs(v))
            target[i] *= ONE if v > ZERO else slope
    elif code == GELU:
        for i in range(n):
            target[i] *= gelu_slope(source[i])
    elif code == SILU:
        for i in range(n):
            target[i] *= silu_slope(source[i])
    elif code == TANH:
        for i in range(n):
            target[i] *= f32(4) * bell(TWO * source[i])
    elif code == SIGMOID:
        for i in range(n):
            target[i] *= bell(source[i])
    elif code == SOFTPLUS:
        for i in range(n):
            target[i] *= sigmoid_single(source[i])
    elif code == ERF:
        for i in range(n):
            a = at_most(abs(source[i]), GAUSSIAN_END)
            target[i] *= f32(2.0 / math.sqrt(math.pi)) * gaussian(a, ONE)
    elif code == HARD_TANH:
        for i in range(n):
            target[i] = target[i] if abs(source[i]) < ONE else ZERO
    # The identity's is 1.
