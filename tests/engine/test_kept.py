"""What a layer keeps for the way back is what memory is reckoned with."""

from __future__ import annotations

import gc
import math
import tracemalloc

import numpy as np
import pytest
from numba import config

from snstat.engine.general.draw import LayerDraw
from snstat.engine.general.workshop import Workshop
from snstat.layers.registry import KINDS
from snstat.layers.shape import Shape
from tests.layers.kinds import INPUTS, TOKENS, grids_of, layer_of, shape_of
from tests.layers.plain_draw import PlainDraw

BATCH = 2**13
# Objects, and what belongs to single samples, not to values; more for every channel.
BESIDE = 2**12 + 8 * BATCH


CONTAINERS = {"block", "residual"}
# What they keep beside what they give is small, or is what they are given.
MOVING = (
    *("mean_pool", "global_mean_pool", "upsample", "pixel_shuffle", "crop", "flatten", "scale"),
    *("add", "multiply", "concat", "layer_norm", "rms_norm", "group_norm", "batch_norm"),
)

# They keep matrices too, which are few numbers beside a thousand samples.
CELLS = "elman", "lstm", "gru"


def drawn(random, name, shape):
    """Return values of a batch, or numbers of tokens."""
    if name in TOKENS:
        return random.integers(TOKENS[name], size=(1, *shape))
    return random.normal(size=(shape_of(name, ()).channels, *shape))


def size_kept(sample):
    """Return what `sample` returns, and the bytes that are kept of it."""
    gc.collect()
    tracemalloc.start()
    try:
        kept = sample()
        gc.collect()
        return kept, tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()


@pytest.mark.skipif(bool(config.DISABLE_JIT), reason="thousands of samples need compiled kernels")
@pytest.mark.parametrize("name", [name for name in KINDS if name not in CONTAINERS])
def test_a_layer_keeps_no_more_arrays_than_it_says(name):
    layer, random, grid = layer_of(name), np.random.default_rng(0), grids_of(name)[0]
    given = [
        drawn(random, name, (BATCH // math.prod(grid), *grid)).astype(np.float32)
        for _ in range(INPUTS.get(name, 1))
    ]
    shop = Workshop(np.dtype("float32"), np.uint64(0), np.zeros(1, np.uint8), train=True)
    layer.sample(given, LayerDraw(shop, 0, 1))  # the scratch of all layers, which stays
    kept, size = size_kept(lambda: layer.sample(given, LayerDraw(shop, 0, 2)))
    shapes = [Shape(len(x), x.shape[2:]) for x in given]
    beside = 0 if name in TOKENS else layer.beside(shapes) * given[0].shape[1] * 4
    most = layer.arrays * kept.values.nbytes + beside
    assert size <= most + BESIDE + 8 * shapes[0].channels
    assert size >= most - kept.values.nbytes  # not reckoned far too large


@pytest.mark.parametrize("name", [*MOVING, *CELLS])
def test_layers_keep_what_is_reckoned_with(name):
    """With draws of numpy, which keep nothing else."""
    layer, random, grid = layer_of(name, 40), np.random.default_rng(0), grids_of(name)[-1]
    given = [random.normal(size=(40, 1000, *grid)) for _ in range(INPUTS.get(name, 1))]
    kept, size = size_kept(lambda: layer.sample(given, PlainDraw(1)))
    assert size == pytest.approx(layer.arrays * kept.values.nbytes, rel=0.05)
