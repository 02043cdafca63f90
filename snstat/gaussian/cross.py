"""The angle after an activation between two samples whose pre-activations differ in size.

With φ(√q ẑ) = Σ aₖ(q) heₖ(ẑ) in normalised Hermite polynomials, E[φ(z₁)φ(z₂)] = Σ aₖ(q₁)aₖ(q₂)cᵏ
for correlation c (Mehler). The remainder after the first terms is known at c = 1, and a bound on it
follows at any other c. Activations with φ(tx) = tφ(x) need no series: the angle does not depend on
the sizes.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np

from snstat.activation import Activation
from snstat.gaussian.hermite import basis
from snstat.gaussian.pairs import half_linear_gaps
from snstat.gaussian.quadrature import FloatArray

_TERMS = 96
# For small signals this many terms suffice if their remainder is within rounding.
_FIRST, _NOTHING = 16, 1e-14
_RANGE, _POINTS = 9.8, 12
# Panels halve towards 0, where activations of large pre-activations have their bends.
_EDGES = (0.0, *(2.0**-k for k in range(14, 0, -1)), 1.0, 1.8, 2.7, 3.8, 5.1, 7.0, _RANGE)
# Cosines are NaN where the error bound exceeds this.
LARGEST_ERROR = 1e-3
# |x^n − x^(3n/2)| is at most 4/27 on [0, 1].
_SHARE_UNKNOWN = 4.0 / 27.0


def apart_after(
    activation: Activation, q: FloatArray, misalignment: FloatArray, second_moment: FloatArray
) -> FloatArray:
    """Return 1 − cosine of the activations of two samples, (classes, classes).

    `q` (classes,) and `misalignment` = 1 − c (classes, classes) describe the pre-activations,
    `second_moment` (classes,) is E[φ²]. All values are NaN if one has an error bound above
    `LARGEST_ERROR`.
    """
    if np.isnan(q).any() or np.isnan(misalignment).any():
        return np.full(misalignment.shape, math.nan)
    if homogeneous(activation):
        size = float(second_moment[np.argmax(q)] / q.max()) if q.max() > 0 else 1.0
        left, right = activation.slopes
        return half_linear_gaps(left, right, np.clip(misalignment, 0.0, 2.0)) / size
    correlation = np.clip(1.0 - misalignment, -1.0, 1.0)
    coefficients, whole = _series(activation, q)
    product = np.zeros_like(correlation)
    for term in coefficients.T[::-1]:
        product = product * correlation + np.outer(term, term)
    rest = whole - coefficients @ coefficients.T
    power = np.abs(correlation) ** _TERMS
    root = np.sqrt(second_moment)
    scale = np.outer(root, root)
    product += np.where(correlation > 0, rest * power * np.sqrt(power), 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        unknown = np.abs(rest) * np.minimum(power, _SHARE_UNKNOWN) / scale
        apart = np.where(scale > 0, 1.0 - product / scale, 1.0)
    # Nodes that do not resolve the activation, such as a fast sine, miss its second moment too.
    missed = np.abs(np.diagonal(whole) - second_moment) > LARGEST_ERROR * second_moment
    if missed.any() or not np.nanmax(unknown, initial=0.0) <= LARGEST_ERROR:
        return np.full(misalignment.shape, math.nan)
    return np.clip(apart, 0.0, 2.0)


@lru_cache(maxsize=64)
def homogeneous(activation: Activation) -> bool:
    """Return whether φ(tx) = tφ(x) for t > 0: φ is linear on either side of 0."""
    x = np.array([-1e3, -1.0, -1e-3, 1e-3, 1.0, 1e3])
    left, right = activation.function(np.array([-1.0, 1.0]))
    expected = np.abs(x) * np.where(x < 0, left, right)
    return bool(np.allclose(activation.function(x), expected, rtol=1e-12, atol=0.0))


def _series(activation: Activation, q: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return aₖ(q), (classes, terms), and E[φ(√q₁ẑ)φ(√q₂ẑ)], (classes, classes)."""
    values, place = np.unique(q, return_inverse=True)
    coefficients, whole = _of_distinct(activation, tuple(values.tolist()))
    return coefficients[place], whole[np.ix_(place, place)]


# Once the second moments have settled, only angles change from layer to layer.
@lru_cache(maxsize=4)
def _of_distinct(activation: Activation, q: tuple[float, ...]) -> tuple[FloatArray, FloatArray]:
    z, weight, polynomials = basis(_EDGES, _POINTS, _TERMS)
    values = activation.function(np.sqrt(q)[:, None] * z)
    weighted = values * weight
    # No BLAS: for products this small its threads cost more than they save.
    whole = np.einsum("cz,dz->cd", weighted, values)
    first = np.einsum("cz,kz->ck", weighted, polynomials[:_FIRST])
    left = np.diagonal(whole) - (first * first).sum(axis=1)
    if (left <= _NOTHING * np.diagonal(whole)).all():
        return first, whole
    return np.einsum("cz,kz->ck", weighted, polynomials), whole
