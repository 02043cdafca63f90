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
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
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
# A variance below this part of that which it is the rest of is rounding.
_ROUNDING = 1e-9


class Given(NamedTuple):
    """Fluctuations of q of pre-activations: of what their distribution is, given the layer before.

    `share` is λ, `variance` r, `pair` s, `bias` b, `shape` k and `residual` e, as above. `pinned`
    is 0 for independent weights and 1 for a square orthogonal matrix. Orthogonal weights keep
    norms and angles, so the part of the squares that is linear in them does not fluctuate; norms
    keep norms. `pinned_pair` is the same of two samples. `uniform` is the share of uniform biases
    in q, whose law is then not Gaussian. `centred` is 1 where the mean over units is held at 0.
    """

    share: float
    pinned: float
    uniform: float
    variance: float
    pair: float
    bias: float
    shape: float
    residual: float
    pinned_pair: float
    centred: float = 0.0

    @property
    def spread(self) -> float:
        """What an expectation's second derivative by q is multiplied with: r + k."""
        return self.variance + self.shape

    @property
    def size(self) -> float:
        """The size of r + k, the square of which is neglected."""
        return self.variance + abs(self.shape)


class Average(NamedTuple):
    """Fluctuations of the mean over the units of a layer, relative to √E[x²].

    `shift` is what its expectation differs by from E[x], `residual` bounds what that neglects,
    `variance` is that between networks and `pair` that of two samples, `covariance` is that with
    the relative mean of x². `third` is E[x³]/E[x²]^1.5. `size` is the relative variance of what
    `variance` itself is proportional to.
    """

    shift: float
    residual: float
    variance: float
    pair: float
    covariance: float
    third: float
    size: float


@dataclass(frozen=True, slots=True, eq=False)
class Source:
    """What the mean of x² of a layer fluctuates by in addition to what the layers before it do: its
    relative `variance`, that of a `pair` of samples, and the sources of which it sees the units and
    not just the mean square."""

    variance: float
    pair: float
    seen: frozenset[Source] = frozenset()


class Spread(NamedTuple):
    """The same of E[x²] over the units of a layer; `fourth` is E[x⁴]/E[x²]².

    `given` is that of the Gaussian of which the units are a function, None if there is more than
    one. `average` is that of their mean. `responses` are by how much E[x²] follows that
    of each input, both relative. `detailed` is whether it depends on the units of the inputs beyond
    their mean squares: two such layers of one input fluctuate together. The container that holds
    the layer keeps in `sources` the sources of its fluctuations, and how much it follows each.
    """

    variance: float
    pair: float
    bias: float
    residual: float
    fourth: float
    given: Given | None = None
    average: Average | None = None
    responses: tuple[float, ...] = ()
    detailed: bool = False
    sources: Mapping[Source, float] = MappingProxyType({})

    def repeats(self, before: Spread) -> bool:
        """Return whether this is `before` again, to rounding."""
        mine, theirs = self.average or (), before.average or ()
        return len(mine) == len(theirs) and settled((*self[:5], *mine), (*before[:5], *theirs))

    def times(self, sign: float) -> Spread:
        """Return that of all units times a number of this `sign`, 1 or −1."""
        found = self._replace(responses=(1.0,), detailed=False, sources={})
        if self.average is None:
            return found
        turned = self.average
        return found._replace(
            average=turned._replace(
                shift=sign * turned.shift,
                covariance=sign * turned.covariance,
                third=sign * turned.third,
            )
        )

    def alone(self) -> Spread:
        """Return this as the only source of what follows."""
        return self._replace(sources={Source(self.variance, self.pair): 1.0})

    def after(self, inputs: Sequence[Spread]) -> Spread:
        """Return this with the sources of the `inputs` that it follows, and its own."""
        followed: dict[Source, float] = {}
        for response, spread in zip(self.responses, inputs, strict=True):
            for source, part in spread.sources.items():
                followed[source] = followed.get(source, 0.0) + response * part
        found = self._replace(sources=followed)
        variance, pair = found.shared(found)
        own = self.variance - variance
        if abs(own) <= _ROUNDING * self.variance:
            return found
        seen = frozenset[Source]()
        if self.detailed:
            seen = frozenset(s for spread in inputs for s in (spread.own, *spread.own.seen))
        followed[Source(own, self.pair - pair, seen)] = 1.0
        return found

    @property
    def own(self) -> Source:
        """The source of what the layer itself adds, the last one."""
        return next(reversed(list(self.sources)))

    def shared(self, other: Spread) -> tuple[float, float]:
        """Return the relative covariance with `other` in one network, for one sample and for two,
        NaN where both see the units of one layer."""
        variance = pair = 0.0
        for source, part in self.sources.items():
            follows = other.sources.get(source, 0.0)
            variance += part * follows * source.variance
            pair += part * follows * source.pair
        # Few sources see others, and all pairs of a thousand layers would take minutes.
        mine, theirs = ([s for s in spread.sources if s.seen] for spread in (self, other))
        if any(one is not two and one.seen & two.seen for one in mine for two in theirs):
            return math.nan, math.nan
        return variance, pair


def settled(now: Sequence[float], before: Sequence[float]) -> bool:
    """Return whether the numbers of a state are those `before` again, to rounding."""
    return all(
        abs(number - was) <= _SETTLED * abs(number) or (math.isnan(number) and math.isnan(was))
        for number, was in zip(now, before, strict=True)
    )


def powers_of(moments: Sequence[float], factor: float, shift: float) -> list[float]:
    """Return E[(`factor`·x + `shift`)ⁿ] for n from 0 on, from the `moments` E[xⁿ], which may be NaN
    where they are multiplied with 0."""
    found = []
    for n in range(len(moments)):
        parts = [math.comb(n, m) * factor**m * shift ** (n - m) for m in range(n + 1)]
        found.append(sum(part * moments[m] for m, part in enumerate(parts) if part))
    return found
