"""Two queries of finitely many units: Wishart's distribution, and averages over its nodes."""

from __future__ import annotations

import math

import numpy as np
import pytest

from snstat.layers import queries
from snstat.layers.attention import Attention
from snstat.layers.law import OTHER
from snstat.layers.queries import Likeness, Reading, of_pair, of_unequal
from snstat.layers.shape import Shape
from snstat.layers.signal import Signal

COSINES = [-0.6, 0.0, 0.3, 0.9]


@pytest.mark.parametrize("counts", [queries._FEW, queries._MANY, queries._FEWEST])
@pytest.mark.parametrize("units", [1, 2, 3, 64])
@pytest.mark.parametrize("cosine", COSINES)
def test_nodes_have_the_moments_of_two_queries(counts, units, cosine):
    """Of R = QᵀQ/d: its first moments for any nodes, its second ones, E R₁₂² = c² + (1 + c²)/d, and
    of all of them the derivatives by the cosine."""
    nodes = list(queries._wishart(units, cosine, counts))
    weight, one, other, both, other_by, both_by = np.array(nodes).T

    def mean(values):
        return pytest.approx(weight @ values, rel=1e-12, abs=1e-13)

    square, d = cosine**2, units
    assert mean(np.ones(len(nodes))) == 1.0
    assert mean(one) == 1.0
    assert mean(other) == 1.0
    assert mean(both) == cosine
    assert mean(other_by) == 0.0
    assert mean(both_by) == 1.0
    assert mean(one**2) == 1.0 + 2.0 / d
    assert mean(both**2) == square + (1.0 + square) / d
    assert mean(one * other) == 1.0 + 2.0 * square / d
    assert mean(one * other_by) == 4.0 * cosine / d
    assert mean(2.0 * both * both_by) == 2.0 * cosine * (1.0 + 1.0 / d)
    assert mean(other**2) == 1.0 + 2.0 / d
    assert mean(2.0 * other * other_by) == 0.0


@pytest.mark.parametrize(
    ("counts", "exact"), [(queries._FEW, 4), (queries._MANY, 3), (queries._FEWEST, 2)]
)
@pytest.mark.parametrize("units", [2, 3, 64])
@pytest.mark.parametrize("cosine", COSINES)
def test_nodes_are_exact_to_the_power_that_their_number_allows(counts, exact, units, cosine):
    """|q'|² is χ²/d whatever the cosine; it has z², so that n nodes of z reach its power n − 1."""
    assert exact == counts[1] - 1
    weight, _, other, *_ = np.array(list(queries._wishart(units, cosine, counts))).T
    for power in range(1, exact + 1):
        moment = math.prod(1.0 + 2.0 * n / units for n in range(power))
        assert weight @ other**power == pytest.approx(moment, rel=1e-12)


@pytest.mark.parametrize("keys", [0.0, 1e-9])
def test_rows_of_independent_keys_share_what_the_shorter_one_reads(keys):
    """Each of the tokens that both read has 1/T of one row and 1/T' of the other on average."""
    found = of_unequal(Reading((1, 2, 3, 4), 8, 0.9), Likeness(0.5, keys))
    for one, other in np.ndindex(4, 4):
        shared = (min(one, other) + 1) / ((one + 1) * (other + 1))
        assert found[one, other] == pytest.approx(shared, rel=1e-7)
    (own,) = of_pair(Reading((3,), 8, 0.9), Likeness(0.5, keys), slopes=False).product
    assert own == pytest.approx(1.0 / 3.0, rel=1e-7)


@pytest.mark.parametrize(("tokens", "pairs"), [(1, 2), (3, 2), (257, 1)])
def test_pairs_of_many_causal_tokens_are_not_followed(tokens, pairs):
    """Of independent tokens without biases, of which pairs cost nothing."""
    same = 1.5 * np.eye(tokens)
    before = Signal(Shape(2**14, (tokens,)), np.zeros(tokens), same, same, OTHER)
    step = Attention(heads=2**11, causal=True).moments([before], 2)
    assert step.signal.same.ndim == pairs
    limit = "pairs of more than 256 causal tokens are not followed"
    assert step.why_pairs == (limit if tokens > 256 else "")


@pytest.mark.parametrize("cosine", [np.nextafter(1.0, 2.0), np.nextafter(-1.0, -2.0)])
def test_queries_that_rounding_makes_more_than_parallel_are_parallel(cosine):
    reading = Reading((2, 3), 8, 0.9)
    found = of_pair(reading, Likeness(cosine, 0.5), slopes=False).product
    exact = of_pair(reading, Likeness(round(cosine), 0.5), slopes=False).product
    assert found == pytest.approx(exact, rel=1e-12)


@pytest.mark.parametrize("variance", [0.3, 2.0])
def test_rows_that_read_equally_many_tokens_are_a_pair(variance):
    tokens, like = (1, 2, 3), Likeness(0.4, 0.7)
    found = of_unequal(Reading(tokens, 8, variance), like)
    pairs = of_pair(Reading(tokens, 8, variance), like, slopes=False).product
    assert np.diagonal(found) == pytest.approx(pairs, rel=1e-6)
