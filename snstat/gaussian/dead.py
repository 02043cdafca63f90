"""The share of units that are dead: φ' is 0 for every sample of a batch."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from snstat.activation import Activation
from snstat.gaussian.quadrature import FloatArray, composite
from snstat.values.special import special

_RANGE, _POINTS = 9.8, 12
_PANELS = 16
# Φ(x)ⁿ rises within these distances of 0 for every n of interest.
_REACH = np.array([0.5, 1.0, 2.0, 3.0, 4.5, 6.0, 9.0])
# A transition narrower than this counts as sharp.
_NARROWEST = 1e-9
_CHUNK = 512
# One pre-activation in two million is further than this many standard deviations from 0.
_RARE = 5.0


def dead_fraction(
    activation: Activation, second_moment: FloatArray, misalignment: FloatArray, batch: int
) -> FloatArray:
    """Return P(φ'(z₁) = … = φ'(z_batch) = 0) for exchangeable z of second moment q.

    `second_moment` and `misalignment` = 1 − correlation are (layers,). Given the part that the
    samples share, z_a = √(qc)·t + √(q(1−c))·ε_a are independent, so one integral over t suffices.
    The result is NaN where the correlation is negative and the batch has no such representation,
    and where `is_told` is false.
    """
    if activation.custom:
        second_moment = np.where(is_told(activation, second_moment), second_moment, np.nan)
    if not activation.flat:
        return 0.0 * second_moment
    pairs, inverse = np.unique(
        np.stack([second_moment, misalignment]), axis=1, return_inverse=True, equal_nan=False
    )
    result = np.empty(pairs.shape[1])
    for start in range(0, result.size, _CHUNK):
        chunk = pairs[:, start : start + _CHUNK]
        result[start : start + _CHUNK] = _chunk(activation, chunk[0], chunk[1], batch)
    return result[inverse.ravel()]


def is_told(activation: Activation, second_moment: FloatArray) -> npt.NDArray[np.bool_]:
    """Return for each q whether φ' is 0 on the flat parts only: False where φ' of a user's function
    is also rounded to 0 elsewhere."""
    with np.errstate(invalid="ignore", over="ignore"):
        told: npt.NDArray[np.bool_] = _RARE * np.sqrt(second_moment) <= activation.underflow
    return told


def _chunk(
    activation: Activation, q: FloatArray, misalignment: FloatArray, batch: int
) -> FloatArray:
    usable = np.isfinite(q) & np.isfinite(misalignment)
    moving = usable & (q > 0)
    std = np.sqrt(np.where(moving, q, 1.0))[:, None]
    misalignment = np.where(usable, misalignment, 1.0)[:, None]
    if batch == 1:
        misalignment = np.ones_like(misalignment)
    negative = misalignment > 1.0 + 1e-12  # allow for rounding at zero correlation
    own = np.sqrt(np.clip(misalignment, _NARROWEST**2, 1.0))
    shared = np.sqrt(np.clip(1.0 - misalignment, 0.0, 1.0))
    with np.errstate(over="ignore"):
        bounds = [limit / std for interval in activation.flat for limit in interval]
    with np.errstate(divide="ignore"):
        width = np.minimum(own / shared, _RANGE)
    edges = [np.broadcast_to(np.linspace(-_RANGE, _RANGE, _PANELS + 1), (q.size, _PANELS + 1))]
    reach = width * _REACH
    for bound in bounds:
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            centre = np.clip(np.where(shared > 0, bound / shared, 0.0), -99.0, 99.0)
        edges += [centre - reach, centre, centre + reach]
    panels = np.sort(np.clip(np.concatenate(edges, axis=1), -_RANGE, _RANGE), axis=1)
    t, weight = composite(panels, _POINTS)
    weight = weight * np.exp(-0.5 * t * t)
    weight /= weight.sum(axis=1, keepdims=True)
    chance = _conditional(bounds, t * shared, own)
    dead: FloatArray = np.einsum("en,en->e", weight, chance**batch)
    at_rest = float(activation.derivative(np.zeros(1))[0] == 0)
    # Rounding may take the sum over all samples above 1.
    dead = np.where(moving, np.clip(dead, 0.0, 1.0), at_rest)
    unknown = ~usable | (negative[:, 0] & (batch > 1))
    return np.where(unknown, np.nan, dead)


def _conditional(
    bounds: list[npt.NDArray[np.float64]], centre: FloatArray, spread: FloatArray
) -> FloatArray:
    """Return P(centre + spread·ε in one of the intervals whose ends are `bounds`, in pairs)."""
    ndtr = special("ndtr")
    total = np.zeros_like(centre)
    for low, high in zip(bounds[::2], bounds[1::2], strict=True):
        if np.isinf(high).all():
            total += ndtr((centre - low) / spread)
        elif np.isinf(low).all():
            total += ndtr((high - centre) / spread)
        else:
            total += ndtr((high - centre) / spread) - ndtr((low - centre) / spread)
    return total
