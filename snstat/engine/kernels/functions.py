"""The activations as kernels: polynomials that vectorise in float32, the C library in float64."""

from __future__ import annotations

import math

import numpy as np
from numba import types
from numba.extending import overload

from snstat.engine.kernels import random
from snstat.engine.kernels.jit import calls_into, jit
from snstat.engine.kernels.random import LN2, log1p_near_zero

calls_into(__file__, random)

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

SELU_ALPHA = 1.6732632423543772848170429916717
SELU_LAMBDA = 1.0507009873554804934193349852946
LEAKY_SLOPE = 0.01
SQRT_HALF = math.sqrt(0.5)
INVERSE_ROOT_PI = 1.0 / math.sqrt(math.pi)
INVERSE_ROOT_2PI = SQRT_HALF * INVERSE_ROOT_PI

i32, f32, f64 = np.int32, np.float32, np.float64
ZERO, ONE, TWO = f32(0), f32(1), f32(2)


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


def activate(code, z, x):
    """Write the activation `code` of `z` to `x`; both (rows, columns), contiguous."""
    kernel = activate_single if z.itemsize == 4 else activate_double
    kernel(code, z, x)


@overload(activate)
def _activate(code, z, x):
    # Chosen by type, so that a kernel compiles one of the two.
    kernel = activate_single if z.dtype == types.float32 else activate_double

    def call(code, z, x):
        kernel(code, z, x)

    return call


@jit
def exponential_parts(x):
    """Return (2^k, p) with exp(x) = 2^k (1 + p) for float32 x ≤ 0, to 2 units of the last place.

    The polynomial of Cephes (Moshier) on |r| ≤ ln 2/2. Below −87, where exp leaves the normal
    range of float32, x is taken as −87; p is NaN where x is.
    """
    # NaN becomes −87 here and NaN again below: a conversion to an integer must not see it.
    y = x if x >= f32(-87) else f32(-87)
    k = f32(math.floor(y * f32(1.4426950408889634) + f32(0.5)))
    r = (y - k * f32(0.693359375)) - k * f32(-2.12194440e-4)
    p = f32(1.9875691500e-4)
    p = p * r + f32(1.3981999507e-3)
    p = p * r + f32(8.3334519073e-3)
    p = p * r + f32(4.1665795894e-2)
    p = p * r + f32(1.6666665459e-1)
    p = p * r + f32(5.0000001201e-1)
    scale = np.int32(i32(i32(k) + i32(127)) << i32(23)).view(np.float32)
    return scale, p * r * r + r if x == x else x  # noqa: PLR0124


@jit
def expm1_single(x):
    """Return exp(x) − 1 for float32 x ≤ 0."""
    scale, p = exponential_parts(x)
    return scale * p + (scale - ONE)


@jit
def exp_single(x):
    """Return exp(x) for float32 x ≤ 0."""
    scale, p = exponential_parts(x)
    return scale * p + scale


@jit
def log1p_single(x):
    """Return ln(1 + x) for float32 x in [0, 1]."""
    halved = x > f32(0.41421356)
    m = (x - ONE) * f32(0.5) if halved else x
    return log1p_near_zero(m) + (LN2 if halved else ZERO)


@jit
def sigmoid_single(x):
    """Return 1/(1 + e^−x) for float32 x."""
    e = exp_single(-abs(x))
    return (ONE if x > ZERO else e) / (ONE + e)


@jit
def tanh_single(x):
    """Return tanh(x) for float32 x."""
    e = expm1_single(-TWO * abs(x))
    t = -e / (e + TWO)
    return -t if x < ZERO else t


@jit
def activate_single(code, z, x):
    """Write the activation of float32 `z` to `x`, without leaving float32 where that is exact
    to a few units of the last place."""
    source, target = z.reshape(z.size), x.reshape(x.size)
    n = source.size
    if code == SELU:
        for i in range(n):
            v = source[i]
            negative = f32(SELU_LAMBDA * SELU_ALPHA) * expm1_single(min(v, ZERO))
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
            negative = expm1_single(min(v, ZERO))
            target[i] = v if v > ZERO else negative
    elif code == GELU:
        for i in range(n):
            target[i] = gelu(f64(source[i]))
    elif code == SILU:
        for i in range(n):
            v = source[i]
            target[i] = ZERO if v < f32(-103) else v * sigmoid_single(v)
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
            target[i] = math.erf(f64(source[i]))
    elif code == HARD_TANH:
        for i in range(n):
            v = source[i]
            target[i] = -ONE if v < -ONE else (ONE if v > ONE else v)
    else:
        for i in range(n):
            target[i] = source[i]


