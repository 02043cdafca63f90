"""Convolutions whose matrices are drawn."""

from __future__ import annotations

import numpy as np

from snstat.engine.general.grid import columns
from snstat.engine.general.taps import taps_of, turned_taps
from snstat.engine.general.workshop import Workshop
from snstat.engine.kernels import patches
from snstat.engine.kernels.patches import Scratch
from snstat.engine.kernels.random import Draw
from snstat.layers.draw import Pass, Values
from snstat.layers.initialisers import PLAIN
from snstat.layers.weights import Weights
from snstat.layers.window import Window

# A matrix of more weights does not stay in the cache while it is multiplied with some patches.
MOST_WEIGHTS = 2**20
# Values of the patches that are made at once, at least those of one sample: 512 KiB in float32.
PATCH_VALUES = 2**17


def fits(weights: Weights) -> bool:
    """Return whether `convolution` takes a matrix of one group that is drawn."""
    small = weights.fan_in * weights.fan_out <= MOST_WEIGHTS
    return weights.form == PLAIN and not weights.orthogonal and small


def convolution(
    values: Values, window: Window, weights: Weights, groups: int, draw: Draw, shop: Workshop
) -> Pass:
    """Return W ∗ x + b of every group, with W drawn, and again on the way back.

    `draw` is what the first group draws from, and later ones draw once more each. Values are
    incomplete after a stop.
    """
    layer, taps = shop.layer(weights), taps_of(window)
    before, (channels, batch) = values.shape, values.shape[:2]
    z = np.empty((groups * weights.fan_out, batch * window.positions), shop.dtype)
    sizes = weights.fan_in * window.positions, weights.fan_out * window.positions
    room = _scratch(shop, weights, batch, *sizes)
    patches.convolve(columns(values), z, layer, draw, taps, shop.stop, room)

    def pull(slope: Values) -> tuple[Values, ...]:  # keeps neither x nor z
        out = np.empty((channels, batch * window.size), shop.dtype)
        arrays = columns(slope), out, layer, draw
        if window.positions == window.size:
            given = sizes[1] * window.taps, sizes[0] // window.taps
            room = _scratch(shop, weights, batch, *given)
            patches.convolve_turned(*arrays, turned_taps(window), shop.stop, room)
        else:
            room = _scratch(shop, weights, batch, *sizes)
            patches.convolve_back(*arrays, taps, shop.stop, room)
        return (out.reshape(before),)

    return Pass(z.reshape(len(z), batch, *window.grid), pull)


def _scratch(shop: Workshop, weights: Weights, batch: int, taken: int, made: int) -> Scratch:
    """Return room for one group, of which the patches of a sample are so many values `taken`, and
    their product is so many `made`."""
    samples = min(max(PATCH_VALUES // taken, 1), batch)
    return Scratch(
        shop.scratch("tile", weights.fan_in * weights.fan_out),
        shop.scratch("turned", weights.fan_in * weights.fan_out),
        shop.scratch("patches", samples * taken),
        shop.scratch("product", samples * made),
    )
