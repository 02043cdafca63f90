"""The unit map of given weights: every unit with the sums of its own weights.

Klambauer et al., arXiv:1706.02515, equations 4 and 5, as an approximation to a whole layer: the
units of the layer before count as independent, with one mean μ and variance ν, those over all its
units and samples. Then a unit with Σ w = ω, Σ w² = τ and bias b has Gaussian pre-activations of
mean μω + b and variance ντ.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from snstat.activation import resolve
from snstat.gaussian.expectations import derivative_second_moment, moments
from snstat.gaussian.quadrature import FloatArray
from snstat.layers.weights import LARGEST_SECOND_MOMENT
from snstat.results import GRADIENT, InputMoments

# The statistics that the unit map says something of, beside the gradient.
OF_UNITS = ("mean", "variance", "second_moment", "variance_over_units")


class Units(NamedTuple):
    """A layer: its activation, and of each of its units Σ w, Σ w² and the bias, each (units,)."""

    activation: str
    sums: FloatArray
    squares: FloatArray
    offsets: FloatArray


@np.errstate(over="ignore", invalid="ignore", divide="ignore")
def given_statistics(
    layers: Sequence[Units], batch: int, inputs: InputMoments, *, backward: bool
) -> Mapping[str, FloatArray]:
    """Return what a batch of samples with the moments `inputs` shows in every layer, an array
    (layers + 1,) of each of `OF_UNITS`, NaN in layer 0 and from where squares overflow.

    A variance lacks the square of the mean over the batch, or over the units of one sample, which
    varies by the mean variance of a unit over their number. GRADIENT is ln of the squared gradient
    over that of the last layer, if it goes `backward`: a layer multiplies it by the mean over units
    of τ E[φ′²].
    """
    depth = len(layers)
    found = {name: np.full(depth + 1, math.nan) for name in OF_UNITS}
    growth = np.full(depth + 1, math.nan)
    mean, variance = inputs.mean, inputs.variance
    for number, layer in enumerate(layers, 1):
        at, spread = mean * layer.sums + layer.offsets, variance * layer.squares
        if not np.max(at * at + spread) <= LARGEST_SECOND_MOMENT:  # NaN among others
            break
        function = resolve(layer.activation)
        means, variances = moments(function, at, spread)
        if backward:  # that takes as long again
            slopes = derivative_second_moment(function, at, spread)
            growth[number] = np.mean(layer.squares * slopes)
        mean, own = float(np.mean(means)), float(np.mean(variances))
        variance = own + float(np.mean((means - mean) ** 2))
        units = len(layer.sums)
        found["mean"][number] = mean
        found["variance"][number] = variance - own / (batch * units)
        found["second_moment"][number] = variance + mean * mean
        found["variance_over_units"][number] = variance - own / units
    logs = np.zeros(depth + 1)
    logs[:-1] = np.cumsum(np.log(growth[:0:-1]))[::-1]
    return found | {GRADIENT: logs}
