"""The activations in float32, and their derivatives, without a branch so that loops vectorise.

Every value is within a few units of the last place of the exact one, in the tails too, where
results are subnormal at last; ±inf give the limits and NaN stays NaN.
"""

from __future__ import annotations

import math

import numpy as np

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
from snstat.engine.kernels.exponentials import (
    HALF,
    LOWEST,
    ONE,
    TWO,
    ZERO,
    at_most,
    exp_single,
    expm1_single,
    gaussian,
    log1p_single,
    mills,
)
from snstat.engine.kernels.jit import elementwise

f32 = np.float32
# From here on erf rounds to 1, and a Gaussian density times its argument to 0.
ERF_END, GAUSSIAN_END = f32(4), f32(15)
INVERSE_ROOT_2PI = f32(1.0 / math.sqrt(2.0 * math.pi))


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
