"""Attention to layers: the same as attention with weights, and what it refuses or does not know."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from snstat.errors import InvalidValueError, LayerError
from snstat.experiment.inputs import DrawnInputs
from snstat.layers.activation import Activation
from snstat.layers.attention import Attention
from snstat.layers.block import Block
from snstat.layers.dense import Dense
from snstat.layers.dot_product_attention import DotProductAttention
from snstat.layers.entry import Entry
from snstat.layers.law import GAUSSIAN, OTHER, ZERO
from snstat.layers.layer_norm import LayerNorm
from snstat.layers.no_theory import NoTheory
from snstat.layers.residual_block import Residual
from snstat.layers.shape import Shape
from snstat.layers.signal import Signal, Slope
from snstat.layers.slice import Slice
from snstat.network.network import Network
from snstat.network.population import Population
from snstat.theory.walk import walk
from tests.layers.plain_theory import of_network, tends

WIDTH, TOKENS, HEADS = 128, 6, 8
OPTIONS = [{}, {"causal": True}, {"dropout": 0.2}, {"causal": True, "dropout": 0.1}]
GAIN = {"weight_gain": 1.3, "bias_std": 0.2}


def apart(options):
    """Attention whose queries, keys and values are layers."""
    return Block((
        *(Entry(Dense(WIDTH, **GAIN), (0,)) for _ in range(3)),
        Entry(DotProductAttention(heads=HEADS, **options), (1, 2, 3)),
        Entry(Dense(WIDTH, **GAIN)),
    ))  # fmt: skip


def fused(options):
    """Attention whose queries, keys and values are slices of one layer."""
    return Block((
        Entry(Dense(3 * WIDTH, **GAIN), (0,)),
        *(Entry(Slice(n * WIDTH, (n + 1) * WIDTH), (1,)) for n in range(3)),
        Entry(DotProductAttention(heads=HEADS, **options), (2, 3, 4)),
        Entry(Dense(WIDTH, **GAIN)),
    ))  # fmt: skip


def whole(options):
    return Block((Entry(Attention(heads=HEADS, **GAIN, **options)),))


def walked(block):
    """Return the theory after the layers, in front of a norm and an activation, and the gradient
    of the input."""
    entries = Entry(LayerNorm()), Entry(block), Entry(Residual((LayerNorm(), Dense(WIDTH, "relu"))))
    network = Network(Shape(WIDTH, (TOKENS,)), Block(entries))
    found = walk(network, 4, DrawnInputs("normal", network.input.units, 4, 0.0, 1.0).moments())
    last = found.mean, found.second_moment, found.gap, found.position_cosine
    return np.array([*(part[-1] for part in last), found.log_gradient[0]])


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("build", [apart, fused])
def test_it_is_attention_whose_weights_are_layers(build, options):
    found = walked(build(options))
    np.testing.assert_allclose(found, walked(whole(options)), rtol=1e-12, atol=1e-15)
    assert np.isfinite(found).all()


@pytest.mark.parametrize("build", [apart, fused])
@pytest.mark.parametrize("options", [{}, {"dropout": 0.2}], ids=str)
def test_its_gradients_are_those_of_attention(build, options):
    same = 0.4 * np.eye(TOKENS) + 0.6
    start = Signal(Shape(WIDTH, (TOKENS,)), np.zeros(TOKENS), same, 0.5 * same, GAUSSIAN)
    own = np.eye(TOKENS) + 0.3
    slopes = []
    for block in (build(options), whole(options)):
        (slope,) = block.moments([start], 4).pull(Slope(own, 0.7 * own))
        slopes.append(math.exp(slope.log) * np.stack([slope.same, slope.gap]))
    np.testing.assert_allclose(*slopes, rtol=1e-12)


def two_sizes(width):
    """Fewer units of queries and keys than of values, and other tokens that are read."""
    return Block((
        *(Entry(Dense(units, **GAIN), (0,)) for units in (width // 2, width // 2, 2 * width)),
        Entry(DotProductAttention(heads=width // 8), (1, 2, 3)),
        Entry(Dense(width, "tanh")),
    ))  # fmt: skip


def test_theory_is_what_plain_simulations_tend_to():
    def observed(width, seed):
        return of_network(two_sizes(width), (3,), width, 300, seed)

    tends(observed, 4)


def signals(**changes):
    """Return queries, keys and values of tokens that are alike, with changes of the queries."""
    same = 0.5 * np.eye(4) + 0.5
    start = Signal(Shape(64, (4,)), np.zeros(4), same, same, GAUSSIAN)
    found = [Dense(64).moments([start], 2).signal for _ in range(3)]
    return [replace(found[0], **changes), *found[1:]]


def test_theory_ends_where_scores_are_not_those_of_independent_weights():
    layer = DotProductAttention(heads=8)
    q, k, v = signals()
    assert not isinstance(layer.moments([q, k, v], 2), NoTheory)
    for three in ((q, q, v), (q, k, q), (q, k, k)):
        assert "same weights" in layer.moments(three, 2).why
    assert "Gaussian" in layer.moments(signals(law=OTHER), 2).why
    assert "means" in layer.moments(signals(mean=np.ones(4)), 2).why
    relu = Activation("relu").moments([k], 2).signal
    assert "Gaussian" in layer.moments([q, relu, v], 2).why
    assert "means" in layer.moments([q, k, Activation("relu").moments([v], 2).signal], 2).why
    # Values may have any law.
    assert not isinstance(
        layer.moments([q, k, Activation("tanh").moments([v], 2).signal], 2), NoTheory
    )
    # Tokens that differ from each other.
    odd = q.same.copy()
    odd[0, 0] *= 2.0
    assert "alike" in layer.moments(signals(same=odd), 2).why


T = (5,)
REFUSED = [
    ((8, [Shape(16, T)] * 2), "three layers: q, k and v"),
    ((8, [Shape(16)] * 3), "grid"),
    ((8, [Shape(16, (3, 3))] * 3), "one axis"),
    ((5, [Shape(16, T)] * 3), "heads is 5, but must be a divisor of the 16 channels"),
    ((8, [Shape(16, T), Shape(24, T), Shape(16, T)]), "keys is 24.*queries, 16"),
    ((8, [Shape(16, T), Shape(16, T), Shape(12, T)]), "divisor of the 12 channels"),
    ((8, [Shape(16, T), Shape(16, T), Shape(16, (4,))]), "values is 4.*keys, 5"),
]


@pytest.mark.parametrize(("given", "words"), REFUSED, ids=range(len(REFUSED)))
def test_what_does_not_fit_is_refused(given, words):
    heads, shapes = given
    with pytest.raises(InvalidValueError, match=words):
        DotProductAttention(heads=heads).shape(shapes)


def test_other_tokens_are_not_read_causally():
    shapes = [Shape(16, T), Shape(16, (4,)), Shape(16, (4,))]
    assert DotProductAttention(heads=4).shape(shapes) == Shape(16, T)
    with pytest.raises(InvalidValueError, match="causal"):
        DotProductAttention(heads=4, causal=True).shape(shapes)


def test_a_population_has_heads_of_one_size():
    network = Network(Shape(64, T), two_sizes(64))
    with pytest.raises(LayerError, match="left out: its queries have 32 units, its values 128"):
        Population.of(network, 256)


def test_what_is_read_is_silent_where_values_are():
    """Silent keys are read alike, which is not silence."""
    layer, (q, k, v) = DotProductAttention(heads=8), signals()
    nothing = Signal(k.shape, np.zeros(4), np.zeros((4, 4)), np.zeros((4, 4)), ZERO)
    read = layer.moments([q, k, nothing], 2).signal
    assert read.law == ZERO
    assert not read.same.any()
    alike = layer.moments([q, nothing, v], 2).signal
    assert alike.law == OTHER
    assert alike.same == pytest.approx(np.full((4, 4), v.same.mean()))
