"""What kernels are told about layers, and where they report: named tuples, shared by both samplers.

A kernel runs a stretch: some layers of equal width and activation. Only their first layer may be
fed by another number of units.
"""

from __future__ import annotations

import math
from typing import Any, Generic, NamedTuple, TypeVar

from snstat.engine.kernels.codes import Code
from snstat.engine.kernels.jit import jit
from snstat.engine.kernels.random import Law


class Range(NamedTuple):
    """The numbers between two bounds, of type float."""

    low: float
    high: float


class Activation(NamedTuple):
    """φ, as kernels take it.

    φ′ is not 0 strictly between the bounds `live`, and pre-activations outside of `steep` are
    saturated (bounds of NaN: none is).
    """

    code: Code
    live: Range
    steep: Range


class DrawnLayer(NamedTuple):
    """A layer of the dense sampler: fan_in and units, and the laws of its weights and biases.

    The std of orthogonal weights is the factor on the orthogonal matrix; that of missing biases is
    0. `rows` units of the layer are computed at once. On the way back the gradients of `strip`
    random blocks of inputs are.
    """

    fan_in: int
    units: int
    weights: Law
    biases: Law
    rows: int
    strip: int


class MatrixFreeLayer(NamedTuple):
    """A layer of the matrix-free sampler: fan_in and units, and the covariance of Z over samples,
    `scale` · X Xᵀ + `bias`.

    `scale` is the variance of weights (the square of the factor on an orthogonal matrix), `bias`
    that of biases.
    """

    fan_in: int
    units: int
    scale: float
    bias: float


Layer = TypeVar("Layer", DrawnLayer, MatrixFreeLayer)


class Layers(NamedTuple, Generic[Layer]):
    """A stretch: its first layer, what all others are like, and the activation of all."""

    leading: Layer
    later: Layer
    activation: Activation


class Record(NamedTuple):
    """What is known of the layers of a stretch: statistics `out` (layers, 11), `finite` (layers,)
    of type bool, and the number `done` (1,) of finished layers of the trial, to be added to."""

    out: Any
    finite: Any
    done: Any


class Records(NamedTuple):
    """What is known of a block of layers of some trials, and which of the layers are a stretch.

    Statistics `out` (trials, layers, 11), `finite` (trials, layers) of type bool, the numbers
    `done` (trials,) of finished layers, and whether trials are finite so far, `alive` (trials,).
    The stretch has `layers` layers, from number `begin` of the block.
    """

    out: Any
    finite: Any
    done: Any
    alive: Any
    begin: int
    layers: int


@jit
def record_of(records, i):
    """Return the record of a stretch of trial `i`."""
    begin, end = records.begin, records.begin + records.layers
    return Record(records.out[i][begin:end], records.finite[i][begin:end], records.done[i : i + 1])


@jit
def give_up(record, i):
    """Mark layer `i` and all later ones as not finite, because they cannot be informative."""
    for later in range(i, record.out.shape[0]):
        record.finite[later] = False
        record.out[later] = math.nan
    record.done[0] += record.out.shape[0] - i
