"""Numbers of every layer as arrays, computed once for each run of equal layers."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from itertools import groupby

import numpy as np

from snstat.gaussian.quadrature import FloatArray
from snstat.layers.dense_layer import DenseLayer
from snstat.network.stack import Stack


def by_layer(
    stack: Stack, value: Callable[[DenseLayer], float], at_input: float = math.nan
) -> FloatArray:
    """Return `value` of layers 1..depth, (depth + 1,), with `at_input` for layer 0."""
    column = np.full(stack.depth + 1, float(at_input))
    for first, count, layer in stack.equal_layers():
        column[first : first + count] = value(layer)
    return column


def units(stack: Stack) -> FloatArray:
    """Return the number of units of every layer, (depth + 1,), including the input layer."""
    return by_layer(stack, lambda layer: layer.fan_out, stack.width_of(0))


def activations_of(stack: Stack) -> Iterator[tuple[str, slice]]:
    """Yield each activation's name with consecutive layers that use it, from layer 1 on."""
    for name, group in groupby(stack.equal_layers(), key=lambda part: part[2].activation):
        (first, count, _), *others = group
        yield name, slice(first, first + count + sum(more for _, more, _ in others))


def pre_second_moments(stack: Stack, second_moment: FloatArray) -> FloatArray:
    """Return q of every layer from E[x²] of those before, (depth + 1,) both, NaN for the input."""
    q = np.full(len(second_moment), math.nan)
    for first, count, layer in stack.equal_layers():
        before = second_moment[first - 1 : first + count - 1]
        q[first : first + count] = layer.pre_second_moment(before)
    return q
