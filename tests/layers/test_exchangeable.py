"""Positions that are alike, and an encoder of them."""

from __future__ import annotations

import math

import numpy as np
import pytest

from snstat.experiment.inputs import DrawnInputs
from snstat.layers.attention import Attention
from snstat.layers.block import Block
from snstat.layers.dense import Dense
from snstat.layers.entry import Entry
from snstat.layers.exchangeable import Exchangeable, of_pairs
from snstat.layers.law import GAUSSIAN, OTHER
from snstat.layers.layer_norm import LayerNorm
from snstat.layers.no_theory import NoTheory
from snstat.layers.residual_block import Residual
from snstat.layers.shape import Shape
from snstat.layers.signal import Signal, Slope
from snstat.network.network import Network
from snstat.theory.walk import walk
from tests.layers.plain_draw import PlainDraw
from tests.layers.test_attention_theory import pairs, values


def gaussian(tokens=3, moments=(1.2, 0.3, 0.5, 0.1)):
    q, p, x, y = moments
    same = pairs(tokens, q, p)
    gap = same - pairs(tokens, x, y)
    return Signal(Shape(4, (tokens,)), np.zeros(tokens), same, gap, GAUSSIAN)


def test_tokens_are_alike_where_no_place_differs():
    found = Exchangeable.of(gaussian())
    assert found == pytest.approx((3, 1.2, 0.3, 0.7, 0.2))
    assert found.apart == pytest.approx(0.9)
    assert found.apart_gap == pytest.approx(0.5)
    np.testing.assert_array_equal(of_pairs(3, 1.2, 0.3), gaussian().same)
    assert isinstance(Exchangeable.of(gaussian().alone), NoTheory)
    one = Exchangeable.of(gaussian(1))
    assert one.apart == one.apart_gap == 0.0
    other = gaussian()
    other.same[2, 1] += 1e-14
    assert Exchangeable.of(other) is not None
    other.same[2, 1] += 1e-10
    assert isinstance(Exchangeable.of(other), NoTheory)


def encoder(width, **keys):
    """Return an encoder block: attention and a layer of units of its own, each after a norm."""
    attention = Residual((LayerNorm(), Attention(heads=width // 8, **keys)))
    units = Residual((LayerNorm(), Dense(2 * width, "gelu"), Dense(width)))
    return Block((Entry(attention), Entry(units)), 2)


def test_theory_follows_tokens_through_an_encoder():
    """Against plain networks of drawn inputs, values of all pairs of tokens and the gradient of the
    input, as they extrapolate to large width."""
    tokens, trials, batch = 3, 200, 4
    moments = (1.0, 0.0, 0.0, 0.0)
    found = []
    for width in (48, 96):
        block = encoder(width)
        rows = []
        for trial in range(trials):
            draw = PlainDraw((width, trial))
            x = values(draw.random, width, tokens, moments, exact=True)
            out = block.sample([x], draw)
            y = out.values
            (back,) = out.pull(draw.random.normal(size=y.shape))
            across = np.einsum("cbu,cbv->uv", y, y) / (width * batch)
            apart = across.sum() - np.trace(across)
            rows.append([np.trace(across) / tokens, apart / 6, (back * back).mean()])
        found.append((np.mean(rows, 0), np.std(rows, 0, ddof=1) / math.sqrt(trials)))
    state = gaussian(tokens, moments)
    start = Signal(Shape(96, (tokens,)), state.mean, state.same, state.gap, OTHER)
    step = encoder(96).moments([start], batch)
    (slope,) = step.pull(Slope(np.eye(tokens), np.eye(tokens)))
    same = step.signal.same
    theory = np.array([same[0, 0], same[0, 1], math.exp(slope.log) * slope.same[0, 0]])
    (small, error), (large, smaller) = found
    # Three numbers, each within 4 standard errors, and the values to 2 %.
    assert np.all(np.abs(2.0 * large - small - theory) <= 4.0 * np.hypot(2.0 * smaller, error))
    assert np.all(np.hypot(2.0 * smaller, error) < 0.03 * theory)


def test_theory_of_a_network_ends_where_tokens_differ():
    """An encoder has it to its end; a causal one up to the attention of its second block, and of
    E[x²] in the branch after that."""
    inputs = DrawnInputs("normal", 80, 4, 0.3, 1.2).moments()
    for causal in (False, True):
        found = walk(Network(Shape(16, (5,)), encoder(16, causal=causal)), 4, inputs)
        known = np.isfinite(found.second_moment)
        assert found.second_moment.size == 15
        # Two residuals of three and four layers, twice.
        # Pairs of tokens are followed through the first attention, and up to the second one.
        assert np.isfinite(found.position_cosine[2:9]).all()
        assert np.isfinite(found.position_cosine[9:]).all() != causal
        # A norm restores E[x²] of the branch behind it, and its own is not told.
        assert list(np.flatnonzero(~known)) == ([9, 10, 11, 14] if causal else [])
        apart = np.isfinite(found.gap)
        assert list(np.flatnonzero(~apart)) == (list(range(9, 15)) if causal else [])
