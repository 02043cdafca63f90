"""The loop over depth as a competent numpy user writes it: SELU, LeCun-normal weights, float32.

Each function returns a program that propagates one batch through a number of layers and returns the
contract's statistics of layers 1 to the last, in the order of `snstat.results.STATISTICS`. Buffers
and inputs are made beforehand, which favours the peer.
"""

from __future__ import annotations

import math

import numpy as np

ALPHA, LAMBDA = 1.6732632423543772, 1.0507009873554805
# SELU has no flat part. A unit is dead where the activation is flat for every sample.
FLAT_BELOW = -math.inf


def selu_(z):
    """Replace z by SELU(z) in place."""
    negative = np.minimum(z, 0)
    np.expm1(negative, out=negative)
    negative *= ALPHA
    np.maximum(z, 0, out=z)
    z += negative
    z *= LAMBDA
    return z


def statistics(x, highest, flat_below=FLAT_BELOW):
    """Measure x (batch, width); `highest` (width,) is the largest pre-activation of each unit."""
    x = x.astype(np.float64)
    batch, size = len(x), x.size
    samples, units = x.mean(axis=1), x.mean(axis=0)
    mean = samples.mean()
    directions = (1 / np.sqrt(np.einsum("ij,ij->i", x, x))) @ x
    x -= mean
    x *= x
    variance = x.mean()
    return (
        mean,
        variance,
        variance + mean * mean,
        # The total variance is the variance within groups plus that between their means.
        variance - units.var(),
        variance - samples.var(),
        (directions @ directions - batch) / (batch * (batch - 1)),
        np.vdot(x, x) / size / variance**2,
        np.count_nonzero(highest <= flat_below) / len(highest),
    )


def forward(width, batch, *, inputs=None, weights=None):
    """Make a forward pass: `run(layers)` returns (layers, statistics).

    `inputs` (batch, width) and `weights(layer)` (fan_in, fan_out) replace random ones.
    """
    random = np.random.default_rng(0)
    source = random.standard_normal((batch, width), np.float32) if inputs is None else inputs
    buffer = np.zeros((width, width), np.float32)
    z, other = np.empty_like(source), np.empty_like(source)
    # Scaling the product is cheaper than scaling the weights.
    scale = np.float32(1 / math.sqrt(width) if weights is None else 1)

    def draw(_layer):
        return random.standard_normal(out=buffer, dtype=np.float32)

    draw = weights or draw

    def run(layers):
        x, free, spare = source, z, other
        rows = []
        for layer in range(1, layers + 1):
            np.matmul(x, draw(layer), out=free)
            free *= scale
            highest = free.max(axis=0)
            x, free, spare = selu_(free), spare, free
            rows.append(statistics(x, highest))
        return np.array(rows)

    return run


def backward(width, batch, layers, *, inputs=None, weights=None, read_out=None):
    """Make a forward and a backward pass.

    `run()` returns (layers, statistics) and the squared gradients (layers + 1,) with respect to the
    layer outputs, relative to the last. L is the sum of the last layer times a random `read_out`
    (batch, width).
    """
    random = np.random.default_rng(0)
    source = random.standard_normal((batch, width), np.float32) if inputs is None else inputs
    out = random.standard_normal((batch, width), np.float32) if read_out is None else read_out
    scale = np.float32(1 / math.sqrt(width) if weights is None else 1)
    kept = [np.zeros((width, width), np.float32) for _ in range(layers)]
    states = [source, *(np.zeros_like(source) for _ in range(layers))]

    def draw(layer):
        return random.standard_normal(out=kept[layer - 1], dtype=np.float32)

    draw = weights or draw

    def run():
        rows, used = [], []
        for layer in range(1, layers + 1):
            used.append(draw(layer))
            z = np.matmul(states[layer - 1], used[-1], out=states[layer])
            z *= scale
            highest = z.max(axis=0)
            rows.append(statistics(selu_(z), highest))
        h = out
        squares = np.empty(layers + 1)
        for layer in range(layers, 0, -1):
            squares[layer] = np.vdot(h, h)
            x = states[layer]
            # SELU's slope from its value: λ, or λα exp(z) = φ(z) + λα.
            h = h * np.where(x > 0, np.float32(LAMBDA), x + np.float32(LAMBDA * ALPHA))
            h = h @ used[layer - 1].T
            h *= scale
        squares[0] = np.vdot(h, h)
        return np.array(rows), squares / squares[-1]

    return run
