"""The activations and their derivatives in float64: the C library, one value at a time."""

from __future__ import annotations

import math

from snstat.engine.kernels.codes import (
    CLIP,
    CUBIC,
    ELU,
    ERF,
    GELU,
    GELU_TANH,
    HARD_SIGMOID,
    HARD_SWISH,
    HARD_TANH,
    LEAKY,
    LEAKY_RELU,
    LEAKY_SLOPE,
    MISH,
    RELU,
    RELU6,
    RELU_SQUARED,
    ROOT_8_PI,
    SCALED_ELU,
    SCALED_SILU,
    SCALED_SOFTPLUS,
    SELU,
    SELU_ALPHA,
    SELU_LAMBDA,
    SIGMOID,
    SILU,
    SINE,
    SOFTPLUS,
    SOFTSIGN,
    TANH,
)
from snstat.engine.kernels.jit import jit

SQRT_HALF = math.sqrt(0.5)
INVERSE_ROOT_PI = 1.0 / math.sqrt(math.pi)
INVERSE_ROOT_2PI = SQRT_HALF * INVERSE_ROOT_PI


@jit
def selu(x):
    """Return SELU."""
    return SELU_LAMBDA * x if x > 0.0 else SELU_LAMBDA * SELU_ALPHA * math.expm1(x)


@jit
def gelu(x):
    """Return x·Φ(x), the exact GELU."""
    # Far to the left, including −∞, x·Φ(x) is 0; NaN takes the other branch.
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
def mish_share(x):
    """Return tanh(ln(1 + e^x)) and its derivative."""
    e = math.exp(-abs(x))
    if x < 0.0:
        n = e * (e + 2.0)
        return n / (n + 2.0), 4.0 * e * (1.0 + e) / ((n + 2.0) * (n + 2.0))
    d = 1.0 + 2.0 * e + 2.0 * e * e
    return (1.0 + 2.0 * e) / d, 4.0 * e * e * (1.0 + e) / (d * d)


@jit
def mish(x):
    """Return x·tanh(ln(1 + e^x))."""
    return 0.0 if x < -800.0 else x * mish_share(x)[0]


@jit
def gelu_tanh(x):
    """Return x·σ(√(8/π)·(x + 0.044715·x³))."""
    return 0.0 if x < -60.0 else x * sigmoid(ROOT_8_PI * (x + CUBIC * x * x * x))


@jit
def softsign(x):
    """Return x/(1 + |x|)."""
    return math.copysign(1.0, x) if abs(x) > 1e300 else x / (1.0 + abs(x))


@jit
def clipped(x, low, high):
    """Return x between low and high, and NaN for NaN."""
    return low if x < low else (high if x > high else x)


@jit
def activate_double(code, z, x):  # noqa: PLR0915  # one loop for each activation
    """Write the activation of float64 `z` to `x`."""
    source, target = z.reshape(z.size), x.reshape(x.size)
    n, number = source.size, code.number
    if number == SELU:
        for i in range(n):
            target[i] = selu(source[i])
    elif number == RELU:
        for i in range(n):
            target[i] = 0.0 if source[i] <= 0.0 else source[i]
    elif number == LEAKY_RELU:
        for i in range(n):
            target[i] = LEAKY_SLOPE * source[i] if source[i] <= 0 else source[i]
    elif number == ELU:
        for i in range(n):
            target[i] = math.expm1(source[i]) if source[i] <= 0 else source[i]
    elif number == GELU:
        for i in range(n):
            target[i] = gelu(source[i])
    elif number == SILU:
        for i in range(n):
            target[i] = silu(source[i])
    elif number == TANH:
        for i in range(n):
            target[i] = math.tanh(source[i])
    elif number == SIGMOID:
        for i in range(n):
            target[i] = sigmoid(source[i])
    elif number == SOFTPLUS:
        for i in range(n):
            target[i] = softplus(source[i])
    elif number == ERF:
        for i in range(n):
            target[i] = math.erf(source[i])
    elif number == HARD_TANH:
        for i in range(n):
            target[i] = clipped(source[i], -1.0, 1.0)
    elif number == MISH:
        for i in range(n):
            target[i] = mish(source[i])
    elif number == GELU_TANH:
        for i in range(n):
            target[i] = gelu_tanh(source[i])
    elif number == SOFTSIGN:
        for i in range(n):
            target[i] = softsign(source[i])
    elif number == RELU6:
        for i in range(n):
            target[i] = clipped(source[i], 0.0, 6.0)
    elif number == HARD_SIGMOID:
        for i in range(n):
            target[i] = clipped(source[i] + 3.0, 0.0, 6.0) / 6.0
    elif number == HARD_SWISH:
        for i in range(n):
            low = -3.0 if source[i] < -3.0 else source[i]
            target[i] = low * (clipped(source[i] + 3.0, 0.0, 6.0) / 6.0)
    elif number == RELU_SQUARED:
        for i in range(n):
            target[i] = 0.0 if source[i] <= 0.0 else source[i] * source[i]
    elif number == SINE:
        for i in range(n):
            target[i] = math.sin(code.parameter * source[i])
    elif number == LEAKY:
        for i in range(n):
            target[i] = code.parameter * source[i] if source[i] <= 0 else source[i]
    elif number == SCALED_ELU:
        for i in range(n):
            target[i] = code.parameter * math.expm1(source[i]) if source[i] <= 0 else source[i]
    elif number == SCALED_SILU:
        for i in range(n):
            target[i] = silu(code.parameter * source[i]) / code.parameter
    elif number == SCALED_SOFTPLUS:
        for i in range(n):
            target[i] = softplus(code.parameter * source[i]) / code.parameter
    elif number == CLIP:
        for i in range(n):
            target[i] = clipped(source[i], -code.parameter, code.parameter)
    else:
        for i in range(n):
            target[i] = source[i]


