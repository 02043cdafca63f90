"""The matrix (units, fan_in) of a tensor, by where its shape has inputs and outputs."""

from __future__ import annotations

import math
from dataclasses import dataclass

from snstat.results.network import AUTO, LAYOUTS
from snstat.sources.weights.dtypes import Array
from snstat.sources.weights.tensor import JAX, TORCH, Tensor
from snstat.values.kinds import Name

# What --layout takes. Keras has that of JAX.
LAYOUT = Name(LAYOUTS)
KERAS = "keras"
# How Flax and Keras call their matrices.
KERNEL = "kernel"


@dataclass(frozen=True, slots=True)
class Fans:
    """The inputs and outputs of one unit's weights: channels times the size of the kernel, as in
    PyTorch and Keras."""

    layout: str
    fan_in: int
    fan_out: int


def fans_of(shape: tuple[int, ...], layout: str) -> Fans:
    """Return the fans of a shape of two or more axes in a layout."""
    if layout == TORCH:
        units, inputs, kernel = shape[0], shape[1], math.prod(shape[2:])
    else:
        units, inputs, kernel = shape[-1], shape[-2], math.prod(shape[:-2])
    return Fans(layout, inputs * kernel, units * kernel)


def layout_of(tensor: Tensor, wanted: str) -> str:
    """Return the layout that is wanted, or that the file or the name of a tensor tells: Flax and
    Keras call a matrix kernel."""
    if wanted == AUTO and tensor.layout is not None:
        return tensor.layout
    if wanted == AUTO:
        last = tensor.name.rsplit("/", 1)[-1].rsplit(".", 1)[-1].partition(":")[0]
        return JAX if last == KERNEL else TORCH
    return JAX if wanted == KERAS else wanted


def matrix_of(values: Array, layout: str) -> Array:
    """Return values as a matrix (units, fan_in), a view wherever they are contiguous."""
    if layout == TORCH:
        return values.reshape(values.shape[0], -1)
    return values.reshape(-1, values.shape[-1]).T
