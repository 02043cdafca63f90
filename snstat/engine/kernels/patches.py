"""Convolutions whose matrices are drawn: patches are gathered, multiplied and put back while they
are in the cache.

Values are (channels, batch · positions), contiguous, and weights (units, taps · channels), the
channels of a tap next to each other.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from snstat.engine.kernels.dense import draw_biases
from snstat.engine.kernels.jit import inner, jit
from snstat.engine.kernels.random import AGAIN_SHIFT, WEIGHTS, Draw, copy, draw_rows


class Taps(NamedTuple):
    """What each tap of a window takes, of `before` positions.

    `sources` (taps, positions after) are the positions, negative where there is none. If `shifted`,
    a tap takes for position j the one at j + `shifts`[tap] where `inside` (taps, positions after),
    which vectorises. The other positions that take something are `edges`[`ends`[tap] :
    `ends`[tap + 1]]; if not `shifted`, they are all positions.
    """

    before: int
    sources: Any
    shifted: bool
    shifts: Any
    inside: Any
    edges: Any
    ends: Any


class Scratch(NamedTuple):
    """Room for the `weights` of a group (units · taps · channels,), for the same `turned`, for the
    `patches` of some samples (values,), and for their `product` (values,)."""

    weights: Any
    turned: Any
    patches: Any
    product: Any


@inner
def gather(x, first, taps, patches):
    """Write to `patches` (taps · channels, samples · after) what the taps take of `x` (channels,
    batch · before), from sample `first` on."""
    channels, after = x.shape[0], taps.sources.shape[1]
    nothing = x.dtype.type(0.0)
    for tap in range(taps.sources.shape[0]):
        sources, inside = taps.sources[tap], taps.inside[tap]
        for c in range(channels):
            own, row = x[c], patches[tap * channels + c]
            for sample in range(row.size // after):
                here = row[sample * after : (sample + 1) * after]
                start = (first + sample) * taps.before
                if taps.shifted:
                    low = start + taps.shifts[tap]
                    if low >= 0 and low + after <= own.size:
                        there = own[low : low + after]
                        for j in range(after):  # loads under a mask
                            here[j] = there[j] if inside[j] else nothing
                    else:
                        for j in range(after):
                            here[j] = own[low + j] if inside[j] else nothing
                for n in range(taps.ends[tap], taps.ends[tap + 1]):
                    j = taps.edges[n]
                    here[j] = own[start + sources[j]] if sources[j] >= 0 else nothing


@inner
def put_back(patches, taps, out):
    """Add to `out` (channels, samples · before) the adjoint of `gather`, of taps that are not
    shifted."""
    channels, after = out.shape[0], taps.sources.shape[1]
    for c in range(channels):
        own = out[c]
        for tap in range(taps.sources.shape[0]):
            row = patches[tap * channels + c]
            for sample in range(row.size // after):
                there, here = own[sample * taps.before :], row[sample * after :]
                for j in range(after):
                    source = taps.sources[tap, j]
                    if source >= 0:
                        there[source] += here[j]


@inner
def of_group(draw, group):
    """Return the random numbers of a group: each draws once more than the one before."""
    return Draw(draw.key, draw.trial + (group << AGAIN_SHIFT), draw.layer)


@inner
def multiply(own, out, weights, biases, taps, scratch):
    """Write `weights` (rows, taps · channels) times the patches of `own` (channels, samples ·
    before), plus `biases` (1, rows) if there are any, to `out` (rows, samples · after)."""
    rows, size_of_patch = weights.shape
    after = taps.sources.shape[1]
    batch = own.shape[1] // taps.before
    most = max(scratch.patches.size // (size_of_patch * after), 1)
    for first in range(0, batch, most):
        end = min(first + most, batch)
        size = (end - first) * after
        patches = scratch.patches[: size_of_patch * size].reshape(size_of_patch, size)
        product = scratch.product[: rows * size].reshape(rows, size)
        gather(own, first, taps, patches)
        np.dot(weights, patches, product)
        for i in range(rows):
            target, row = out[i, first * after : end * after], product[i]
            bias = biases[0, i] if biases.size > 0 else out.dtype.type(0.0)
            for j in range(size):
                target[j] = row[j] + bias


@inner
def turn(weights, turned):
    """Write `weights` (units, taps · channels) to `turned` (channels, taps · units)."""
    units, channels = weights.shape[0], turned.shape[0]
    for tap in range(weights.shape[1] // channels):
        for i in range(units):
            row = weights[i, tap * channels : (tap + 1) * channels]
            for c in range(channels):
                turned[c, tap * units + i] = row[c]


@jit
def convolve(x, z, layer, draw, taps, stop, scratch):
    """Write W ∗ x + b of every group to `z` (groups · units, batch · after), with W and b drawn.

    `layer` is the DrawnLayer of a group, whose channels of `x` are next to each other. Values are
    incomplete after a stop.
    """
    units, fan_in = layer.units, layer.fan_in
    channels = fan_in // taps.sources.shape[0]
    weights = scratch.weights[: units * fan_in].reshape(units, fan_in)
    for group in range(z.shape[0] // units):
        if stop[0]:
            return
        here = of_group(draw, group)
        draw_rows(weights, 0, layer.weights, WEIGHTS, here)
        own = x[group * channels : (group + 1) * channels]
        target = z[group * units : (group + 1) * units]
        multiply(own, target, weights, draw_biases(layer, here, z), taps, scratch)


@jit
def convolve_turned(h, out, layer, draw, taps, stop, scratch):
    """Write the adjoint of `convolve` without biases, of `h` (groups · units, batch · after), to
    `out` (channels, batch · before), with W drawn again. `taps` say what each position before gives
    to: gradients are gathered there, which is faster than to put them back."""
    units, fan_in = layer.units, layer.fan_in
    channels = fan_in // taps.sources.shape[0]
    weights = scratch.weights[: units * fan_in].reshape(units, fan_in)
    turned = scratch.turned[: units * fan_in].reshape(channels, fan_in // channels * units)
    none = np.empty((1, 0), out.dtype)  # no biases
    for group in range(h.shape[0] // units):
        if stop[0]:
            out[group * channels :] = 0.0
            return
        draw_rows(weights, 0, layer.weights, WEIGHTS, of_group(draw, group))
        turn(weights, turned)
        own = h[group * units : (group + 1) * units]
        target = out[group * channels : (group + 1) * channels]
        multiply(own, target, turned, none, taps, scratch)


@jit
def convolve_back(h, out, layer, draw, taps, stop, scratch):
    """Do as `convolve_turned`, where positions before and after differ in number. `taps` are those
    of `convolve`."""
    units, fan_in, after = layer.units, layer.fan_in, taps.sources.shape[1]
    channels = fan_in // taps.sources.shape[0]
    weights = scratch.weights[: units * fan_in].reshape(units, fan_in)
    batch = out.shape[1] // taps.before
    most = scratch.patches.size // (fan_in * after)
    out[:] = 0.0
    for group in range(h.shape[0] // units):
        if stop[0]:
            return
        draw_rows(weights, 0, layer.weights, WEIGHTS, of_group(draw, group))
        own = out[group * channels : (group + 1) * channels]
        for first in range(0, batch, most):
            end = min(first + most, batch)
            size = (end - first) * after
            patches = scratch.patches[: fan_in * size].reshape(fan_in, size)
            product = scratch.product[: units * size].reshape(units, size)
            for i in range(units):
                copy(h[group * units + i, first * after :], product[i])
            np.dot(weights.T, product, patches)
            put_back(patches, taps, own[:, first * taps.before : end * taps.before])
