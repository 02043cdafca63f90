"""Fluctuations of second moments between networks of one width, around infinite width.

Relative to E[x²], layer by layer, to first order in 1/n for n units. Pre-activations z with E[z²] =
q are Gaussian given the layer before, and so is what a network's q fluctuates by. λ is the share of
the weights in q (the rest comes from the biases), χ = q∂E[φ²]/E[φ²] and ψ = φ/√E[φ²]:

    variance             r' = λ²((E[ψ⁴] − 1)/n + χ² r)
    of pairs of samples  s' = λ²((E[ψ₁²ψ₂²] − 1)/n + χ² s)
    bias                 b' = λ(χ b + ½ q²∂²E[φ²]/E[φ²] (r + k))

k is a third of the fourth cumulant of a pre-activation over q² and accounts for weights that are
not Gaussian. A bound on the terms neglected in the bias, of order 1/n², is carried along:

    residual             e' = λ(|χ| e + ρ(E[φ²]) (r + |k|)²),

with the roughness ρ of `by_q.Derivatives`. Derived in docs/finite-width.md.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

# First order is not trusted where r exceeds this.
LARGEST_VARIANCE = 0.5
# Beyond this r, the mean over trials is decided by a few networks, which most runs do not draw.
LARGEST_TOLD = 2.0
# Beyond this r, networks differ by orders of magnitude and nothing is computed.
ENDLESS = 4.0
# With a larger share of uniform biases in q, pre-activations are far from Gaussian.
LARGEST_UNIFORM_SHARE = 0.25
# Differences of this size, relative to the state, are rounding.
_SETTLED = 1e-15


class Given(NamedTuple):
    """Fluctuations of q of pre-activations: of what their distribution is, given the layer before.

    `share` is λ, `variance` r, `pair` s, `bias` b, `shape` k and `residual` e, as above. `pinned`
    is 0 for independent weights and 1 for a square orthogonal matrix. Orthogonal weights keep
    norms and angles, so the part of the squares that is linear in them does not fluctuate.
    `uniform` is the share of uniform biases in q, whose law is then not Gaussian.
    """

    share: float
    pinned: float
    uniform: float
    variance: float
    pair: float
    bias: float
    shape: float
    residual: float


class Spread(NamedTuple):
    """The same of E[x²] over the units of a layer; `fourth` is E[x⁴]/E[x²]².

    `given` is that of the Gaussian from which the units are drawn, where they are Gaussian.
    """

    variance: float
    pair: float
    bias: float
    residual: float
    fourth: float
    given: Given | None = None

    def repeats(self, before: Spread) -> bool:
        """Return whether this is `before` again, to rounding."""
        return settled(self[:5], before[:5])


def settled(now: Sequence[float], before: Sequence[float]) -> bool:
    """Return whether the numbers of a state are those `before` again, to rounding."""
    return all(
        abs(number - was) <= _SETTLED * abs(number) or (math.isnan(number) and math.isnan(was))
        for number, was in zip(now, before, strict=True)
    )
