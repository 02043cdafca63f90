"""Mean squares of the gradients of weights, from those of activations."""

from __future__ import annotations

import math

import numpy as np

from snstat.activation import resolve
from snstat.gaussian.centred import centred_moments
from snstat.gaussian.quadrature import FloatArray
from snstat.layers.dense import Dense
from snstat.layers.dense_layer import LINEAR
from snstat.layers.initialisers import STANDARDIZED
from snstat.network.network import Network
from snstat.network.sources import sourced


def weight_gradients(
    network: Network, gradients: FloatArray, mean: FloatArray, second_moment: FloatArray
) -> FloatArray:
    """Return ln of the mean squares of the gradients of every dense layer's weights, (depth + 1,).

    `gradients` is ln of the squared norms of the gradients of all layers' outputs, and `mean` and
    `second_moment` are E[x] and E[x²] of them, each (depth + 1,). The result is up to the constant
    that `gradients` leave open. It is NaN for other layers, and where something is not known or 0.

    With δ = ∂L/∂z of the pre-activations and x the inputs of the layer, ∂L/∂W_ij = δ_i x_j for each
    sample. In the limit of large width δ does not depend on x, so that

        E(∂L/∂W_ij)² = E[δ²] E[x²],  E[δ²] = E[φ'(z)²] E[(∂L/∂y)²]

    for activations y = φ(z), z ~ N(0, E[z²]) (arXiv:1611.01232). Samples whose gradients are
    uncorrelated, as with a read-out of their own, add up to a batch's gradient whose mean square is
    their sum.
    """
    found = np.full(network.depth + 1, math.nan)
    slopes: dict[tuple[object, float], float] = {}
    for row, link in zip(network.rows(), sourced(network.block), strict=True):
        layer, source = row.layer, link.sources[0]
        if not isinstance(layer, Dense):
            continue
        square, gradient = float(second_moment[source]), float(gradients[row.number])
        if not square > 0 or not math.isfinite(square + gradient):
            continue
        weights = layer.at(row.before[0].channels)
        # Weights with sum 0 do not see the mean.
        seen = square - float(mean[source]) ** 2 if weights.form == STANDARDIZED else square
        key = layer.activation, weights.pre_second_moment(seen)
        if key not in slopes:
            function = resolve(layer.activation or LINEAR)
            slopes[key] = float(centred_moments(function, key[1]).derivative_square)
        slope = slopes[key]
        if slope > 0:
            # Gradients are squared norms, and weights are counted one by one.
            found[row.number] = gradient + math.log(slope * square / row.after.units)
    return found
