"""Pair expectations by mpmath: closed forms given the shared part of both inputs, or a plain
grid."""

from __future__ import annotations

import mpmath as mp

from snstat.activation import ALPHA, LAMBDA
from tests.gaussian.oracle import FUNCTIONS


def truncated_exponential(mean, variance, factor):
    """Return E[exp(factor·z); z < 0] for z ~ N(mean, variance)."""
    std = mp.sqrt(variance)
    return mp.exp(factor * mean + factor**2 * variance / 2) * mp.ncdf(
        -(mean + factor * variance) / std
    )


def elu_means(alpha, scale, mean, variance):
    """Return (E φ, E φ²) of scale·(z if z > 0 else alpha·(eᶻ − 1)), by the closed form."""
    std = mp.sqrt(variance)
    positive, density = mp.ncdf(mean / std), mp.npdf(mean / std)
    zero = mp.ncdf(-mean / std)
    one, two = (truncated_exponential(mean, variance, k) for k in (1, 2))
    first = mean * positive + std * density + alpha * (one - zero)
    second = (mean**2 + variance) * positive + mean * std * density
    second += alpha**2 * (two - 2 * one + zero)
    return scale * first, scale**2 * second


def hard_tanh_means(mean, variance):
    """Return (E φ, E φ²) of the clipped z."""
    std = mp.sqrt(variance)
    low, high = (-1 - mean) / std, (1 - mean) / std
    inside = mp.ncdf(high) - mp.ncdf(low)
    tilt = mp.npdf(low) - mp.npdf(high)
    first = mean * inside + std * tilt + mp.ncdf(-high) - mp.ncdf(low)
    second = mean**2 * inside + 2 * mean * std * tilt
    second += variance * (inside + low * mp.npdf(low) - high * mp.npdf(high))
    return first, second + 1 - inside


MEANS = {
    "selu": lambda m, v: elu_means(mp.mpf(ALPHA), mp.mpf(LAMBDA), m, v),
    "elu": lambda m, v: elu_means(mp.mpf(1), mp.mpf(1), m, v),
    "hard_tanh": hard_tanh_means,
}


def piecewise_gap(name, q, misalignment):
    """Return E[φ²] − E[ψ(t)ψ(±t)], where ψ is the closed-form mean given the shared part t."""
    q, d = mp.mpf(q), mp.mpf(misalignment)
    shared, own = mp.sqrt(q * abs(1 - d)), q * min(d, 2 - d)
    sign = 1 if d <= 1 else -1
    width = mp.sqrt(own) / shared if shared else mp.mpf(1)
    kinks = (-1, 0, 1) if name == "hard_tanh" else (0,)
    cuts = {mp.mpf(k) for k in range(-12, 13, 2)}
    for kink in kinks:
        centre = kink / shared if shared else mp.mpf(0)
        cuts |= {centre + j * width for j in (-12, -6, -3, -1, 0, 1, 3, 6, 12)}
    cuts = sorted(c for c in cuts if abs(c) <= 12)

    def product(t):
        return mp.npdf(t) * MEANS[name](shared * t, own)[0] * MEANS[name](sign * shared * t, own)[0]

    return MEANS[name](mp.mpf(0), q)[1] - mp.quad(product, cuts)


def smooth_gap(name, q, misalignment):
    """Return ½E[(φ(z₁) − φ(z₂))²] by a trapezoidal rule in two dimensions.

    At q = 2 and tanh's pole π/2 the aliasing error is exp(−2π·(π/2)/√2/0.17) = 1e-18; the tails
    beyond 9 contribute 1e-18.
    """
    function, step, count = FUNCTIONS[name], mp.mpf("0.17"), 54
    shared = mp.sqrt(mp.mpf(q) * (2 - mp.mpf(misalignment)) / 2)
    apart = mp.sqrt(mp.mpf(q) * mp.mpf(misalignment) / 2)
    total = norm = mp.mpf(0)
    for i in range(-count, count + 1):
        for j in range(count):
            u, v = i * step, (j + mp.mpf(1) / 2) * step
            weight = mp.exp(-(u * u + v * v) / 2)
            difference = function(shared * u + apart * v) - function(shared * u - apart * v)
            total += weight * difference**2 / 2
            norm += weight
    return total / norm


PIECEWISE = [
    (name, q, d) for name in MEANS for q in (1e-3, 1.0, 40.0) for d in (1e-12, 1e-5, 0.3, 1.0, 1.7)
]
SMOOTH = [
    (name, q, d)
    for name in ("tanh", "sigmoid", "softplus", "silu", "gelu")
    for q, d in ((0.3, 0.4), (2.0, 1.6), (2.0, 1e-4), (1.0, 1.0))
]
