"""The Gaussian expectations of one layer from which fluctuations and biases follow.

All are relative: ψ = φ/√E[φ²], ẑ = z/√q, so that signals of any size are treated alike. Derivatives
by q need no derivative of φ: for z ~ N(0, q),

    q ∂E[f]/∂q = ½E[f He₂(ẑ)],   q² ∂²E[f]/∂q² = ¼E[f He₄(ẑ)],

with the Hermite polynomials He₂ = ẑ² − 1 and He₄ = ẑ⁴ − 6ẑ² + 3.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from snstat.activation import Activation
from snstat.theory.centred import rule
from snstat.theory.pair_moments import PairNodes, pair_nodes


@dataclass(frozen=True, slots=True)
class ForwardMoments:
    """Of one layer's activations: `square` and `mean` are (q∂, q²∂²) of E[φ²]/E[φ²] and of E[φ];
    `fourth` is E[ψ⁴] and `pair` E[ψ₁²ψ₂²] for two samples."""

    square: tuple[float, float]
    mean: tuple[float, float]
    fourth: float
    pair: float


@dataclass(frozen=True, slots=True)
class BackwardMoments:
    """Of one layer's derivatives, with D = E[φ'²].

    `log_slope` is (q∂, q²∂²) of ln D; `fourth` E[φ'⁴]/D²; `tilt` E[φ'²ẑ²]/D; `lean`
    E[ψφ'ẑ]²/D; `joint` E[φ'²ψ²]/D. For two samples: `pair_slope` E[φ'₁φ'₂]/D, `pair_fourth`
    E[φ'₁²φ'₂²]/D², `pair_joint` E[φ'₁²ψ₂²]/D.
    """

    log_slope: tuple[float, float]
    fourth: float
    tilt: float
    lean: float
    joint: float
    pair_slope: float
    pair_fourth: float
    pair_joint: float


@dataclass(frozen=True, slots=True)
class LayerMoments:
    """What first-order theory needs of one layer; `backward` is None where not asked for."""

    forward: ForwardMoments
    backward: BackwardMoments | None


# A layer without any pre-activation: every sample of every network is the same.
SILENT = ForwardMoments((0.0, 0.0), (0.0, 0.0), 1.0, 1.0)


def layer_moments(
    activation: Activation, q: float, misalignment: float, *, pairs: bool, backward: bool
) -> LayerMoments | None:
    """Return them at pre-activation second moment `q` and 1 − c = `misalignment`.

    Without `pairs` the moments of two samples are those of one sample twice. None where signal or
    derivative vanish altogether.
    """
    if q == 0:
        return None if backward else LayerMoments(SILENT, None)
    std = math.sqrt(q)
    x, weight = rule(activation, std)
    value, z = activation.function(x), x / std
    largest = float(np.abs(value).max())
    if not 0 < largest < math.inf:
        return None
    rms = largest * math.sqrt(float(weight @ (value / largest) ** 2))
    square = (value / rms) ** 2
    second = weight * (z * z - 1.0) / 2.0
    fourth = weight * (z * z * (z * z - 6.0) + 3.0) / 4.0
    nodes = pair_nodes(activation, q, misalignment) if pairs else None
    kurtosis = float(weight @ (square * square))
    pair = kurtosis if nodes is None else _squares(activation, nodes, rms)
    forward = ForwardMoments(
        (float(second @ square), float(fourth @ square)),
        (float(second @ value), float(fourth @ value)),
        kurtosis,
        pair,
    )
    if not backward:
        return LayerMoments(forward, None)
    slope = activation.derivative(x)
    size = float(weight @ (slope * slope))
    if not size > 0:
        return None
    slope = slope / math.sqrt(size)
    power = slope * slope
    first = float(second @ power)
    quartic, joint = float(weight @ (power * power)), float(weight @ (power * square))
    pair_slope, pair_fourth, pair_joint = 1.0, quartic, joint
    if nodes is not None:
        outer = activation.derivative(nodes.first) / math.sqrt(size)
        inner = activation.derivative(nodes.second) / math.sqrt(size)
        pair_slope = nodes.average(outer, inner)
        pair_fourth = nodes.average(outer**2, inner**2)
        pair_joint = nodes.average((activation.function(nodes.first) / rms) ** 2, inner**2)
    return LayerMoments(
        forward,
        BackwardMoments(
            (first, float(fourth @ power) - first * first),
            quartic,
            float(weight @ (power * z * z)),
            float(weight @ (value / rms * slope * z)) ** 2,
            joint,
            pair_slope,
            pair_fourth,
            pair_joint,
        ),
    )


def _squares(activation: Activation, nodes: PairNodes, rms: float) -> float:
    return nodes.average(
        (activation.function(nodes.first) / rms) ** 2,
        (activation.function(nodes.second) / rms) ** 2,
    )
