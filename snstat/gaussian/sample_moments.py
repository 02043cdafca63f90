"""The Gaussian expectations of one sample that determine fluctuations and biases.

All are relative to the size of the signal: ψ = φ/√E[φ²], ẑ = z/√q. Derivatives with respect to q
need no derivative of φ: for z ~ N(0, q),

    q ∂E[f]/∂q = ½E[f He₂(ẑ)],   q² ∂²E[f]/∂q² = ¼E[f He₄(ẑ)],

with the Hermite polynomials He₂ = ẑ² − 1 and He₄ = ẑ⁴ − 6ẑ² + 3. The third and fourth derivatives
follow in the same way.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import lru_cache
from weakref import ref

import numpy as np

from snstat.activation import Activation
from snstat.gaussian.by_q import Derivatives, by_q, derivatives
from snstat.gaussian.centred import rule


@dataclass(frozen=True, slots=True)
class ForwardMoments:
    """Moments of one layer's activations: derivatives of E[φ²] (over E[φ²]) and of E[φ]. `rms` is
    √E[φ²], `fourth` E[ψ⁴], `third` E[ψ³], `tilt` E[ψẑ] and `square_tilt` E[ψ²ẑ]."""

    square: Derivatives
    mean: Derivatives
    rms: float
    fourth: float
    third: float
    tilt: float
    square_tilt: float


@dataclass(frozen=True, slots=True)
class BackwardMoments:
    """Moments of one layer's slopes, with D = E[φ'²]: derivatives of ln D, `rms` √D, `fourth`
    E[φ'⁴]/D², `tilt` E[φ'²ẑ²]/D, `lean` E[ψφ'ẑ]²/D and `joint` E[φ'²ψ²]/D."""

    log_slope: Derivatives
    rms: float
    fourth: float
    tilt: float
    lean: float
    joint: float


# With all pre-activations 0, every sample of every network is the same.
_STILL = Derivatives(0.0, 0.0, 0.0)
SILENT = ForwardMoments(_STILL, _STILL, 0.0, 1.0, 0.0, 0.0, 0.0)


def one_sample(
    activation: Activation, q: float, *, backward: bool
) -> tuple[ForwardMoments, BackwardMoments | None] | None:
    """Return the moments at pre-activation second moment `q`; those of slopes if `backward`."""
    return _one_sample(ref(activation), q, backward=backward)


def _scaled(moments: ForwardMoments, std: float) -> ForwardMoments:
    return replace(moments, mean=moments.mean.times(std), rms=std * moments.rms)


# Layers, and passes over them, share states, and so do the stacks that are tried as remedies. Each
# takes 1 kB. The key is a weak reference, so that functions of users are not kept alive.
@lru_cache(maxsize=2**16)
def _one_sample(
    key: ref[Activation], q: float, *, backward: bool
) -> tuple[ForwardMoments, BackwardMoments | None] | None:
    activation: Activation = key()  # type: ignore[assignment]  # the caller holds it
    if q == 0:
        return SILENT, None
    std = math.sqrt(q)
    if q != 1 and activation.formed("half_linear") is not None:  # φ(√q ẑ) = √q φ(ẑ)
        found = _one_sample(key, 1.0, backward=backward)
        return None if found is None else (_scaled(found[0], std), found[1])
    x, weight = rule(activation, std)
    value, z = activation.function(x), x / std
    largest = float(np.abs(value).max())
    if not 0 < largest < math.inf:
        return None
    rms = largest * math.sqrt(float(weight @ (value / largest) ** 2))
    relative = value / rms
    square = relative**2
    rows = by_q(z, weight)
    forward = ForwardMoments(
        derivatives(rows @ square),
        derivatives(rows @ value),
        rms,
        float(weight @ (square * square)),
        float(weight @ (square * relative)),
        float(weight @ (relative * z)),
        float(weight @ (square * z)),
    )
    if not backward:
        return forward, None
    slope = activation.derivative(x)
    slope_rms = math.sqrt(float(weight @ (slope * slope)))
    if not slope_rms > 0:
        return forward, None
    slope = slope / slope_rms
    power = slope * slope
    of_power = derivatives(rows @ power)
    log_slope = Derivatives(
        of_power.slope,
        of_power.curvature - of_power.slope**2,
        of_power.roughness + 0.5 * of_power.slope**2,
    )
    return forward, BackwardMoments(
        log_slope,
        slope_rms,
        float(weight @ (power * power)),
        float(weight @ (power * z * z)),
        float(weight @ (relative * slope * z)) ** 2,
        float(weight @ (power * square)),
    )