@jit
def activate_double(code, z, x):
    """Write the activation of float64 `z` to `x`."""
    source, target = z.reshape(z.size), x.reshape(x.size)
    n = source.size
    if code == SELU:
        for i in range(n):
            target[i] = selu(source[i])
    elif code == RELU:
        for i in range(n):
            target[i] = 0.0 if source[i] <= 0.0 else source[i]
    elif code == LEAKY_RELU:
        for i in range(n):
            target[i] = LEAKY_SLOPE * source[i] if source[i] <= 0 else source[i]
    elif code == ELU:
        for i in range(n):
            target[i] = math.expm1(source[i]) if source[i] <= 0 else source[i]
    elif code == GELU:
        for i in range(n):
            target[i] = gelu(source[i])
    elif code == SILU:
        for i in range(n):
            target[i] = silu(source[i])
    elif code == TANH:
        for i in range(n):
            target[i] = math.tanh(source[i])
    elif code == SIGMOID:
        for i in range(n):
            target[i] = sigmoid(source[i])
    elif code == SOFTPLUS:
        for i in range(n):
            target[i] = softplus(source[i])
    elif code == ERF:
        for i in range(n):
            target[i] = math.erf(source[i])
    elif code == HARD_TANH:
        for i in range(n):
            value = source[i]
            target[i] = -1.0 if value < -1.0 else (1.0 if value > 1.0 else value)
    else:
        for i in range(n):
            target[i] = source[i]


def scale_by_derivative(code, z, h):
    """Multiply `h` by the derivative of the activation `code` at `z`; both (rows, columns)."""
    kernel = scale_by_derivative_single if z.itemsize == 4 else scale_by_derivative_double
    kernel(code, z, h)


@overload(scale_by_derivative)
def _scale_by_derivative(code, z, h):
    # Chosen by type, so that a kernel compiles one of the two.
    single = z.dtype == types.float32
    kernel = scale_by_derivative_single if single else scale_by_derivative_double

    def call(code, z, h):
        kernel(code, z, h)

    return call


@jit
def derivative(code, x):
    """Return φ'(x) in float64; at a kink what PyTorch's backward pass uses."""
    if code == SELU:
        return SELU_LAMBDA if x > 0.0 else SELU_LAMBDA * SELU_ALPHA * math.exp(x)
    if code == RELU:
        return 1.0 if x > 0.0 else 0.0
    if code == LEAKY_RELU:
        return 1.0 if x > 0.0 else LEAKY_SLOPE
    if code == ELU:
        return 1.0 if x > 0.0 else math.exp(x)
    if code == GELU:
        if x < -40.0:
            return 0.0
        return 0.5 * math.erfc(-x * SQRT_HALF) + x * math.exp(-0.5 * x * x) * INVERSE_ROOT_2PI
    if code == SILU:
        s = sigmoid(x)
        return 0.0 if x < -800.0 else s * (1.0 + x * sigmoid(-x))
    if code == TANH:
        # sech², without the cancellation of 1 − tanh².
        e = math.exp(-2.0 * abs(x))
        return 4.0 * e / ((1.0 + e) * (1.0 + e))
    if code == SIGMOID:
        return sigmoid(x) * sigmoid(-x)
    if code == SOFTPLUS:
        return sigmoid(x)
    if code == ERF:
        return 2.0 * INVERSE_ROOT_PI * math.exp(-x * x)
    if code == HARD_TANH:
        return 1.0 if -1.0 < x < 1.0 else 0.0
    return 1.0


@jit
def scale_by_derivative_double(code, z, h):
    """Multiply float64 `h` by the derivative at `z`."""
    source, target = z.reshape(z.size), h.reshape(h.size)
    for i in range(source.size):
        target[i] *= derivative(code, source[i])


@jit
def scale_by_derivative_single(code, z, h):
    """Multiply float32 `h` by the derivative at `z`: the common activations vectorise."""
    source, target = z.reshape(z.size), h.reshape(h.size)
    n = source.size
    if code == SELU:
        for i in range(n):
            v = source[i]
            slope = f32(SELU_LAMBDA * SELU_ALPHA) * exp_single(min(v, ZERO))
            target[i] *= f32(SELU_LAMBDA) if v > ZERO else slope
    elif code == RELU:
        for i in range(n):
            target[i] = target[i] if source[i] > ZERO else ZERO
    elif code == TANH:
        for i in range(n):
            e = exp_single(-TWO * abs(source[i]))
            target[i] *= f32(4) * e / ((ONE + e) * (ONE + e))
    else:
        for i in range(n):
            target[i] = f32(target[i] * derivative(code, f64(source[i])))
