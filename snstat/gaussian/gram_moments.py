"""Expectations over two samples that determine the fluctuations of their Gram matrix.

Two pre-activations z₁, z₂ of one unit are replaced by their sum and their difference,
(z₁ ± z₂)/√2, which are uncorrelated and have variances P = q(1 + c) and U = q(1 − c); p and e are
sum and difference over √P and √U. The difference between nearly equal samples keeps its precision.
The activations are combined likewise, a = (φ₁ + φ₂)²/2, g = (φ₁ − φ₂)²/2 and x = (φ₁² − φ₂²)/2, the
first two over their expectation and x over the root of both. For z ~ N(0, (P, X; X, U)) at X = 0,

    P^j U^k ∂_P^j ∂_U^k E f = E[f He₂ⱼ(p) He₂ₖ(e)] / 2^(j+k),   √(PU) ∂_X E f = E[f p e],

and ∂_X² is 4 ∂_P ∂_U. Derived in docs/finite-width.md.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from snstat.activation import Activation
from snstat.gaussian.gram_nodes import gram_nodes
from snstat.gaussian.pair_moments import PairTable
from snstat.gaussian.quadrature import FloatArray

# Samples closer to each other than this are treated as this close. Relative to their difference
# nothing changes any more, up to the square root of this.
_NEAREST = 1e-8
# The sum of two nearly opposite samples is not resolved.
_FARTHEST = 1.99
# Orders (j, k) of the derivatives with respect to P and U.
ORDERS = [(j, k) for total in range(1, 5) for j in range(total, -1, -1) for k in [total - j]]
_POWERS = ((1, 1), (1, 2), (1, 3), (2, 2), (2, 4))


@dataclass(frozen=True, slots=True)
class GramMoments:
    """Moments of the activations of two samples.

    `along` and `across` map (j, k) to the derivatives P^j U^k ∂_P^j ∂_U^k of E a and E g, which
    are 1 themselves; `tilt` is √(PU) ∂_X E x. `squares` are E a², E[a g] = E x² and E g². `alike`
    is the share E(φ₁ + φ₂)²/(2E φ₁² + 2E φ₂²). `powers` maps (j, k) to E[y₁^j y₂^k], where y is φ
    minus its mean, over its standard deviation.
    """

    along: dict[tuple[int, int], float]
    across: dict[tuple[int, int], float]
    tilt: float
    squares: tuple[float, float, float]
    alike: float
    powers: dict[tuple[int, int], float]


class GramTable(PairTable):
    """The moments at one q, for any correlation; `mean` and `std` are those of φ."""

    def __init__(
        self, activation: Activation, second_moment: float, mean: float, std: float
    ) -> None:
        super().__init__(activation, second_moment, 1.0, 0.0)
        self._mean, self._std = mean, std

    def gram(self, misalignment: float) -> GramMoments | None:
        """Return the moments at 1 − c = `misalignment`, None where they are not resolved."""
        if not misalignment <= _FARTHEST:
            return None
        numbers = self.numbers(max(misalignment, _NEAREST)).tolist()
        if not all(map(math.isfinite, numbers)):
            return None
        count = len(ORDERS)
        along, across = (
            dict(zip(ORDERS, numbers[start : start + count], strict=True)) for start in (0, count)
        )
        tilt, first, second, third, alike = numbers[2 * count : 2 * count + 5]
        powers = dict(zip(_POWERS, numbers[2 * count + 5 :], strict=True))
        return GramMoments(along, across, tilt, (first, second, third), alike, powers)

    def _evaluate(self, misalignment: float) -> FloatArray:
        unknown = np.full(2 * len(ORDERS) + 5 + len(_POWERS), math.nan)
        nodes = gram_nodes(self._activation, self._q, misalignment)
        if nodes is None:
            return unknown
        p, e, weight = nodes.p, nodes.e, nodes.weight
        one, two = self._activation.function(nodes.first), self._activation.function(nodes.second)
        along, across = one + two, one - two
        scales = [math.sqrt(float(weight @ (part * part))) for part in (along, across)]
        if not 0 < min(scales) <= max(scales) < math.inf:
            return unknown
        along, across = along / scales[0], across / scales[1]
        crossed = along * across
        along, across = along * along, across * across
        by_p, by_e = _hermite(p), _hermite(e)
        derivatives = np.array([by_p[j] * by_e[k] * weight for j, k in ORDERS])
        products = np.stack([along, across]) @ derivatives.T
        y, other = (_powers((value - self._mean) / self._std) for value in (one, two))
        total = scales[0] ** 2 + scales[1] ** 2
        squares = (along * along, crossed * crossed, across * across)
        return np.array(
            [
                *products.ravel().tolist(),
                float(weight @ (crossed * p * e)),
                *(float(weight @ part) for part in squares),
                scales[0] ** 2 / total,
                *(float(weight @ (y[j] * other[k] + y[k] * other[j])) / 2.0 for j, k in _POWERS),
            ]
        )


def _powers(y: FloatArray) -> list[FloatArray]:
    """Return y⁰ to y⁴."""
    square = y * y
    return [np.ones_like(y), y, square, square * y, square * square]


def _hermite(z: FloatArray) -> list[FloatArray]:
    """Return He₂ⱼ(z)/2ʲ for j of 0 to 4."""
    s = z * z
    return [
        np.ones_like(s),
        (s - 1.0) / 2.0,
        ((s - 6.0) * s + 3.0) / 4.0,
        (((s - 15.0) * s + 45.0) * s - 15.0) / 8.0,
        ((((s - 28.0) * s + 210.0) * s - 420.0) * s + 105.0) / 16.0,
    ]
