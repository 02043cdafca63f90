"""Relatives of SiLU and GELU, and the sine, in float32: branch-free, so that loops vectorise."""

from __future__ import annotations

import math

import numpy as np

from snstat.engine.kernels.codes import CUBIC, ROOT_8_PI
from snstat.engine.kernels.exponentials import (
    LOWEST,
    ONE,
    TWO,
    ZERO,
    at_most,
    exp_of_sum,
    exp_single,
)
from snstat.engine.kernels.jit import elementwise

f32 = np.float32
FOUR = f32(4)
# Beyond this gelu_tanh equals its limits.
CUBIC_END = f32(15)
# π in two parts. The first has 26 bits, so its products with turns are exact up to 2^27.
PI_HIGH, PI_LOW, INVERSE_PI = 3.1415926218032837, 3.178650954705639e-08, 1.0 / math.pi
QUARTER = f32(0.5 * math.pi)


@elementwise
def clip_single(x, low, high):
    """Return x between low and high, and NaN for NaN."""
    return low if x < low else (high if x > high else x)


@elementwise
def mish_single(x):
    """Return x·tanh(ln(1 + e^x))."""
    e = exp_single(-abs(x))
    left = e * (e + TWO)
    right = ONE + TWO * e
    top = left if x < ZERO else right
    bottom = (left if x < ZERO else right + TWO * e * e) + (TWO if x < ZERO else ZERO)
    return (LOWEST if x < LOWEST else x) * (top / bottom)


@elementwise
def mish_slope(x):
    """Return t + x·t' with t = tanh(ln(1 + e^x))."""
    a = at_most(abs(x), -LOWEST)
    e = exp_single(-a)
    square = e * e
    left = e * (e + TWO)
    q = ONE / ((left + TWO) if x < ZERO else (ONE + TWO * e + TWO * square))
    below = e * q * ((e + TWO) - FOUR * a * ((ONE + e) * q))
    above = q * ((ONE + TWO * e) + FOUR * a * (square * ((ONE + e) * q)))
    return below if x < ZERO else above


@elementwise
def cubic_exponential(a):
    """Return e^−2y of gelu_tanh for a in [0, 15].

    A rounded argument would cost as many units in the last place as its size. It is therefore
    computed in float64 and passed on in two parts.
    """
    wide = np.float64(a)
    y = -ROOT_8_PI * wide * (1.0 + CUBIC * wide * wide)
    high = f32(y)
    return exp_of_sum(high, f32(y - np.float64(high)))


@elementwise
def gelu_tanh_single(x):
    """Return x·σ(2y), y = √(2/π)(x + 0.044715·x³)."""
    a = at_most(abs(x), CUBIC_END)
    e = cubic_exponential(a)
    q = ONE / (ONE + e)
    return -a * (e * q) if x < ZERO else x * q


@elementwise
def gelu_tanh_slope(x):
    """Return σ + x·2y'·σ(1 − σ)."""
    a = at_most(abs(x), CUBIC_END)
    e = cubic_exponential(a)
    q = ONE / (ONE + e)
    growth = a * f32(ROOT_8_PI) * (ONE + f32(3.0 * CUBIC) * a * a)
    return e * q * (ONE - growth * q) if x < ZERO else q * (ONE + growth * (e * q))


@elementwise
def sine_of_rest(wide, turns):
    """Return sin(wide − turns·π), with `turns` an integer or a half-integer, both float64.

    Taylor's series to the 13th power; the next term is below 7e-10 for |r| ≤ π/2.
    """
    # Of the sine of a phase beyond 2^52 only the bounds ±1 are known.
    r = clip_single(f32((wide - turns * PI_HIGH) - turns * PI_LOW), -QUARTER, QUARTER)
    square = r * r
    p = f32(1.6059043836821613e-10)
    p = p * square + f32(-2.505210838544172e-8)
    p = p * square + f32(2.7557319223985893e-6)
    p = p * square + f32(-1.984126984126984e-4)
    p = p * square + f32(8.333333333333333e-3)
    p = p * square + f32(-1.6666666666666666e-1)
    return p * square * r + r


@elementwise
def sine_single(x, frequency):
    """Return sin(frequency·x), with the phase in float64, as exact as the argument."""
    wide = frequency * np.float64(x)
    turns = np.floor(wide * INVERSE_PI + 0.5)
    odd = turns - 2.0 * np.floor(0.5 * turns)
    return f32(1.0 - 2.0 * odd) * sine_of_rest(wide, turns)


@elementwise
def cosine_single(x, frequency):
    """Return cos(frequency·x)."""
    wide = frequency * np.float64(x)
    turns = np.floor(wide * INVERSE_PI)
    odd = turns - 2.0 * np.floor(0.5 * turns)
    return f32(2.0 * odd - 1.0) * sine_of_rest(wide, turns + 0.5)
