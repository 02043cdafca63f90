"""The weights, biases and inputs of a simulated network, as the kernels draw them.

Use them in tests, in comparisons with other frameworks, or to rebuild the network of a run. Every
value is a function of (seed, trial, layer, purpose, position) alone.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from snstat.engine.kernels import orthogonal, random
from snstat.engine.kernels.layers import DrawnLayer
from snstat.engine.kernels.random import Draw, Law
from snstat.layers.initialisers import TRUNCATED_STD
from snstat.layers.weights import Weights
from snstat.network.stack import Stack

# A tile of this many weights (4 MiB in float32) stays in the level-3 cache while it is multiplied.
# A tile that fits level 2 is slower, because BLAS packs the activations again for every tile.
TILE_VALUES = 2**20
# A tile has at least this many rows, because a product of fewer spends its time on packing. A layer
# of fewer than twice as many units is cut in two halves, though not of fewer than NARROW rows, so
# that two threads can share it.
MIN_ROWS, NARROW = 128, 32
# A tile has fewer rows if it would otherwise have more values than this (32 MiB in float32).
MOST_VALUES = 2**23
# The number of blocks of a layer if tiles may be smaller, so that every thread has work.
BLOCKS = 8


def tile_rows(fan_in: int, fan_out: int) -> int:
    """Return how many rows of W are drawn at once. This depends on the shape alone, so that
    results do not depend on the number of threads."""
    least = min(MIN_ROWS, max(NARROW, -(-fan_out // 2)))
    rows = max(least, min(TILE_VALUES // fan_in, -(-fan_out // BLOCKS)))
    return min(fan_out, rows, max(16, MOST_VALUES // fan_in))


def strip_blocks(fan_in: int, fan_out: int, values: int) -> int:
    """Return how many columns of W are drawn at once, in random blocks of `values` numbers."""
    return -(-min(tile_rows(fan_out, fan_in), fan_in) // values)


def drawn_layer(layer: Weights, size: int) -> DrawnLayer:
    """Return a layer as kernels take it, for values of `size` bytes. An orthogonal layer is one
    block, and others are cut in blocks."""
    fan_in, fan_out = layer.fan_in, layer.fan_out
    return DrawnLayer(
        fan_in,
        fan_out,
        weight_law(layer),
        bias_law(layer),
        fan_out if layer.orthogonal else tile_rows(fan_in, fan_out),
        strip_blocks(fan_in, fan_out, random.BLOCK_BYTES // size),
    )


def weight_scale(layer: Weights) -> float:
    """Return the standard deviation of a weight, as kernels take it.

    For truncated normals it is that before truncation. For
    orthogonal weights, which have orthonormal rows or columns, it is the factor on the matrix.
    """
    if layer.distribution == "orthogonal":
        return math.sqrt(layer.square_gain * max(layer.fan_in, layer.fan_out) / layer.fan_in)
    std = math.sqrt(layer.square_gain / layer.fan_in)
    return std / TRUNCATED_STD if layer.distribution == "truncated_normal" else std


def weight_law(layer: Weights) -> Law:
    """Return the law of weights for kernels; orthogonal weights are made of normal numbers."""
    return Law(random.LAWS.get(layer.distribution, random.NORMAL), weight_scale(layer))


def bias_law(layer: Weights) -> Law:
    """Return the law of biases for kernels."""
    return Law(random.LAWS[layer.bias_distribution], layer.bias_std)


def draw_weights(
    stack: Stack, index: int, *, trial: int = 0, seed: int = 0, dtype: str = "float32"
) -> npt.NDArray[np.floating]:
    """Return the weights (fan_out, fan_in) of layer `index` (1..depth) as a run draws them."""
    layer = stack.layer(index)
    weights = np.empty((layer.fan_out, layer.fan_in), dtype)
    law, draw = weight_law(layer), Draw(np.uint64(seed), trial, index)
    if layer.distribution == "orthogonal":
        stop = np.zeros(1, np.uint8)
        basis = np.eye(layer.fan_in, dtype=dtype)
        orthogonal.orthogonal(basis, weights, law.std, draw, stop)
    else:
        random.draw_rows(weights, 0, law, random.WEIGHTS, draw)
    return weights


def draw_biases(
    stack: Stack, index: int, *, trial: int = 0, seed: int = 0, dtype: str = "float32"
) -> npt.NDArray[np.floating]:
    """Return the biases (fan_out,) of layer `index` (1..depth) as a run draws them."""
    layer = stack.layer(index)
    biases = np.zeros((1, layer.fan_out), dtype)
    if layer.bias_std > 0:
        draw = Draw(np.uint64(seed), trial, index)
        random.draw_rows(biases, 0, bias_law(layer), random.BIASES, draw)
    row: npt.NDArray[np.floating] = biases[0]
    return row


def draw_inputs(
    kind: str,
    width: int,
    batch: int,
    mean: float,
    std: float,
    *,
    trial: int = 0,
    seed: int = 0,
    dtype: str = "float32",
) -> npt.NDArray[np.floating]:
    """Return inputs (width, batch), units by rows, independent with this mean and standard
    deviation.

    `kind` is "normal" or "uniform".
    """
    x = np.empty((width, batch), dtype)
    law, draw = Law(random.LAWS[kind], std), Draw(np.uint64(seed), trial, 0)
    random.draw_rows(x, 0, law, random.INPUTS, draw)
    x += x.dtype.type(mean)
    return x
