"""Mean squares of the gradients of weights, from those of activations."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from snstat.gaussian.quadrature import FloatArray
from snstat.layers.entry import at
from snstat.layers.layer import Layer
from snstat.layers.shape import Shape
from snstat.network.network import Network
from snstat.network.sources import sourced


def weight_gradients(
    network: Network, gradients: FloatArray, mean: FloatArray, second_moment: FloatArray
) -> FloatArray:
    """Return ln of the mean squares of the gradients of every layer's weights, (depth + 1,).

    `gradients` is ln of the squared norms of the gradients of all layers' outputs, and `mean` and
    `second_moment` are E[x] and E[x²] of them, each (depth + 1,). The result is up to the constant
    that `gradients` leave open. It is NaN for layers without weights, and where something is not
    known or 0.

    With δ = ∂L/∂z of the pre-activations of a matrix, and x the inputs of the layer, ∂L/∂W_ij =
    δ_i x_j for each sample. In the limit of large width δ does not depend on x, so that

        E(∂L/∂W_ij)² = E[δ²] E[x²],  E[δ²] = E[(∂y/∂z)²] E[(∂L/∂y)²]

    for the outputs y of the layer; that of a dense layer is y = φ(z), z ~ N(0, E[z²])
    (arXiv:1611.01232). Of several matrices it is the mean over all weights. Samples whose gradients
    are uncorrelated, as with a read-out of their own, add up to a batch's gradient whose mean
    square is their sum.
    """
    found = np.full(network.depth + 1, math.nan)
    known: dict[tuple[Layer, Shape, float, float], float] = {}
    for row, link in zip(network.rows(), sourced(network.block), strict=True):
        source = link.sources[0]
        square, gradient = float(second_moment[source]), float(gradients[row.number])
        if not square > 0 or not math.isfinite(square + gradient):
            continue
        key = row.layer, row.before[0], float(mean[source]), square
        if key not in known:
            with at(row.name):
                known[key] = _slope(row.layer, row.before, *key[2:])
        slope = known[key]
        if slope > 0:
            # Gradients are squared norms, over all positions, and weights are counted one by one.
            found[row.number] = gradient + math.log(slope * square / row.after.channels)
    return found


def _slope(layer: Layer, before: Sequence[Shape], mean: float, square: float) -> float:
    """Return E[(∂y/∂z)²], the mean over all weights of the layer, NaN for one without any."""
    weights = layer.matrices(before)
    if not weights:
        return math.nan
    counts = [own.fan_in * own.fan_out for own in weights]
    slopes = layer.slopes(before[0], mean, square)
    return float(np.average(slopes, weights=counts))
