"""The activations in float64, and their derivatives: the C library, one value at a time."""

from __future__ import annotations

import math

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
        if abs(x) > 40.0:  # ±∞ included: ∞·0 is NaN
            return 0.0 if x < 0.0 else 1.0
        return 0.5 * math.erfc(-x * SQRT_HALF) + x * math.exp(-0.5 * x * x) * INVERSE_ROOT_2PI
    if code == SILU:
        if abs(x) > 800.0:
            return 0.0 if x < 0.0 else 1.0
        return sigmoid(x) * (1.0 + x * sigmoid(-x))
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
