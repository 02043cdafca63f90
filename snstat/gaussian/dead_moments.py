"""Expectations over up to four samples, for the dead fraction of a batch.

Given the part that exchangeable samples of correlation c share, z_a = √(qc)·t + √(q(1−c))·ε_a are
independent, so expectations of products are one integral over t of conditional expectations. Let
F(t) be the conditional probability of a flat interval, and F₁ to F₄ its derivatives with respect to
the centre, times √q each. A fourth cumulant κ_abcd of the samples and a change δ of their Gram
matrix, both relative, change the probability that all B samples are flat by

    ½ Σ δ_ab E[∂_a∂_b ΠF] + (1/24) Σ κ_abcd E[∂_a∂_b∂_c∂_d ΠF].
"""

from __future__ import annotations

import math

import numpy as np

from snstat.activation import Activation
from snstat.gaussian.pair_moments import PairTable
from snstat.gaussian.quadrature import FloatArray, composite, distinct
from snstat.values.special import special

# Patterns of four indices: aaaa, aaab, aabb, aabc, abcd.
_PATTERNS = (4,), (3, 1), (2, 2), (2, 1, 1), (1, 1, 1, 1)
_RANGE, _PANELS, _POINTS = 8.0, 12, 6
_INNER = np.linspace(-_RANGE, _RANGE, 8)
_REACH = np.array([0.7, 2.0, 4.5, 9.0])
_FINE_PANELS = 32
_FINE_REACH = np.array([0.25, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0, 4.5, 5.0, 6.0, 7.5, 9.0])
_NEAREST = 1e-8
_HERMITE = 4


class DeadTable(PairTable):
    """The moments at one q and batch size, for any correlation of at least 0.

    `numbers` are E φ⁴, E φ_a³φ_b, E φ_a²φ_b², E φ_a²φ_bφ_c and E φ_aφ_bφ_cφ_d over E[φ²]², then
    the factors of δ_aa, of δ_ab and of the fourth cumulants of the five patterns in the probability
    that all samples of the batch are flat.
    """

    def __init__(
        self, activation: Activation, second_moment: float, rms: float, batch: int
    ) -> None:
        super().__init__(activation, second_moment, rms, 0.0)
        self._batch = batch

    def _evaluate(self, misalignment: float) -> FloatArray:
        own, shared = math.sqrt(max(misalignment, _NEAREST)), math.sqrt(max(1 - misalignment, 0.0))
        std = math.sqrt(self._q)
        t, weight = self._outer(own, shared, _PANELS, _REACH)
        # The part of a sample that t leaves free, split at the kinks.
        grid = np.broadcast_to(_INNER, (t.size, _INNER.size))
        at = (np.array(self._activation.kinks) / std - shared * t[:, None]) / own
        split = np.sort(np.concatenate([grid, np.clip(at, -_RANGE, _RANGE)], axis=1), axis=1)
        inner, inner_weight = composite(split, _POINTS)
        inner_weight = inner_weight * np.exp(-0.5 * inner * inner)
        inner_weight /= inner_weight.sum(axis=1, keepdims=True)
        value = self._activation.function(std * (shared * t[:, None] + own * inner)) / self._rms
        powers = [np.einsum("ti,ti->t", inner_weight, value**k) for k in range(1, 5)]
        products = [
            float(weight @ np.prod([powers[k - 1] for k in pattern], axis=0))
            for pattern in _PATTERNS
        ]
        # Powers of F as high as the batch rise more steeply than the averages above.
        t, weight = self._outer(own, shared, _FINE_PANELS, _FINE_REACH)
        flat = _flat(self._activation, std, shared * t, own)
        return np.array(
            [*products, *(float(weight @ part) for part in _factors(flat, self._batch))]
        )

    def _outer(
        self, own: float, shared: float, panels: int, reach: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        """Return nodes and weights, (nodes,), of the integral over the shared part."""
        edges = [np.linspace(-_RANGE, _RANGE, panels + 1)]
        if shared > 0:
            for kink in self._activation.kinks:
                centre, width = kink / math.sqrt(self._q) / shared, own / shared * reach
                edges += [centre - width, np.array([centre]), centre + width]
        t, weight = composite(distinct(np.clip(np.concatenate(edges), -_RANGE, _RANGE)), _POINTS)
        weight = weight * np.exp(-0.5 * t * t)
        return t, weight / weight.sum()


def patterns(moments: tuple[float, float, float, float]) -> FloatArray:
    """Return E of products of independent samples by pattern, from E x to E x⁴ of one sample."""
    return np.array([math.prod(moments[k - 1] for k in pattern) for pattern in _PATTERNS])


def _flat(
    activation: Activation, std: float, centre: FloatArray, spread: float
) -> list[FloatArray]:
    """Return F and its derivatives 1 to 4 with respect to the centre, in standard deviations."""
    found = [np.zeros_like(centre) for _ in range(_HERMITE + 1)]
    for interval in activation.flat:
        for bound, sign in zip(interval, (-1.0, 1.0), strict=True):
            if bound == -math.inf:
                continue
            if bound == math.inf:
                found[0] += sign
                continue
            u = (bound / std - centre) / spread
            density = np.exp(-0.5 * u * u) / math.sqrt(2.0 * math.pi)
            found[0] += sign * special("ndtr")(u)
            hermite = (np.ones_like(u), u, u * u - 1.0, (u * u - 3.0) * u)
            for k, factor in enumerate(hermite, 1):
                found[k] -= sign * factor * density / spread**k
    found[0] = np.clip(found[0], 0.0, 1.0)
    return found


def _factors(flat: list[FloatArray], batch: int) -> list[FloatArray]:
    """Return the factors of both kinds of entries and of the cumulants, given t."""
    f, one, two, three, four = flat
    rest: list[FloatArray] = [f ** max(batch - count, 0) for count in range(5)]
    ways = [float(math.perm(batch, count)) for count in range(5)]
    return [
        0.5 * ways[1] * two * rest[1],
        0.5 * ways[2] * one**2 * rest[2],
        ways[1] / 24.0 * four * rest[1],
        ways[2] / 6.0 * three * one * rest[2],
        ways[2] / 8.0 * two**2 * rest[2],
        ways[3] / 4.0 * two * one**2 * rest[3],
        ways[4] / 24.0 * one**4 * rest[4],
    ]
