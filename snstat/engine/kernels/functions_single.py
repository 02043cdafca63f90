"""The activations and their derivatives in float32, without branches, so that loops vectorise.

Every value is within a few units in the last place of the exact one, including subnormal results in
the tails. ±inf give the limits and NaN stays NaN.
"""

from __future__ import annotations

import math

import numpy as np

from snstat.activation import ALPHA, LAMBDA
from snstat.engine.kernels.codes import KIND
from snstat.engine.kernels.exponentials import (
    LOWEST,
    ONE,
    TWO,
    ZERO,
    at_most,
    exp_single,
    expm1_single,
    gaussian,
    log1p_single,
)
from snstat.engine.kernels.jit import elementwise
from snstat.engine.kernels.more_single import (
    clip_single,
    cosine_single,
    gelu_tanh_single,
    gelu_tanh_slope,
    mish_single,
    mish_slope,
    sine_single,
)
from snstat.engine.kernels.sigmoids_single import (
    GAUSSIAN_END,
    bell,
    erf_single,
    gelu_single,
    gelu_slope,
    sigmoid_single,
    silu_slope,
    tanh_single,
)

f32 = np.float32
THREE, SIX, SIXTH, LARGE = f32(3), f32(6), f32(1.0 / 6.0), f32(1e38)


@elementwise
def activate_single(code, z, x):  # noqa: PLR0915  # one loop for each activation
    """Write the activation of `z` to `x`, both (rows, columns) and contiguous."""
    source, target = z.reshape(z.size), x.reshape(x.size)
    n, number = source.size, code.number
    if number == KIND.SELU:
        for i in range(n):
            v = source[i]
            negative = f32(LAMBDA * ALPHA) * expm1_single(-abs(v))
            target[i] = f32(LAMBDA) * v if v > ZERO else negative
    elif number == KIND.RELU:
        for i in range(n):
            # Not max(): it would turn NaN into 0.
            target[i] = ZERO if source[i] <= ZERO else source[i]
    elif number == KIND.LEAKY_RELU:
        slope = f32(code.parameter)
        for i in range(n):
            target[i] = slope * source[i] if source[i] <= ZERO else source[i]
    elif number == KIND.ELU:
        floor = f32(code.parameter)
        for i in range(n):
            v = source[i]
            negative = floor * expm1_single(-abs(v))
            target[i] = v if v > ZERO else negative
    elif number == KIND.GELU:
        for i in range(n):
            target[i] = gelu_single(source[i])
    elif number == KIND.SILU and code.parameter == 1.0:
        for i in range(n):
            v = source[i]
            target[i] = (LOWEST if v < LOWEST else v) * sigmoid_single(v)
    elif number == KIND.SILU:
        rate = f32(code.parameter)
        for i in range(n):
            v = source[i] * rate
            target[i] = (LOWEST if v < LOWEST else v) * sigmoid_single(v) / rate
    elif number == KIND.TANH:
        for i in range(n):
            target[i] = tanh_single(source[i])
    elif number == KIND.SIGMOID:
        for i in range(n):
            target[i] = sigmoid_single(source[i])
    elif number == KIND.SOFTPLUS and code.parameter == 1.0:
        for i in range(n):
            v = source[i]
            target[i] = (v if v > ZERO else ZERO) + log1p_single(exp_single(-abs(v)))
    elif number == KIND.SOFTPLUS:
        rate = f32(code.parameter)
        for i in range(n):
            v = source[i] * rate
            target[i] = ((v if v > ZERO else ZERO) + log1p_single(exp_single(-abs(v)))) / rate
    elif number == KIND.ERF:
        for i in range(n):
            target[i] = erf_single(source[i])
    elif number == KIND.HARD_TANH:
        bound = f32(code.parameter)
        for i in range(n):
            target[i] = clip_single(source[i], -bound, bound)
    elif number == KIND.MISH:
        for i in range(n):
            target[i] = mish_single(source[i])
    elif number == KIND.GELU_TANH:
        for i in range(n):
            target[i] = gelu_tanh_single(source[i])
    elif number == KIND.SOFTSIGN:
        for i in range(n):
            v = clip_single(source[i], -LARGE, LARGE)
            target[i] = v / (ONE + abs(v))
    elif number == KIND.RELU6:
        for i in range(n):
            target[i] = clip_single(source[i], ZERO, SIX)
    elif number == KIND.HARD_SIGMOID:
        for i in range(n):
            target[i] = clip_single(source[i] + THREE, ZERO, SIX) / SIX
    elif number == KIND.HARD_SWISH:
        for i in range(n):
            v = source[i]
            share = clip_single(v + THREE, ZERO, SIX) / SIX
            target[i] = (-THREE if v < -THREE else v) * share
    elif number == KIND.RELU_SQUARED:
        for i in range(n):
            v = source[i]
            target[i] = ZERO if v <= ZERO else v * v
    elif number == KIND.SINE:
        for i in range(n):
            target[i] = sine_single(source[i], code.parameter)
    else:
        for i in range(n):
            target[i] = source[i]


