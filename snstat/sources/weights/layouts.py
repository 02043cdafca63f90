"""The matrix (units, fan_in) of a tensor, by where its shape has inputs and outputs."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from snstat.results.network import AUTO, LAYOUTS
from snstat.sources.weights.dtypes import Array
from snstat.sources.weights.tensor import JAX, TORCH, Tensor
from snstat.values.kinds import Name

# What --layout takes. Keras has that of JAX.
LAYOUT = Name(LAYOUTS)
KERAS = "keras"
# What PyTorch's recurrent modules call their matrices, whose rows are those of so many gates.
RECURRENT = re.compile(r"(^|[./])weight_[ih]h(_l\d+(_reverse)?)?$")
GATES = (1, 3, 4)
# How Flax and Keras call their matrices.
KERNEL = "kernel"


@dataclass(frozen=True, slots=True)
class Fans:
    """The inputs and outputs of one unit's weights: channels times the size of the kernel, as in
    PyTorch and Keras. `defaults` are other sizes that PyTorch's own draw may go by, and what they
    are called."""

    layout: str
    fan_in: int
    fan_out: int
    defaults: tuple[tuple[str, int], ...] = ()


def fans_of(shape: tuple[int, ...], layout: str, name: str = "") -> Fans:
    """Return the fans of a shape of two or more axes in a layout. The `name` of a tensor tells
    those of recurrent modules of PyTorch."""
    if layout == TORCH:
        units, inputs, kernel = shape[0], shape[1], math.prod(shape[2:])
    else:
        units, inputs, kernel = shape[-1], shape[-2], math.prod(shape[:-2])
    found = _defaults(shape, name) if layout == TORCH else ()
    return Fans(layout, inputs * kernel, units * kernel, found)


def _defaults(shape: tuple[int, ...], name: str) -> tuple[tuple[str, int], ...]:
    """Return the hidden units of a recurrent module, of which PyTorch draws all weights by their
    number, or the first inputs of nn.Bilinear."""
    if RECURRENT.search(name) and len(shape) == 2:
        sizes = {shape[0] // gates for gates in GATES if shape[0] % gates == 0} - {shape[1]}
        return tuple(("hidden", size) for size in sorted(sizes))
    return (("in1", shape[1]),) if len(shape) == 3 and shape[2] > 1 else ()


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
