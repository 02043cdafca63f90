"""What heads of causal attention do to second moments of tokens that are alike.

Token i reads i + 1 tokens, so that tokens are no longer alike after it. Gradients of different
tokens have to be uncorrelated after it, as those of a read-out of their own are. The formulas are
those of `attention_moments`, with a number of tokens for every row; of two rows, the tokens that
both read count: E ΣAA' is 1/(tokens that the later one reads) of tokens that are independent.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from snstat.gaussian.quadrature import FloatArray
from snstat.layers.attention_moments import FEW_HEADS, LARGE_SCORES, LARGEST_VARIANCE, Read, parted
from snstat.layers.law import OTHER, ZERO
from snstat.layers.no_theory import NoTheory
from snstat.layers.queries import Likeness, Reading, of_pair, of_row, of_unequal
from snstat.layers.shape import Shape
from snstat.layers.signal import Signal, Slope, Step, unknown_slopes
from snstat.layers.squares import MOST_SPREAD, correlated, diagonal

# Of more tokens, integrals over all pairs of rows would take seconds.
MOST_TOKENS = 256


def attended_causally(read: Read, inputs: Sequence[Signal], shape: Shape) -> Step | NoTheory:
    """Return the step from queries, keys and values to what heads read, or why there is none:
    scores are too large, or heads are too few for how unevenly they read."""
    if not read.variance <= LARGEST_VARIANCE:
        return NoTheory(LARGE_SCORES)
    count, values = read.queries.number, read.values
    reading = Reading(tuple(range(1, count + 1)), read.units, read.variance)
    averages = of_row(reading)
    row = averages.square
    gap = parted(read, reading, Likeness(1.0, 1.0), read.apart[0])
    own = values.apart * row + values.other
    masks = read.masked * row
    if not read.spread(averages, own + masks) <= MOST_SPREAD:
        return NoTheory(FEW_HEADS)
    law = ZERO if inputs[2].law == ZERO else OTHER
    same, gap = _pairs(read, reading, own + masks, gap + masks)
    after = Signal(shape, np.zeros(count), same, gap, law)

    def pull(slope: Slope) -> tuple[Slope, ...]:
        slope = slope.of(after)
        same = diagonal(slope.same)
        if correlated(slope.same, slope.gap):
            return unknown_slopes(slope, inputs)
        one = _pulled(read, reading, same)
        cross = same - diagonal(slope.gap)
        two = one
        if cross.any():
            parts = _between(read, reading, cross)
            two = tuple(a - b for a, b in zip(one, parts, strict=True))
        return tuple(
            Slope(same, gap, slope.log).scaled(1.0) for same, gap in zip(one, two, strict=True)
        )

    why = f"pairs of more than {MOST_TOKENS} causal tokens are not followed"
    why = why if count > MOST_TOKENS else ""
    return Step(tuple(inputs), after, pull, why_pairs=why)


def _pairs(
    read: Read, reading: Reading, own: FloatArray, gap: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Return E[oo'] of all pairs of tokens that read, of one sample and what it is more than that
    of two, from those of each token, (tokens,). Of many tokens these alone are followed."""
    if len(own) > MOST_TOKENS or len(own) == 1:
        return own, gap
    within, (_, far) = read.within, read.apart
    same = read.values.apart * of_unequal(reading, within) + read.values.other
    apart = parted(read, reading, within, far, of_unequal)
    np.fill_diagonal(same, own)
    np.fill_diagonal(apart, gap)
    return same, apart


def _pulled(read: Read, reading: Reading, same: FloatArray) -> tuple[FloatArray, ...]:
    """Return E[δδ'] of queries, keys and values of a sample from E[δ²] of what each token reads."""
    row, values = of_row(reading), read.values.apart + read.masked
    by_value = same * row.square
    masks = (1.0 / read.keep - 1.0) * by_value
    by_key = read.queries.square * values * same * row.of_keys
    return (
        np.diag(values * read.keys.apart * same * row.of_queries),
        _read_from(by_key, -by_key),
        _read_from(by_value + masks, same - by_value),
    )


def _between(read: Read, reading: Reading, cross: FloatArray) -> tuple[FloatArray, ...]:
    """Return E[δδ'] of queries, keys and values of two samples from that of what a token reads."""
    pair = of_pair(reading, read.between[0], slopes=True)
    values = read.values.apart - read.values.apart_gap
    by_value = cross * pair.product
    by_key = read.queries.square * values * cross * pair.of_keys
    return (
        np.diag(values * read.keys.apart * cross * pair.of_queries),
        _read_from(by_key, -by_key),
        _read_from(by_value, cross - by_value),
    )


def _read_from(squares: FloatArray, others: FloatArray) -> FloatArray:
    """Return the products of tokens that are read: each row reads its own number of them, the first
    ones, and has these sums over their `squares`, and over the products of different ones."""
    tokens = np.arange(1.0, len(squares) + 1.0)
    pairs = tokens * np.maximum(tokens - 1.0, 1.0)

    def after(parts: FloatArray) -> FloatArray:
        return np.cumsum(parts[::-1])[::-1]

    place = np.arange(len(squares))
    found: FloatArray = after(others / pairs)[np.maximum.outer(place, place)]
    np.fill_diagonal(found, after(squares / tokens))
    return found