@jit
def derivative(code, x):
    """Return φ'(x) in float64; at a kink it is the value of PyTorch's backward pass."""
    number = code.number
    if number in (SCALED_SILU, SCALED_SOFTPLUS):
        number, x = SILU if number == SCALED_SILU else SOFTPLUS, code.parameter * x
    if number == SELU:
        return SELU_LAMBDA if x > 0.0 else SELU_LAMBDA * SELU_ALPHA * math.exp(x)
    if number == RELU:
        return 1.0 if x > 0.0 else 0.0
    if number == LEAKY_RELU:
        return 1.0 if x > 0.0 else LEAKY_SLOPE
    if number == ELU:
        return 1.0 if x > 0.0 else math.exp(x)
    if number == GELU:
        if abs(x) > 40.0:  # includes ±∞, because ∞·0 is NaN
            return 0.0 if x < 0.0 else 1.0
        return 0.5 * math.erfc(-x * SQRT_HALF) + x * math.exp(-0.5 * x * x) * INVERSE_ROOT_2PI
    if number == SILU:
        if abs(x) > 800.0:
            return 0.0 if x < 0.0 else 1.0
        return sigmoid(x) * (1.0 + x * sigmoid(-x))
    if number == TANH:
        # sech², without the cancellation of 1 − tanh².
        e = math.exp(-2.0 * abs(x))
        return 4.0 * e / ((1.0 + e) * (1.0 + e))
    if number == SIGMOID:
        return sigmoid(x) * sigmoid(-x)
    if number == SOFTPLUS:
        return sigmoid(x)
    if number == ERF:
        return 2.0 * INVERSE_ROOT_PI * math.exp(-x * x)
    if number == HARD_TANH:
        return 1.0 if -1.0 < x < 1.0 else 0.0
    if number == MISH:
        share, slope = mish_share(x)
        return share if abs(x) > 800.0 else share + x * slope
    if number == GELU_TANH:
        if abs(x) > 60.0:
            return 0.0 if x < 0.0 else 1.0
        y = ROOT_8_PI * (x + CUBIC * x * x * x)
        return sigmoid(y) * (1.0 + x * ROOT_8_PI * (1.0 + 3.0 * CUBIC * x * x) * sigmoid(-y))
    if number == SOFTSIGN:
        return 1.0 / ((1.0 + abs(x)) * (1.0 + abs(x)))
    if number == RELU6:
        return 1.0 if 0.0 < x < 6.0 else 0.0
    if number == HARD_SIGMOID:
        return 1.0 / 6.0 if -3.0 < x < 3.0 else 0.0
    if number == HARD_SWISH:
        return 0.0 if x <= -3.0 else (x / 3.0 + 0.5 if x < 3.0 else 1.0)
    if number == RELU_SQUARED:
        return 2.0 * x if x > 0.0 else 0.0
    if number == SINE:
        return code.parameter * math.cos(code.parameter * x)
    if number == LEAKY:
        return 1.0 if x > 0.0 else code.parameter
    if number == SCALED_ELU:
        return 1.0 if x > 0.0 else code.parameter * math.exp(x)
    if number == CLIP:
        return 1.0 if -code.parameter < x < code.parameter else 0.0
    return 1.0


@jit
def scale_by_derivative_double(code, z, h):
    """Multiply float64 `h` by the derivative at `z`."""
    source, target = z.reshape(z.size), h.reshape(h.size)
    for i in range(source.size):
        target[i] *= derivative(code, source[i])
