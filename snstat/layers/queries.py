"""Softmax weights of attention, averaged over queries of finitely many units.

Given the queries of two tokens, their scores with keys are Gaussian, with covariances in proportion
to the inner products R of these queries: a matrix of Wishart's distribution with d degrees of
freedom, d the units of a head, divided by d. All this is in the limit of many units before the
heads; d may be any number.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from snstat.gaussian.quadrature import FloatArray
from snstat.gaussian.softmax import (
    PairMoments,
    RowMoments,
    pair_moments,
    row_moments,
    row_products,
)

# Nodes for the squared norm of one query, and for those of two queries where heads have few units
# or many: integrands bend less over the narrower distribution. Two queries are exact to about 1e-5
# of the product of rows then, and to 1e-6 with the fewest nodes, for scores of a variance so far
# below the number of units.
_NODES, _FEW, _MANY, _FEWEST = 24, (5, 5, 4), (4, 4, 3), (3, 3, 2)
_MANY_UNITS, _UNITS_OF_VARIANCE = 8, 64.0
# Nodes of a smaller weight change no digit, but scores as large as theirs may overflow.
_LEAST_WEIGHT = 1e-17
# Two rows that differ less from being equal are taken on the line to equal ones.
_LEAST = 1e-4
# Derivatives by the cosine are taken no closer to 1, where they are differences of large numbers.
_STRAIGHT = 1.0 - 1e-6


class Reading(NamedTuple):
    """What rows of softmax weights depend on: the numbers of `tokens` that are read, the `units` of
    a head, and the `variance` of the scores of a query of average norm, less what all tokens have
    in common."""

    tokens: tuple[int, ...]
    units: int
    variance: float


class RowAverages(NamedTuple):
    """Of one row A, for every number of tokens: `square` E ΣA²; with M = diag(A) − AAᵀ, `of_keys`
    E r tr M² for the squared norm r of the query, E r = 1; `of_queries`, what multiplies the
    squared gradient of queries, E tr M² for many units; `both` E(ΣA²)² and `fourth` E ΣA⁴."""

    square: FloatArray
    of_keys: FloatArray
    of_queries: FloatArray
    both: FloatArray
    fourth: FloatArray


class PairAverages(NamedTuple):
    """Of two rows A and A', for every number of tokens: `product` E ΣAA', and for gradients its
    derivatives, over the variance of scores: `of_keys` by E[kk'], which is E r tr MM' with the
    product r of the queries, and `of_queries` by the cosine of the queries, E tr MM' for many
    units."""

    product: FloatArray
    of_keys: FloatArray
    of_queries: FloatArray


class Likeness(NamedTuple):
    """How alike two tokens are: the cosine of their `queries`, and E[kk'] of the `keys` that both
    read, less what all tokens have in common, over the same of one sample, 1 for one sample."""

    queries: float
    keys: float


@lru_cache(maxsize=256)
def of_row(reading: Reading) -> RowAverages:
    """Return the averages of one row."""
    tokens, units = np.array(reading.tokens, float), reading.units
    found = RowAverages(*np.zeros((5, len(tokens))))
    for r, weight in zip(*_chi_square(units, _NODES), strict=True):
        if weight < _LEAST_WEIGHT:
            continue
        own = _row(tokens, reading.variance * r)
        found.square[:] += weight * own.square
        found.of_keys[:] += weight * r * own.slope
        # Keys along the query are known where scores are; they are one unit of d.
        found.of_queries[:] += weight * (own.slope + (own.along - own.slope) / units)
        found.both[:] += weight * own.both
        found.fourth[:] += weight * own.fourth
    return found


@lru_cache(maxsize=256)
def of_pair(reading: Reading, like: Likeness, *, slopes: bool) -> PairAverages:
    """Return the averages of two rows; those for gradients are NaN unless `slopes`."""
    tokens, variance = np.array(reading.tokens, float), reading.variance
    cosine = like.queries
    if slopes:
        cosine = max(-_STRAIGHT, min(_STRAIGHT, cosine))
    found = PairAverages(*np.zeros((3, len(tokens))))
    if like.keys == 0 and not slopes:
        found.product[:] = 1.0 / tokens
        return found
    for own in _wishart(reading.units, cosine, _nodes(reading)):
        variances = variance * own.one, variance * own.other
        moments = _pair(tokens, variances, like.keys * variance * own.both, slopes=slopes)
        found.product[:] += own.weight * moments.product
        found.of_keys[:] += own.weight * own.both * moments.slope
        # By the cosine, for any function of q and q', it is Σ ∂²/∂q∂q' over units (Price 1958).
        turned = like.keys * own.both_by_cosine * moments.slope
        turned += own.other_by_cosine * moments.bend
        found.of_queries[:] += own.weight * turned
    return found


# E ΣAA' of two rows that are so alike.
Product = Callable[[Reading, Likeness], FloatArray]


def of_equal(reading: Reading, like: Likeness) -> FloatArray:
    """Return E ΣAA' of two rows that read equally many tokens, for every number of them."""
    return of_pair(reading, like, slopes=False).product


@lru_cache(maxsize=64)
def of_unequal(reading: Reading, like: Likeness) -> FloatArray:
    """Return E ΣAA' of rows that read the first tokens, each its own number of them, `reading` has
    1, 2, and so on, (rows, rows)."""
    count = len(reading.tokens)
    total = np.zeros((count, count))
    if like.keys == 0:
        every = np.arange(1.0, count + 1.0)
        later: FloatArray = np.maximum.outer(every, every)
        return 1.0 / later
    for own in _wishart(reading.units, like.queries, _nodes(reading)):
        one, other = (max(reading.variance * part, 0.0) for part in (own.one, own.other))
        both = like.keys * reading.variance * own.both
        # The factor of Bartlett is not symmetric in the two queries, and neither are its nodes.
        total += 0.5 * own.weight * row_products(count, (one, other), both)
        total += 0.5 * own.weight * row_products(count, (other, one), both)
    found: FloatArray = np.triu(total) + np.triu(total, 1).T
    return found


def parting(
    reading: Reading, like: Likeness, apart: Likeness, product: Product = of_equal
) -> FloatArray:
    """Return E ΣAA' of two rows of one sample less that of rows that are `apart` by so much more,
    for every number of tokens, with the relative precision of what they are apart by."""
    most = max(apart)
    if most <= 0:
        return np.zeros_like(product(reading, like))
    shrunk = max(1.0, _LEAST / most)
    further = Likeness(
        max(-1.0, like.queries - shrunk * apart.queries), like.keys - shrunk * apart.keys
    )
    one, other = (product(reading, own) for own in (like, further))
    return (one - other) / shrunk


# Scores of equal tokens do not differ, but for rounding.
def _row(tokens: FloatArray, variance: float) -> RowMoments:
    return row_moments(tokens, max(variance, 0.0))


def _pair(
    tokens: FloatArray, variances: tuple[float, float], covariance: float, *, slopes: bool
) -> PairMoments:
    one, other = (max(own, 0.0) for own in variances)
    return pair_moments(tokens, (one, other), covariance, slopes=slopes)


class _Queries(NamedTuple):
    """Two queries at a node of quadrature: their squared norms, `one` and `other`, and their
    product `both`, with the derivatives of these by their cosine."""

    weight: float
    one: float
    other: float
    both: float
    other_by_cosine: float
    both_by_cosine: float


def _nodes(reading: Reading) -> tuple[int, int, int]:
    """Return how many nodes are enough for each number that two queries consist of."""
    if reading.units >= _UNITS_OF_VARIANCE * reading.variance and reading.units >= _MANY_UNITS:
        return _FEWEST
    return _MANY if reading.units >= _MANY_UNITS else _FEW


def _wishart(units: int, cosine: float, counts: tuple[int, int, int]) -> Iterator[_Queries]:
    """Yield two Gaussian vectors with E|q|² = 1 and this cosine, by the factor of Bartlett (1933).
    Derivatives are NaN for cosines of ±1."""
    rest = math.sqrt(max(1.0 - cosine * cosine, 0.0))
    squares = list(zip(*_chi_square(units, counts[0]), strict=True))
    if rest == 0:
        for one, weight in squares:
            yield _Queries(weight, one, one, cosine * one, math.nan, math.nan)
        return
    alongs = list(zip(*_normal(units, counts[1]), strict=True))
    others = [(0.0, 1.0)]
    if units > 1:
        nodes, weights = _chi_square(units - 1, counts[2])
        others = list(zip(nodes * (units - 1) / units, weights, strict=True))
    for one, first in squares:
        norm = math.sqrt(one)
        for along, second in alongs:
            there = cosine * norm + rest * along
            turn = norm - cosine / rest * along
            for beside, third in others:
                yield _Queries(
                    first * second * third,
                    one,
                    there * there + rest * rest * beside,
                    norm * there,
                    2.0 * (there * turn - cosine * beside),
                    norm * turn,
                )


@lru_cache(maxsize=32)
def _chi_square(units: int, count: int) -> tuple[FloatArray, FloatArray]:
    """Return nodes and weights for expectations over χ²/`units`, of so many degrees of freedom."""
    n, alpha = np.arange(float(count)), units / 2.0 - 1.0
    nodes, weights = _gauss(2.0 * n + alpha + 1.0, np.sqrt(n[1:] * (n[1:] + alpha)))
    return 2.0 / units * nodes, weights


@lru_cache(maxsize=32)
def _normal(units: int, count: int) -> tuple[FloatArray, FloatArray]:
    """Return nodes and weights for expectations over N(0, 1/`units`)."""
    nodes, weights = _gauss(np.zeros(count), np.sqrt(np.arange(1.0, count)))
    return nodes / math.sqrt(units), weights


def _gauss(diagonal: FloatArray, beside: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the nodes and weights of Gaussian quadrature from its recurrence (Golub, Welsch
    1969)."""
    nodes, vectors = np.linalg.eigh(np.diag(diagonal) + np.diag(beside, 1) + np.diag(beside, -1))
    return nodes, vectors[0] ** 2
