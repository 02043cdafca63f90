"""One matrix of any network that is not drawn, forward and on the way back."""

from __future__ import annotations

import numpy as np

from snstat.engine.general.grid import columns
from snstat.engine.general.taps import taps_of
from snstat.engine.general.workshop import Workshop
from snstat.engine.kernels import weight_free, weight_free_backward
from snstat.engine.kernels.gradient_tiles import Coefficients, Products
from snstat.engine.kernels.matrix_free import tile_width
from snstat.engine.kernels.random import Draw
from snstat.engine.kernels.sums import new_sums
from snstat.engine.matrix_free.sampler import matrix_free_layer
from snstat.layers.draw import Pass, Values
from snstat.layers.weights import Weights
from snstat.layers.window import Window


def weight_free_pass(values: Values, weights: Weights, draw: Draw, shop: Workshop) -> Pass:
    """Return W x + b without drawing W. The pull-back draws what W x leaves open in W, so it may be
    called once.

    Both depend on the counters of `draw` alone. Values are incomplete after a stop.
    """
    x, before, layer = columns(values), values.shape, matrix_free_layer(weights)
    size = x.shape[1]
    z = np.empty((layer.units, size), shop.dtype)
    kept = _kept(weights, size)
    weight_free.forward(shop.team, x, z, layer, draw, kept, _scratch(shop, weights, size))

    def pull(slope: Values) -> tuple[Values, ...]:
        h, out = columns(slope), np.empty((layer.fan_in, size), shop.dtype)
        room = _room(shop, weights, size)
        weight_free_backward.backward(shop.team, x, h, out, layer, draw, kept, room)
        return (out.reshape(before),)

    return Pass(z.reshape(layer.units, *before[1:]), pull)


def is_by_channels(window: Window) -> bool:
    """Return whether the Gram matrix of patches takes less work by that of the channels."""
    return window.taps * window.positions**2 > window.size**2


def weight_free_convolution(
    values: Values, window: Window, weights: Weights, draw: Draw, shop: Workshop
) -> Pass:
    """Return W ∗ x + b as `weight_free_pass` returns W x + b of the patches, which are put together
    on the way back alone."""
    x, batch, layer = columns(values), values.shape[1], matrix_free_layer(weights)
    size = batch * window.positions
    z, kept = np.empty((layer.units, size), shop.dtype), _kept(weights, size)
    wide = shop.scratch_of_doubles("wide_before", int(tile_width(len(x))), x.shape[1])
    patched = weight_free.Patched(x, taps_of(window), wide)
    scratch = _scratch(shop, weights, size)
    weight_free.forward_of_patches(shop.team, patched, z, layer, draw, kept, scratch)

    def pull(slope: Values) -> tuple[Values, ...]:
        patches, h = window.patches(values), columns(slope)
        out, room = np.empty((layer.fan_in, size), shop.dtype), _room(shop, weights, size)
        own = columns(patches)
        weight_free_backward.backward(shop.team, own, h, out, layer, draw, kept, room)
        return (window.put_back(out.reshape(patches.shape)),)

    return Pass(z.reshape(layer.units, batch, *window.grid), pull)


def _kept(weights: Weights, size: int) -> weight_free.Kept:
    roots = np.empty((2, size, size)) if weights.orthogonal else None
    return weight_free.Kept(np.empty((size, size)), roots)


def _scratch(
    shop: Workshop, weights: Weights, size: int, *, back: bool = False
) -> weight_free.Workspace:
    """Return scratch of the forward pass, or what the way `back` needs of it."""
    into, tile = int(tile_width(weights.fan_in)), int(tile_width(weights.fan_out))
    most, wide = max(into, tile), into if back else tile

    def make() -> weight_free.Workspace:
        return weight_free.Workspace(
            xi=shop.scratch("xi", size, tile),
            rows=shop.scratch("rows", most, size),
            wide=shop.scratch_of_doubles("wide", size, wide),
            wide_rows=shop.scratch_of_doubles("wide_rows", most, size),
            product=shop.scratch("square", size, size),
            matrix=shop.scratch("matrix", size, size),
            sums=new_sums(1, size),
        )

    return shop.once((size, tile, most, wide), make)


def _room(shop: Workshop, weights: Weights, size: int) -> weight_free_backward.Workspace:
    """Return scratch of the way back."""
    tile = int(tile_width(weights.fan_in))
    dimensions = weights.larger if weights.orthogonal else weights.fan_in
    double, square = shop.scratch_of_doubles, (size, size)
    return weight_free_backward.Workspace(
        forward=_scratch(shop, weights, size, back=True),
        noise=shop.scratch("noise", -(-dimensions // tile), size, tile),
        coefficients=Coefficients(
            shop.scratch("a", *square), shop.scratch("b", *square), double("fine", *square),
            double("sums", size),
        ),
        spread=double("spread", *square),
        projected=double("projected", *square),
        products=Products(
            double("noise_by_input", 1, *square), double("noise_by_noise", 1, *square),
            double("none", 1, 0, 0), double("none", 1, 0, 0),
        ),
    )  # fmt: skip
