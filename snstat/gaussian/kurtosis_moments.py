"""The central moments of one layer's activations that determine the kurtosis of a network."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from snstat.activation import Activation
from snstat.gaussian.by_q import Derivatives, by_q, derivatives
from snstat.gaussian.centred import rule
from snstat.gaussian.quadrature import FloatArray


@dataclass(frozen=True, slots=True)
class KurtosisMoments:
    """Central moments of φ: `mean` and `std`, and with y = (φ − mean)/std the moments E y^k as
    `moments[k]` for k up to 6. `by_q[k]` are the derivatives of E y^k with respect to q at fixed
    mean and std, for k up to 4."""

    mean: float
    std: float
    moments: tuple[float, ...]
    by_q: tuple[Derivatives, ...]


def kurtosis_moments(activation: Activation, q: float) -> KurtosisMoments | None:
    """Return the moments at pre-activation second moment `q` > 0; None where φ is constant."""
    std = math.sqrt(q)
    x, weight = rule(activation, std)
    value = activation.function(x)
    mean = 0.0 if activation.odd else float(weight @ value)
    spread = value - mean
    scale = float(np.abs(spread).max())
    # The spread of a nearly constant function is rounding.
    if not 1e-12 * float(np.abs(value).max()) < scale < math.inf:
        return None
    y = spread / scale
    root = math.sqrt(float(weight @ (y * y)))
    y /= root
    powers: FloatArray = y ** np.arange(7)[:, None]
    rows = by_q(x / std, weight)
    return KurtosisMoments(
        mean,
        scale * root,
        tuple((powers @ weight).tolist()),
        tuple(derivatives(rows @ power) for power in powers[:5]),
    )
