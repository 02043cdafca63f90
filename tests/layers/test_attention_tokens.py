"""Attention to tokens that are drawn: equal ones have equal scores."""

from __future__ import annotations

import math

import numpy as np
import pytest

from snstat.layers import heads
from snstat.layers.attention_moments import MOST_EQUAL
from snstat.network.network import Network
from snstat.results import InputMoments
from snstat.theory.walk import walk

TIMES, UNITS = 16, 16
ATTENTION = {"kind": "attention", "heads": 64}


def theory(vocabulary, *layers, times=TIMES):
    """Return theory of a network that embeds drawn tokens, with E[x²] of 1."""
    embed = {"kind": "embedding", "width": 64 * UNITS, "name": "embed"}
    form = {"input": {"tokens": vocabulary, "grid": [times]}, "layers": [embed, *layers]}
    drawn = InputMoments(*[math.nan] * 7, drawn=True)
    return walk(Network.read(form), 2, drawn)


def squares(vocabulary, draws=20_000):
    """Return E Σ A_j A_j' [tokens j and j' are equal], and its standard error: what one token reads
    of the rows of others, in the limit of many heads. Scores of variance 1 times r, the squared
    norm of the query per unit, belong to tokens, not to places."""
    rng = np.random.default_rng(vocabulary)
    numbers = rng.integers(vocabulary, size=(draws, TIMES))
    norms = np.sqrt(rng.chisquare(UNITS, size=(draws, 1)) / UNITS)
    scores = np.take_along_axis(rng.normal(size=(draws, vocabulary)), numbers, axis=1)
    weights = np.exp(norms * scores)
    weights /= weights.sum(axis=1, keepdims=True)
    equal = numbers[:, :, None] == numbers[:, None, :]
    found = np.einsum("nj,nk,njk->n", weights, weights, equal)
    return found.mean(), found.std() / math.sqrt(draws)


@pytest.mark.parametrize("vocabulary", [10, 20, 60])
def test_equal_tokens_add_less_than_the_bound(vocabulary, monkeypatch):
    """What their products add to the mean of them: theory without it is too small."""
    monkeypatch.setattr(heads, "MOST_EQUAL", math.inf)
    known = theory(vocabulary, ATTENTION).second_moment[-1]
    seen, error = squares(vocabulary)
    bound = (TIMES - 1) / vocabulary * (1.0 - math.exp(-1.0))
    assert 0.15 * bound < seen / known - 1.0 < bound
    assert seen - known > 5.0 * error


def test_where_they_add_little_theory_is_known():
    """15/600 (1 − 1/e) is below the bound, and what is seen then within its error."""
    vocabulary = 600
    assert (TIMES - 1) / vocabulary * (1.0 - math.exp(-1.0)) < MOST_EQUAL
    known = theory(vocabulary, ATTENTION).second_moment[-1]
    seen, error = squares(vocabulary, 4_000)
    assert -5.0 * error < seen - known < MOST_EQUAL * known + 5.0 * error


NORM = {"kind": "layer_norm"}
FLAT = [{"kind": "residual", "layers": [NORM, ATTENTION]}, NORM]


@pytest.mark.parametrize("layers", [[ATTENTION], [NORM, ATTENTION], FLAT])
@pytest.mark.parametrize("causal", [False, True])
def test_theory_of_a_small_vocabulary_ends_there(layers, causal):
    """Also behind norms and within residuals; a larger vocabulary has theory of all of it."""
    layers = [own | ({"causal": causal} if own is ATTENTION else {}) for own in layers]
    found = theory(64, *layers)
    place = 3 if layers[0] == FLAT[0] else len(layers) + 1
    assert np.isfinite(found.second_moment[1:place]).all()
    assert np.isnan(found.second_moment[place])
    reasons = {end.layer: end.reason for end in found.ends if end.of == "signal"}
    assert reasons == {place: "the vocabulary is so small that it reads equal tokens"}
    assert np.isfinite(theory(6_400, *layers).second_moment[1:]).all()


def test_a_memory_counts_as_what_is_read():
    """The tokens that read may be equal as they like."""
    pool = {"kind": "mean_pool", "size": TIMES, "name": "one"}
    reads = {"kind": "attention", "heads": 64, "memory": "one"}
    start = {"kind": "scale", "factor": 1.0, "input": "embed"}
    assert np.isfinite(theory(64, pool, start, reads).second_moment[1:]).all()
