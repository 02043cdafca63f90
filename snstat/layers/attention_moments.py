"""What heads of attention do to second moments of tokens that are alike.

With E[vv'] = p + v δ of the values, rows A of softmax weights and M = diag(A) − AAᵀ, a unit of what
is read has E[oo'] = p + v E ΣAA', and on the way back, with E[δδ'] = Γ over tokens that read,

    values:  E Σ A_ij A'_i'j' Γ_ii'
    keys:    v E q·q' (MM')_jj' Γ_ii'
    queries: v E Σ (MM')_jj' k_j·k'_j' Γ_ii'

with q·q' and k·k' per unit; for many units of a head these are E[qq'] and E[kk'], and the last line
v κ E tr MM' Γ_ii' for κ of the keys as v of the values (arXiv:2006.10540).

Of one network, a head and a token, the units that are read have the mean square p (Σ A)² + v Σ A²,
with the masks of dropout in A, which varies with what is read. Over all heads it has to be a number
nearly, as norms and activations that follow take it as one.

Equal tokens have equal scores, which E[vv'] = p, the mean over all pairs of tokens, does not tell.
Where two tokens are equal with the probability e, that adds at most the part (T − 1) e
(1 − exp(−variance of scores)) to the mean square of what is read of T tokens.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from snstat.gaussian.quadrature import FloatArray
from snstat.layers.exchangeable import Exchangeable, of_pairs
from snstat.layers.law import OTHER, ZERO
from snstat.layers.no_theory import NoTheory
from snstat.layers.queries import (
    Likeness,
    PairAverages,
    Product,
    Reading,
    RowAverages,
    of_equal,
    of_pair,
    of_row,
    parting,
)
from snstat.layers.shape import Shape
from snstat.layers.signal import Signal, Slope, Step, floored
from snstat.layers.squares import MOST_SPREAD, correlated, diagonal

# From where on what samples are apart by is a difference of what they have.
APART = 0.05
# Scores of a larger variance leave so few tokens that quadrature would take seconds.
LARGEST_VARIANCE = 16.0


@dataclass(frozen=True)
class Read:
    """Tokens that are alike, read by tokens that are alike: `queries`, `keys` and `values` of
    `heads` with so many `units`, which keep what they read with the probability `keep`."""

    queries: Exchangeable
    keys: Exchangeable
    values: Exchangeable
    heads: int
    units: int
    keep: float

    @property
    def variance(self) -> float:
        """The variance of scores, less what all tokens that are read have in common."""
        return self.queries.square * self.keys.apart

    def equal(self, probability: float) -> float:
        """Return up to which part of E[oo] is not known, because two of the tokens that are read
        are equal with this probability."""
        return probability * (self.keys.number - 1) * -math.expm1(-self.variance)

    @property
    def reading(self) -> Reading:
        """What all rows depend on."""
        return Reading((self.keys.number,), self.units, self.variance)

    @property
    def masked(self) -> float:
        """What E[vv] grows by where it is masked, for a token that reads."""
        return (1.0 / self.keep - 1.0) * self.values.square

    @property
    def within(self) -> Likeness:
        """How alike two tokens of a sample are."""
        return Likeness(_ratio(self.queries.other, self.queries.square), 1.0)

    @property
    def apart(self) -> tuple[Likeness, Likeness]:
        """What tokens of two samples are less alike than those of one: of a token itself, and of
        two."""
        keys = _ratio(self.keys.apart_gap, self.keys.apart)
        both = self.queries.gap, self.queries.other_gap
        one, other = (Likeness(_ratio(gap, self.queries.square), keys) for gap in both)
        return one, other

    @property
    def between(self) -> tuple[Likeness, Likeness]:
        """How alike tokens of two samples are: a token itself, and two."""
        one, other = self.apart
        start = self.within.queries
        return (
            Likeness(1.0 - one.queries, 1.0 - one.keys),
            Likeness(start - other.queries, 1.0 - other.keys),
        )

    def spread(self, row: RowAverages, square: FloatArray) -> float:
        """Return the largest relative variance of the mean square, `square` on average, that a
        token has read, of all numbers of tokens."""
        kept = self.keep
        both = row.both / kept**2 + row.fourth * (1.0 / kept - 1.0) / kept**2
        apart = self.values.apart * np.sqrt(floored(both - (row.square / kept) ** 2))
        # To first order in the sum of masks, whose variance is (1/k − 1) ΣA².
        shared = 2.0 * abs(self.values.other) * np.sqrt((1.0 / kept - 1.0) * row.square)
        deviation = np.where(square > 0, (apart + shared) / np.where(square > 0, square, 1.0), 0.0)
        return float(np.max(deviation**2)) / self.heads

    def pair(self, like: Likeness, *, slopes: bool = False) -> PairAverages:
        """Return the averages of two rows."""
        return of_pair(self.reading, like, slopes=slopes)


LARGE_SCORES = "scores are too large for its averages"
FEW_HEADS = "heads are too few for how unevenly they read"
# What equal tokens add may be this part of what is read.
MOST_EQUAL = 0.02
FEW_TOKENS = "the vocabulary is so small that it reads equal tokens"


def attended_alike(read: Read, inputs: Sequence[Signal], shape: Shape) -> Step | NoTheory:
    """Return the step from queries, keys and values to what heads read, or why there is none:
    scores are too large, or heads are too few for how unevenly they read."""
    if not read.variance <= LARGEST_VARIANCE:
        return NoTheory(LARGE_SCORES)
    count, values = read.queries.number, read.values
    averages = of_row(read.reading)
    row = float(averages.square[0])
    own = (values.apart + read.masked) * row + values.other
    if not read.spread(averages, np.array([own])) <= MOST_SPREAD:
        return NoTheory(FEW_HEADS)
    other = 0.0
    near, far = read.apart
    gap = float(parted(read, read.reading, Likeness(1.0, 1.0), near)[0]) + read.masked * row
    other_gap = 0.0
    if count > 1:
        other = values.apart * float(read.pair(read.within).product[0]) + values.other
        other_gap = float(parted(read, read.reading, read.within, far)[0])
    law = ZERO if inputs[2].law == ZERO else OTHER
    none = np.zeros(count)
    after = Signal(shape, none, of_pairs(count, own, other), of_pairs(count, gap, other_gap), law)

    def pull(slope: Slope) -> tuple[Slope, ...]:
        slope = slope.of(after)
        one = _pulled(read, slope.same)
        if np.array_equal(slope.same, slope.gap):
            two = one
        else:
            parts = _between(read, slope.same - slope.gap)
            two = tuple(a - b for a, b in zip(one, parts, strict=True))
        return tuple(
            Slope(same, gap, slope.log).scaled(1.0) for same, gap in zip(one, two, strict=True)
        )

    return Step(tuple(inputs), after, pull)


def parted(
    read: Read, reading: Reading, like: Likeness, apart: Likeness, product: Product = of_equal
) -> FloatArray:
    """Return E[oo'] of two tokens of a sample, `like` each other, less that of two samples, which
    are `apart` by so much more, for every number of tokens."""
    values = read.values
    further = Likeness(like.queries - apart.queries, like.keys - apart.keys)
    beyond = product(reading, further)
    if max(apart) < APART:
        lost = parting(reading, like, apart, product)
        return values.apart * lost + values.apart_gap * beyond + values.other_gap
    equal = product is of_equal and like.queries >= 1.0
    whole = of_row(reading).square if equal else product(reading, like)
    # Exactly all of it where samples have nothing in common.
    two = (values.apart - values.apart_gap) * beyond + (values.other - values.other_gap)
    return values.apart * whole + values.other - two


def _pulled(read: Read, same: FloatArray) -> tuple[FloatArray, ...]:
    """Return E[δδ'] of queries, keys and values of a sample from that of what is read."""
    own = diagonal(same)
    total, others = own.sum(), same.sum() - own.sum()
    row, values = of_row(read.reading), read.values
    masked = values.apart + read.masked
    one = float(row.square[0]), masked * float(row.of_keys[0]), float(row.of_queries[0])
    of_queries = np.diag(masked * read.keys.apart * one[2] * own)
    by_value, kept = total * one[0], total * (1.0 - one[0])
    by_key = total * one[1]
    if correlated(same):
        pair = read.pair(read.within, slopes=True)
        product, of_keys, slope = (float(part[0]) for part in pair)
        by_value += others * product
        kept += others * (1.0 - product)
        by_key += others * values.apart * of_keys
        of_queries += values.apart * read.keys.apart * slope * (same - np.diag(own))
    by_value += total * one[0] * (1.0 / read.keep - 1.0)
    count = read.keys.number
    return (
        of_queries,
        _centred(count, read.queries.square * by_key),
        _spread(count, by_value, kept),
    )


def _between(read: Read, cross: FloatArray) -> tuple[FloatArray, ...]:
    """Return E[δδ'] of queries, keys and values of two samples from that of what is read."""
    own = diagonal(cross)
    values = read.values.apart - read.values.apart_gap
    by_value = kept = by_key = 0.0
    of_queries = np.zeros_like(cross)
    parts = np.diag(own), cross - np.diag(own)
    for like, part in zip(read.between, parts, strict=True):
        if not part.any():
            continue
        product, of_keys, slope = (float(x[0]) for x in read.pair(like, slopes=True))
        total = part.sum()
        by_value += total * product
        kept += total * (1.0 - product)
        by_key += total * values * of_keys
        of_queries += values * read.keys.apart * slope * part
    count = read.keys.number
    return (
        of_queries,
        _centred(count, read.queries.square * by_key),
        _spread(count, by_value, kept),
    )


def _centred(count: int, total: float) -> FloatArray:
    """Return the products of tokens whose squares add up to `total` and whose sum is 0."""
    return of_pairs(count, total / count, -total / (count * max(count - 1, 1)))


def _spread(count: int, total: float, beside: float) -> FloatArray:
    """Return the products of tokens whose squares add up to `total`, and those of different ones to
    `beside`."""
    return of_pairs(count, total / count, beside / (count * max(count - 1, 1)))


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole > 0 else 0.0
