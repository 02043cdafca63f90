"""Expectations of softmax weights of Gaussian scores.

For T tokens with independent scores s_j ~ N(0, τ), A = softmax(s) and M = diag(A) − AAᵀ, which is
∂A/∂s, 1/(Σ e^s)^k is an integral of u^(k−1) exp(−u Σ e^s), so that tokens come apart:

    E Σ A² = T ∫ N₂ N₀^(T−1) dw,  N_k(w) = E G_k(w + s),  G_k(t) = exp(k t − e^t),  u = e^w

and likewise for more factors. Integrands vanish on both sides, and faster than exponentially with
w = x − e^(−x) on the left, so that the trapezoidal rule is exact to rounding. Two rows with jointly
Gaussian scores have integrals over u and v (arXiv:1910.12478 has the limit that these are for).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from snstat.gaussian.quadrature import FloatArray

# Steps of the trapezoidal rule: in w, in standard deviations and in scores. The strips in which
# integrands are analytic are about π/2 wide in w and in scores.
_STEP, _STEP_OF_Z, _STEP_OF_SCORES = 0.18, 0.5, 0.3
# For two rows, to about 1e-9 instead of 1e-13: there are three such integrals in each other.
_COARSE = 1.9
# Beyond so many standard deviations there is nothing, and beyond this logarithm either.
_REACH, _NOTHING = 8.5, 36.0
# For more places than that a table is made, with polynomials of fifth degree between its places.
_TABLED, _TABLE_STEP = 600, 0.1
# The left end x − e^(−x) of the integrals, beyond that of what tokens weigh.
_LEFT = 3.5


class RowMoments(NamedTuple):
    """Of one row: `square` E ΣA², `slope` E tr M², `along` E[ξᵀM²ξ] with s = √τ ξ, `both` E(ΣA²)²
    and `fourth` E ΣA⁴, each for every number of tokens."""

    square: FloatArray
    slope: FloatArray
    along: FloatArray
    both: FloatArray
    fourth: FloatArray


class PairMoments(NamedTuple):
    """Of two rows A and A', for every number of tokens: `product` E ΣAA', and its derivatives by
    the covariance of the scores, `slope` E tr MM', and by the variance of those of A', `bend`
    E[ΣAA' ΣA'² − ΣAA'²]."""

    product: FloatArray
    slope: FloatArray
    bend: FloatArray


def row_moments(tokens: FloatArray, variance: float) -> RowMoments:
    """Return the moments of a row for scores of this variance τ and numbers of `tokens` (n,)."""
    several = tokens[tokens > 1]
    found = np.zeros((5, len(tokens)))
    found[[0, 3, 4]] = 1.0  # one token has all the weight
    if several.size:
        found[:, tokens > 1] = _several(several, math.sqrt(variance))
    return RowMoments(*found)


def _several(tokens: FloatArray, deviation: float) -> FloatArray:
    w, width = _places(tokens, deviation, 1.0)
    z, density = _normal(deviation, tokens, 1.0)
    scores = np.exp(w[:, None] + deviation * z)
    moments = density[:, None] * np.stack([np.ones_like(z), z, z * z], axis=1)
    part = np.exp(-scores)
    # N_k with z to the power of 0, 1 and 2, (k, powers, w).
    n = np.empty((5, 3, len(w)))
    for k in range(5):
        n[k] = (part @ moments).T
        part *= scores
    count = tokens[:, None]
    first = count * n[0, 0] ** (count - 1.0)
    second = count * (count - 1.0) * n[0, 0] ** (count - 2.0)
    third = count * (count - 1.0) * (count - 2.0) * n[0, 0] ** np.maximum(count - 3.0, 0.0)
    total = third * (n[2, 0] * n[1, 1] ** 2)
    total += second * (2.0 * n[3, 1] * n[1, 1] + n[2, 0] * n[2, 2]) + first * n[4, 2]
    along = first * n[2, 2] - first * n[3, 2] - second * n[2, 1] * n[1, 1] + total / 6.0
    square = first * n[2, 0]
    fourth = first * n[4, 0] / 6.0
    both = fourth + second * n[2, 0] ** 2 / 6.0
    slope = square - first * n[3, 0] + both
    return np.stack([own @ width for own in (square, slope, along, both, fourth)])


def pair_moments(
    tokens: FloatArray, variances: tuple[float, float], covariance: float, *, slopes: bool
) -> PairMoments:
    """Return the moments of two rows for scores with these variances, and covariance of the two
    scores of a token, for numbers of `tokens` (n,). Derivatives are NaN unless `slopes`."""
    found = np.zeros((3, len(tokens)))
    found[0] = 1.0
    several = tokens > 1
    if several.any():
        deviations = [math.sqrt(own) for own in variances]
        total = deviations[0] * deviations[1]
        cosine = max(-1.0, min(1.0, covariance / total)) if total > 0 else 0.0
        found[:, several] = _several_of_two(tokens[several], deviations, cosine, slopes=slopes)
    if not slopes:
        found[1:] = math.nan
    return PairMoments(*found)


def row_products(tokens: int, variances: tuple[float, float], covariance: float) -> FloatArray:
    """Return E ΣAA' of two rows, the first of which reads the first i + 1 of so many `tokens`, and
    the second one the first j + 1, for j ≥ i, (tokens, tokens); below the diagonal it is 0.

    Tokens that the second row reads alone leave T E ∫∫ N₁₁ N₀₀^(T−1) N₀'^(T'−T) dw dw'. See
    `pair_moments`.
    """
    every = np.arange(1.0, tokens + 1.0)
    found = np.zeros((tokens, tokens))
    found[0] = 1.0 / every  # all tokens of the second row are alike
    if tokens == 1:
        return found
    deviations = [math.sqrt(own) for own in variances]
    total = deviations[0] * deviations[1]
    cosine = max(-1.0, min(1.0, covariance / total)) if total > 0 else 0.0
    rows, widths, density = _two(every[1:], deviations, cosine, 2)
    n00, n11 = ((rows[0][k] * density) @ rows[1][k].T for k in range(2))
    alone = rows[1][0] @ density
    more = alone[:, None] ** np.arange(tokens - 1.0) * widths[1][:, None]
    power = n11
    for first in range(1, tokens):
        power = power * n00
        found[first, first:] = (first + 1.0) * (widths[0] @ power) @ more[:, : tokens - first]
    return found


def _several_of_two(
    tokens: FloatArray, deviations: list[float], cosine: float, *, slopes: bool
) -> FloatArray:
    rows, widths, density = _two(tokens, deviations, cosine, 4 if slopes else 2)

    def n(k: int, other: int) -> FloatArray:
        """Return N_k,other(w, w') of both rows."""
        found: FloatArray = (rows[0][k] * density) @ rows[1][other].T
        return found

    n00, n11 = n(0, 0), n(1, 1)
    parts = [(n11, np.zeros(1))]  # what T and T(T − 1) multiply
    if slopes:
        n12 = n(1, 2)
        parts.append((n11 - n12 - n(2, 1) + n(2, 2), n11 * n11))
        parts.append((0.5 * n(1, 3) - n12, 0.5 * n11 * n(0, 2)))
    found = np.zeros((3, len(tokens)))
    for place, count in enumerate(tokens):
        power = n00 ** (count - 2.0)
        alone = count * power * n00
        pairs = count * (count - 1.0) * power
        for moment, (one, two) in enumerate(parts):
            found[moment, place] = widths[0] @ (alone * one + pairs * two) @ widths[1]
    return found


def _two(
    tokens: FloatArray, deviations: list[float], cosine: float, count: int
) -> tuple[list[list[FloatArray]], list[FloatArray], FloatArray]:
    """Return E G_k of each row, `count` arrays (w, z) given what scores of both have in common, the
    weights of w, and those of z."""
    # Each score is what both have in common and a part of its own.
    shared = math.sqrt(abs(cosine))
    z, density = _normal(max(deviations) * shared, tokens, _COARSE)
    rows, widths = [], []
    for deviation, sign in zip(deviations, (1.0, math.copysign(1.0, cosine)), strict=True):
        w, width = _places(tokens, deviation, _COARSE)
        own = deviation * math.sqrt(1.0 - abs(cosine))
        at = w[:, None] + sign * deviation * shared * z
        rows.append(_given_shared(at, own, tokens, count))
        widths.append(width)
    return rows, widths, density


def _given_shared(
    at: FloatArray, deviation: float, tokens: FloatArray, count: int
) -> list[FloatArray]:
    """Return E G_k(`at` + `deviation` ξ) for `count` values of k from 0, each as `at`."""
    if at.size <= _TABLED:
        return _smoothed(at, deviation, tokens, count)
    from scipy.interpolate import make_interp_spline

    # Further down G_0 is 1 and the others are 0, to rounding.
    inside = np.maximum(at, -_NOTHING)
    low, high = inside.min(), inside.max()
    places = np.linspace(low, high, 8 + math.ceil((high - low) / _TABLE_STEP))
    table = np.stack(_smoothed(places, deviation, tokens, count), axis=1)
    return list(np.moveaxis(make_interp_spline(places, table, 5)(inside), -1, 0))


def _smoothed(at: FloatArray, deviation: float, tokens: FloatArray, count: int) -> list[FloatArray]:
    z, density = _normal(deviation, tokens, _COARSE)
    scores = np.multiply.outer(np.exp(at), np.exp(deviation * z))
    part, found = np.exp(-scores), list[FloatArray]()
    for k in range(count):
        found.append(part @ density)
        if k + 1 < count:
            part *= scores
    return found


def _normal(deviation: float, tokens: FloatArray, coarse: float) -> tuple[FloatArray, FloatArray]:
    """Return nodes z and weights for expectations of functions of N(0, `deviation`²)."""
    step, high = _STEP_OF_Z, _REACH
    if deviation > 0:
        step = min(step, _STEP_OF_SCORES / deviation * coarse)
        # e^(k s) moves the density upwards, until exp(−u e^s) ends it.
        last = (20.0 + math.log(tokens.max())) / deviation
        high = min(_REACH + 4.0 * deviation, max(_REACH, last))
    ends = -math.ceil(_REACH / step), math.ceil(high / step) + 1
    z = step * np.arange(*ends, dtype=np.float64)
    return z, step / math.sqrt(2.0 * math.pi) * np.exp(-0.5 * z * z)


def _places(tokens: FloatArray, deviation: float, coarse: float) -> tuple[FloatArray, FloatArray]:
    """Return nodes w and weights for integrals over w."""
    most = math.log(tokens.max())
    low = -max(most, deviation * math.sqrt(2.0 * most)) - deviation
    z, density = _normal(deviation, tokens, 1.0)
    # Up to where N₀^(T−1) is nothing, for the fewest tokens.
    ends = np.arange(low, max(_REACH * deviation + 4.0, low + 1.0), 0.5)
    none = np.exp(-np.exp(ends[:, None] + deviation * z)) @ density
    over = (tokens.min() - 1.0) * np.log(np.maximum(none, math.exp(-_NOTHING))) <= -_NOTHING
    high = ends[np.argmax(over)] if over.any() else ends[-1]
    step = _STEP * coarse
    x = np.arange(-_LEFT, high - low + step, step)
    left: FloatArray = np.exp(-x)
    places: FloatArray = low + x - left
    return places, step * (1.0 + left)
