"""The activations and their derivatives in float64: the C library, one value at a time."""

from __future__ import annotations

import math

from snstat.activation import ALPHA, LAMBDA
from snstat.engine.kernels.codes import CUBIC, KIND, ROOT_8_PI
from snstat.engine.kernels.jit import jit

SQRT_HALF = math.sqrt(0.5)
INVERSE_ROOT_PI = 1.0 / math.sqrt(math.pi)
INVERSE_ROOT_2PI = SQRT_HALF * INVERSE_ROOT_PI


@jit
def selu(x):
    """Return SELU."""
    return LAMBDA * x if x > 0.0 else LAMBDA * ALPHA * math.expm1(x)


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
def activate_double(code, z, x):  # one loop for each activation
    """Write the activation of float64 `z` to `x`."""
    source, target = z.reshape(z.size), x.reshape(x.size)
    n, number = source.size, code.number
    if number == KIND.SELU:
        for i in range(n):
            target[i] = selu(source[i])
    elif number == KIND.RELU:
        for i in range(n):
            target[i] = 0.0 if source[i] <= 0.0 else source[i]
    elif number == KIND.LEAKY_RELU:
        for i in range(n):
            target[i] = code.parameter * source[i] if source[i] <= 0 else source[i]
    elif number == KIND.ELU:
        for i in range(n):
            target[i] = code.parameter * math.expm1(source[i]) if source[i] <= 0 else source[i]
    elif number == KIND.GELU:
        for i in range(n):
            target[i] = gelu(source[i])
    elif number == KIND.SILU:
        for i in range(n):
            target[i] = silu(code.parameter * source[i]) / code.parameter
    elif number == KIND.TANH:
        for i in range(n):
            target[i] = math.tanh(source[i])
    elif number == KIND.SIGMOID:
        for i in range(n):
            target[i] = sigmoid(source[i])
    elif number == KIND.SOFTPLUS:
        for i in range(n):
            target[i] = softplus(code.parameter * source[i]) / code.parameter
    elif number == KIND.ERF:
        for i in range(n):
            target[i] = math.erf(source[i])
    elif number == KIND.HARD_TANH:
        for i in range(n):
            target[i] = clipped(source[i], -code.parameter, code.parameter)
    elif number == KIND.MISH:
        for i in range(n):
            target[i] = mish(source[i])
    elif number == KIND.GELU_TANH:
        for i in range(n):
            target[i] = gelu_tanh(source[i])
    elif number == KIND.SOFTSIGN:
        for i in range(n):
            target[i] = softsign(source[i])
    elif number == KIND.RELU6:
        for i in range(n):
            target[i] = clipped(source[i], 0.0, 6.0)
    elif number == KIND.HARD_SIGMOID:
        for i in range(n):
            target[i] = clipped(source[i] + 3.0, 0.0, 6.0) / 6.0
    elif number == KIND.HARD_SWISH:
        for i in range(n):
            low = -3.0 if source[i] < -3.0 else source[i]
            target[i] = low * (clipped(source[i] + 3.0, 0.0, 6.0) / 6.0)
    elif number == KIND.RELU_SQUARED:
        for i in range(n):
            target[i] = 0.0 if source[i] <= 0.0 else source[i] * source[i]
    elif number == KIND.SINE:
        for i in range(n):
            target[i] = math.sin(code.parameter * source[i])
    else:
        for i in range(n):
            target[i] = source[i]


@jit
def derivative(code, x):
    """Return φ'(x) in float64; at a kink it is the value of PyTorch's backward pass."""
    number = code.number
    if number in (KIND.SILU, KIND.SOFTPLUS):
        x = code.parameter * x
    if number == KIND.SELU:
        return LAMBDA if x > 0.0 else LAMBDA * ALPHA * math.exp(x)
    if number == KIND.RELU:
        return 1.0 if x > 0.0 else 0.0
    if number == KIND.LEAKY_RELU:
        return 1.0 if x > 0.0 else code.parameter
    if number == KIND.ELU:
        return 1.0 if x > 0.0 else code.parameter * math.exp(x)
    if number == KIND.GELU:
        if abs(x) > 40.0:  # includes ±∞, because ∞·0 is NaN
            return 0.0 if x < 0.0 else 1.0
        return 0.5 * math.erfc(-x * SQRT_HALF) + x * math.exp(-0.5 * x * x) * INVERSE_ROOT_2PI
    if number == KIND.SILU:
        if abs(x) > 800.0:
            return 0.0 if x < 0.0 else 1.0
        return sigmoid(x) * (1.0 + x * sigmoid(-x))
    if number == KIND.TANH:
        # sech², without the cancellation of 1 − tanh².
        e = math.exp(-2.0 * abs(x))
        return 4.0 * e / ((1.0 + e) * (1.0 + e))
    if number == KIND.SIGMOID:
        return sigmoid(x) * sigmoid(-x)
    if number == KIND.SOFTPLUS:
        return sigmoid(x)
    if number == KIND.ERF:
        return 2.0 * INVERSE_ROOT_PI * math.exp(-x * x)
    if number == KIND.HARD_TANH:
        return 1.0 if -code.parameter < x < code.parameter else 0.0
    if number == KIND.MISH:
        share, slope = mish_share(x)
        return share if abs(x) > 800.0 else share + x * slope
    if number == KIND.GELU_TANH:
        if abs(x) > 60.0:
            return 0.0 if x < 0.0 else 1.0
        y = ROOT_8_PI * (x + CUBIC * x * x * x)
        return sigmoid(y) * (1.0 + x * ROOT_8_PI * (1.0 + 3.0 * CUBIC * x * x) * sigmoid(-y))
    if number == KIND.SOFTSIGN:
        return 1.0 / ((1.0 + abs(x)) * (1.0 + abs(x)))
    if number == KIND.RELU6:
        return 1.0 if 0.0 < x < 6.0 else 0.0
    if number == KIND.HARD_SIGMOID:
        return 1.0 / 6.0 if -3.0 < x < 3.0 else 0.0
    if number == KIND.HARD_SWISH:
        return 0.0 if x <= -3.0 else (x / 3.0 + 0.5 if x < 3.0 else 1.0)
    if number == KIND.RELU_SQUARED:
        return 2.0 * x if x > 0.0 else 0.0
    if number == KIND.SINE:
        return code.parameter * math.cos(code.parameter * x)
    return 1.0


@jit
def scale_by_derivative_double(code, z, h):
    """Multiply float64 `h` by the derivative at `z`."""
    source, target = z.reshape(z.size), h.reshape(h.size)
    for i in range(source.size):
        target[i] *= derivative(code, source[i])
