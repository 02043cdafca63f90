"""Independent versions of the kernels: Python integers, math functions and numpy on whole
arrays."""

from __future__ import annotations

import math

import numpy as np

from snstat.activation import resolve

MASK = 0xFFFFFFFF


def philox(counter, key):
    """Philox4x32-10 as in the paper, on Python integers."""
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(10):
        p0, p1 = 0xD2511F53 * c0, 0xCD9E8D57 * c2
        c0, c1, c2, c3 = (p1 >> 32) ^ c1 ^ k0, p1 & MASK, (p0 >> 32) ^ c3 ^ k1, p0 & MASK
        k0, k1 = (k0 + 0x9E3779B9) & MASK, (k1 + 0xBB67AE85) & MASK
    return c0, c1, c2, c3


def words(index, purpose, layer, trial, seed):
    counter = (index & MASK, purpose << 24 | index >> 32, layer, trial)
    return philox(counter, (seed & MASK, seed >> 32))


def signed(word):
    return word - 2**32 if word >= 2**31 else word


def normals(a, b):
    """Box–Muller in float64, with the quarter circles numbered as in the kernel."""
    radius = math.sqrt(-2.0 * math.log((a + 0.5) / 2**32))
    angle = signed(b << 2 & MASK) * math.pi / 4 / 2**31
    sine, cosine = math.sin(angle), math.cos(angle) * (-1.0 if b >> 31 else 1.0)
    return (radius * sine, radius * cosine) if b >> 30 & 1 else (radius * cosine, radius * sine)


def row_single(row, columns, kind, purpose, layer, trial, seed):
    """Return one row of a float32 matrix of standard deviation 1."""
    blocks = -(-columns // 4)
    values = np.empty(4 * blocks)
    for j in range(blocks):
        a, b, c, d = words(row * blocks + j, purpose, layer, trial, seed)
        if kind == "uniform":
            block = [math.sqrt(3.0) * (signed(word) + 0.5) / 2**31 for word in (a, b, c, d)]
        else:
            block = [*normals(a, b), *normals(c, d)]
        values[j::blocks] = block
    return values[:columns]


def row_double(row, columns, kind, purpose, layer, trial, seed):
    """Return one row of a float64 matrix of standard deviation 1."""
    blocks = -(-columns // 2)
    values = np.empty(2 * blocks)
    for j in range(blocks):
        a, b, c, d = words(row * blocks + j, purpose, layer, trial, seed)
        first, second = (a * 2**32 + b) / 2**64, (c * 2**32 + d) / 2**64
        if kind == "uniform":
            block = [math.sqrt(3.0) * (2 * first - 1), math.sqrt(3.0) * (2 * second - 1)]
        else:
            radius = math.sqrt(-2.0 * math.log(first))
            angle = 2.0 * math.pi * second
            block = [radius * math.cos(angle), radius * math.sin(angle)]
        values[j::blocks] = block
    return values[:columns]


def saturated(name, z):
    """Return the share of pre-activations where the slope is below a hundredth of the steepest."""
    activation = resolve(name)
    if activation.left is None or activation.right is None:
        return math.nan
    steepest = np.abs(activation.derivative(np.linspace(-20.0, 20.0, 100_001))).max()
    return (np.abs(activation.derivative(np.asarray(z, np.float64))) < 0.01 * steepest).mean()


def statistics(x, dead_fraction, saturated_fraction=math.nan):
    """Return the contract's statistics of x (batch, width), computed from their definitions."""
    x = np.asarray(x, dtype=np.float64)
    batch = len(x)
    with np.errstate(divide="ignore", invalid="ignore"):
        directions = x / np.linalg.norm(x, axis=1, keepdims=True)
        cosines = [
            directions[a] @ directions[b]
            for a in range(batch)
            for b in range(batch)
            if a != b and x[a].any() and x[b].any()
        ]
        kurtosis = ((x - x.mean()) ** 4).mean() / x.var() ** 2
    return {
        "mean": x.mean(),
        "variance": x.var(),
        "second_moment": (x**2).mean(),
        "variance_over_batch": x.var(axis=0).mean(),
        "variance_over_units": x.var(axis=1).mean(),
        "cosine": np.mean(cosines) if cosines else math.nan,
        "kurtosis": kurtosis,
        "dead_fraction": dead_fraction,
        "zero_samples": np.mean([not row.any() for row in x]),
        "saturated_fraction": saturated_fraction,
        "largest": np.abs(x).max(),
    }