@elementwise
def scale_by_derivative_single(code, z, h):  # noqa: PLR0915  # one loop for each activation
    """Multiply `h` by the derivative at `z`, both (rows, columns) and contiguous."""
    source, target = z.reshape(z.size), h.reshape(h.size)
    n, number = source.size, code.number
    if number == KIND.SELU:
        for i in range(n):
            v = source[i]
            slope = f32(LAMBDA * ALPHA) * exp_single(-abs(v))
            target[i] *= f32(LAMBDA) if v > ZERO else slope
    elif number == KIND.RELU:
        for i in range(n):
            target[i] = target[i] if source[i] > ZERO else ZERO
    elif number == KIND.LEAKY_RELU:
        slope = f32(code.parameter)
        for i in range(n):
            target[i] *= ONE if source[i] > ZERO else slope
    elif number == KIND.ELU:
        floor = f32(code.parameter)
        for i in range(n):
            v = source[i]
            slope = floor * exp_single(-abs(v))
            target[i] *= ONE if v > ZERO else slope
    elif number == KIND.GELU:
        for i in range(n):
            target[i] *= gelu_slope(source[i])
    elif number == KIND.SILU and code.parameter == 1.0:
        for i in range(n):
            target[i] *= silu_slope(source[i])
    elif number == KIND.SILU:
        rate = f32(code.parameter)
        for i in range(n):
            target[i] *= silu_slope(rate * source[i])
    elif number == KIND.TANH:
        for i in range(n):
            target[i] *= f32(4) * bell(TWO * source[i])
    elif number == KIND.SIGMOID:
        for i in range(n):
            target[i] *= bell(source[i])
    elif number == KIND.SOFTPLUS and code.parameter == 1.0:
        for i in range(n):
            target[i] *= sigmoid_single(source[i])
    elif number == KIND.SOFTPLUS:
        rate = f32(code.parameter)
        for i in range(n):
            target[i] *= sigmoid_single(rate * source[i])
    elif number == KIND.ERF:
        for i in range(n):
            a = at_most(abs(source[i]), GAUSSIAN_END)
            target[i] *= f32(2.0 / math.sqrt(math.pi)) * gaussian(a, ONE)
    elif number == KIND.HARD_TANH:
        bound = f32(code.parameter)
        for i in range(n):
            target[i] = target[i] if abs(source[i]) < bound else ZERO
    elif number == KIND.MISH:
        for i in range(n):
            target[i] *= mish_slope(source[i])
    elif number == KIND.GELU_TANH:
        for i in range(n):
            target[i] *= gelu_tanh_slope(source[i])
    elif number == KIND.SOFTSIGN:
        for i in range(n):
            q = ONE / (ONE + abs(source[i]))
            target[i] *= q * q
    elif number == KIND.RELU6:
        for i in range(n):
            v = source[i]
            target[i] = (target[i] if v > ZERO else ZERO) if v < SIX else ZERO
    elif number == KIND.HARD_SIGMOID:
        for i in range(n):
            target[i] *= SIXTH if abs(source[i]) < THREE else ZERO
    elif number == KIND.HARD_SWISH:
        for i in range(n):
            v = source[i]
            inside = (v + f32(1.5)) / THREE
            target[i] *= (inside if v > -THREE else ZERO) if v < THREE else ONE
    elif number == KIND.RELU_SQUARED:
        for i in range(n):
            v = source[i]
            target[i] *= TWO * v if v > ZERO else ZERO
    elif number == KIND.SINE:
        factor = f32(code.parameter)
        for i in range(n):
            target[i] *= factor * cosine_single(source[i], code.parameter)
    # The derivative of the identity is 1.
