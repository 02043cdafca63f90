"""Sigmoid, tanh, erf and what is made of them, in float32: branch-free, so that loops vectorise."""

from __future__ import annotations

import math

import numpy as np

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
