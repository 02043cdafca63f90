"""How far the norms of what heads read are from numbers, and that theory ends where they are."""

from __future__ import annotations

import math

import numpy as np
import pytest

from snstat.layers.attention import Attention
from snstat.layers.attention_moments import Read
from snstat.layers.exchangeable import Exchangeable, of_pairs
from snstat.layers.law import OTHER
from snstat.layers.queries import of_row
from snstat.layers.shape import Shape
from snstat.layers.signal import Signal
from snstat.layers.squares import MOST_SPREAD
from tests.layers.plain_draw import PlainDraw

SAMPLES = 200_000


def alike(tokens, square, other):
    """Return tokens of independent samples."""
    return Exchangeable(tokens, square, other, square, other)


def simulated(read, random):
    """Return mean and relative variance of the mean square that one head reads, over queries,
    scores and masks."""
    tokens, units = read.keys.number, read.units
    norms = random.chisquare(units, SAMPLES) / units
    scores = np.sqrt(read.variance * norms)[:, None] * random.normal(size=(SAMPLES, tokens))
    weights = np.exp(scores - scores.max(1, keepdims=True))
    weights /= weights.sum(1, keepdims=True)
    weights *= random.random(weights.shape) < read.keep
    weights /= read.keep
    values = read.values
    square = values.other * weights.sum(1) ** 2 + values.apart * (weights**2).sum(1)
    return square.mean(), square.var() / square.mean() ** 2


def averages(read):
    """Return the averages of a row, and the mean square that it reads."""
    row = of_row(read.reading)
    return row, (read.values.apart + read.masked) * row.square + read.values.other


@pytest.mark.parametrize("units", [4, 32])
@pytest.mark.parametrize("keep", [1.0, 0.8])
def test_the_spread_of_independent_tokens_is_what_is_simulated(units, keep):
    """The variance of 200,000 squares has a standard error of about 1 % with the kurtosis of these,
    at most 30: within 5 of them."""
    one = alike(6, 1.2, 0.0)
    read = Read(one, one, one, 3, units, keep)
    square, relative = simulated(read, np.random.default_rng(units))
    row, mean = averages(read)
    assert mean == pytest.approx(square, rel=5.0 * math.sqrt(relative / SAMPLES))
    error = math.sqrt(30.0 / SAMPLES)
    assert read.spread(row, mean) == pytest.approx(relative / 3, rel=5.0 * error)


def test_what_tokens_share_varies_with_the_masks():
    """To first order. The skewness of a mask adds (1 − 2k)/(kT) = −0.044 of it, and the variance of
    200,000 numbers that are nearly normal has 5 standard errors of 0.016."""
    keys, values = alike(20, 1.0, 1.0), alike(20, 1.0, 1.0)
    read = Read(alike(20, 1.0, 0.0), keys, values, 2, 64, 0.9)
    _, relative = simulated(read, np.random.default_rng(0))
    assert read.spread(*averages(read)) == pytest.approx(relative / 2, rel=0.06)


def signal(width, tokens, square=1.0):
    same = of_pairs(tokens, square, 0.0)
    return Signal(Shape(width, (tokens,)), np.zeros(tokens), same, same, OTHER)


@pytest.mark.parametrize("causal", [False, True])
def test_theory_ends_where_heads_are_few_for_how_unevenly_they_read(causal):
    """At the same width, so that nothing but the number of heads and what they drop differs."""
    width, tokens = 96, 24

    def known(**keys):
        return Attention(causal=causal, **keys).moments([signal(width, tokens)], 2).signal.known

    assert known(heads=6)
    assert not known(heads=1)
    assert known(heads=6, dropout=0.02)
    assert not known(heads=6, dropout=0.5)


@pytest.mark.parametrize(("heads", "dropout"), [(1, 0.0), (2, 0.6), (6, 0.0)])
def test_norms_of_tokens_vary_by_the_spread(heads, dropout):
    """Of networks so wide that |o|²/n varies by little else: by 2/n of units that are drawn."""
    width, tokens = 240, 8
    x = np.linalg.qr(np.random.default_rng(0).normal(size=(width, tokens)))[0] * math.sqrt(width)
    layer = Attention(heads=heads, dropout=dropout)
    found = []
    for trial in range(60):
        out = layer.sample([x.reshape(width, 1, tokens)], PlainDraw((heads, trial)))
        found.append(np.square(out.values).mean(axis=0).ravel())
    found = np.array(found)
    read = Read(*[alike(tokens, 1.0, 0.0)] * 3, heads, width // heads, 1.0 - dropout)
    spread = read.spread(*averages(read))
    relative = found.var() / found.mean() ** 2
    assert (spread > MOST_SPREAD) == (heads < 6)
    # The 480 norms have a relative error of their variance of 0.15 at most, for kurtoses up to 12.
    assert relative == pytest.approx(spread + 4.0 / width, rel=5 * 0.15)
