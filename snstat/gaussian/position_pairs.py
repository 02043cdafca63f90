"""Pairs of positions: expectations of an activation over two Gaussians of different size.

z_u and z_v of one unit at two positions of a grid have the second moments q_u, q_v and a
covariance, of one sample or of two. Where φ(tx) = tφ(x) there is a closed form (Cho, Saul 2009).
Otherwise f = φ or φ' has a series in the correlation c (Mehler), with normalised Hermite
polynomials heₖ:

    E[f(z_u) f(z_v)] = Σ aₖ(q_u) aₖ(q_v) cᵏ,   aₖ(q) = E[f(√q ẑ) heₖ(ẑ)]

What is left after the last term is known at c = 1, which bounds it at any other c.
"""

from __future__ import annotations

import math

import numpy as np

from snstat.activation import Activation
from snstat.activation.base import Elementwise
from snstat.gaussian.cross import homogeneous
from snstat.gaussian.hermite import basis
from snstat.gaussian.pairs import half_linear_gaps
from snstat.gaussian.quadrature import FloatArray

# Relative to √(E[f(z_u)²] E[f(z_v)²]), expectations with a larger error are NaN.
LARGEST_ERROR = 1e-6
# Terms beyond this share of `LARGEST_ERROR` are left out.
_SPARE = 1e-4
_TERMS, _POINTS = 384, 12
# Panels end at the kinks of every position. With more of them the polynomials fill the memory.
_MOST_KINKS = 512
# Panels halve towards 0, where activations of large pre-activations have their bends. They are
# short enough for polynomials of the last term.
_EDGES = (0.0, *(2.0**-k for k in range(12, 1, -1)), *(0.5 * k for k in range(1, 21)))
# |x^n − x^(3n/2)| is at most 4/27 on [0, 1].
_SHARE_UNKNOWN = 4.0 / 27.0
# From here on a correlation is 1 to rounding, where the sum is known.
_ALIGNED = 1.0 - 1e-14


def products(
    activation: Activation, q: FloatArray, covariance: FloatArray, squares: FloatArray
) -> FloatArray:
    """Return E[φ(z_u)φ(z_v)], (P, P), for q (P,) and the covariances (P, P), NaN where that is not
    known to `LARGEST_ERROR`. `squares` (P,) are E[φ(z_u)²]."""
    size, correlation = _scaled(q, covariance)
    if not homogeneous(activation):
        return _series(activation, activation.function, q, correlation, squares)
    left, right = activation.slopes
    whole = 0.5 * (left * left + right * right)
    found: FloatArray = size * (whole - half_linear_gaps(left, right, 1.0 - correlation))
    return found


def slope_products(
    activation: Activation, q: FloatArray, covariance: FloatArray, squares: FloatArray
) -> FloatArray:
    """Return E[φ'(z_u)φ'(z_v)], (P, P), for q (P,) and the covariances (P, P), NaN where that is
    not known to `LARGEST_ERROR`. `squares` (P,) are E[φ'(z_u)²]."""
    _, correlation = _scaled(q, covariance)
    if not homogeneous(activation):
        return _series(activation, activation.derivative, q, correlation, squares)
    left, right = activation.slopes
    apart = np.arccos(correlation) / math.pi  # the share of angles at which signs differ
    found: FloatArray = 0.5 * (left * left + right * right) * (1.0 - apart) + left * right * apart
    return found


def square_products(
    activation: Activation, q: FloatArray, covariance: FloatArray, fourths: FloatArray
) -> FloatArray:
    """Return E[φ(z_u)² φ(z_v)²], (P, P), for q (P,) and the covariances (P, P), NaN where that is
    not known to `LARGEST_ERROR`. `fourths` (P,) are E[φ(z_u)⁴]."""
    _, correlation = _scaled(q, covariance)

    def square(x: FloatArray) -> FloatArray:
        return activation.function(x) ** 2

    return _series(activation, square, q, correlation, fourths)


def _scaled(q: FloatArray, covariance: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return √(q_u q_v) and the correlations."""
    root = np.sqrt(q)
    size = np.outer(root, root)
    with np.errstate(divide="ignore", invalid="ignore"):
        correlation = np.where(size > 0, covariance / size, 0.0)
    return size, np.clip(correlation, -1.0, 1.0)


def _series(
    activation: Activation,
    function: Elementwise,
    q: FloatArray,
    correlation: FloatArray,
    squares: FloatArray,
) -> FloatArray:
    """Return E[f(z_u)f(z_v)], (P, P), of a function with the kinks of `activation`."""
    values, place = np.unique(q, return_inverse=True)
    kinks = np.unique([abs(kink) / np.sqrt(values[values > 0]) for kink in activation.kinks])
    if kinks.size > _MOST_KINKS:
        return np.full_like(correlation, math.nan)
    edges = np.union1d(_EDGES, kinks[kinks < _EDGES[-1]])
    z, weight, polynomials = basis(tuple(edges.tolist()), _POINTS, _TERMS)
    at = function(np.sqrt(values)[:, None] * z)
    weighted = at * weight
    whole, every = weighted @ at.T, weighted @ polynomials.T
    largest = float(np.abs(correlation - np.diag(np.diagonal(correlation))).max(initial=0.0))
    terms = _enough(every, np.diagonal(whole), largest)
    coefficients = every[:, :terms]
    rest = (whole - coefficients @ coefficients.T)[np.ix_(place, place)]
    total = np.zeros_like(correlation)
    for own in coefficients[place].T[::-1]:
        total = total * correlation + np.outer(own, own)
    power = np.abs(correlation) ** terms
    total += np.where(correlation > 0, rest * power * np.sqrt(power), 0.0)
    allowed = LARGEST_ERROR * squares
    root = np.sqrt(allowed)
    unknown = np.abs(rest) * np.minimum(power, _SHARE_UNKNOWN) * (correlation < _ALIGNED)
    total[unknown > np.outer(root, root)] = math.nan
    # Nodes that do not resolve the function, such as a fast sine, miss its square too.
    missed = np.abs(np.diagonal(whole)[place] - squares) > allowed
    total[missed[:, None] | missed] = math.nan
    return total


def _enough(coefficients: FloatArray, squares: FloatArray, correlation: float) -> int:
    """Return how many terms are enough up to this correlation."""
    with np.errstate(divide="ignore", invalid="ignore"):
        shares = np.where(squares[:, None] > 0, coefficients**2 / squares[:, None], 0.0)
    left = np.maximum(1.0 - np.cumsum(shares, axis=1), 0.0).max(axis=0)
    left *= correlation ** np.arange(1.0, coefficients.shape[1] + 1)
    small = np.flatnonzero(left <= _SPARE * LARGEST_ERROR)
    return int(small[0]) + 1 if small.size else coefficients.shape[1]
