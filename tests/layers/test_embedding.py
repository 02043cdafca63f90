"""Embeddings of tokens: values, theory against simulations, and what takes no tokens."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy.special import ndtri
from scipy.stats import norm

from snstat.engine.general.draw import LayerDraw
from snstat.engine.general.workshop import Workshop
from snstat.errors import InvalidValueError, LayerError
from snstat.experiment.inputs import DrawnInputs, DrawnTokens, token_moments
from snstat.layers.block import Block
from snstat.layers.concat import Concat
from snstat.layers.dense import Dense
from snstat.layers.embedding import Embedding
from snstat.layers.entry import Entry
from snstat.layers.global_mean_pool import GlobalMeanPool
from snstat.layers.layer_norm import LayerNorm
from snstat.layers.residual_block import Residual
from snstat.layers.shape import MOST_TOKENS, Shape
from snstat.network.network import Network
from snstat.theory import start
from snstat.theory.repeated import limit_of
from snstat.theory.walk import walk
from tests.layers.plain_draw import PlainDraw

GRIDS = pytest.mark.parametrize("grid", [(), (6,), (2, 3)], ids=str)


def block(*layers):
    return Block(tuple(map(Entry, layers)))


def engine(dtype="float32", number=1):
    shop = Workshop(np.dtype(dtype), np.uint64(7), np.zeros(1, np.uint8), train=True)
    return LayerDraw(shop, 2, number)


@GRIDS
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_equal_tokens_have_one_row_of_the_matrix(grid, dtype):
    """The rows are those of the matrix with a row for every token, whichever are in use."""
    tokens = np.random.default_rng(0).integers(9, size=(1, 4, *grid)).astype(dtype)
    found = Embedding(5, 1.5).sample([tokens], engine(dtype)).values
    weights = Dense(9, init="lecun_normal", weight_std=1.5).at(5)
    matrix, _ = engine(dtype).matrix(weights)
    assert found.dtype == np.dtype(dtype)
    for place in np.ndindex(4, *grid):
        row = matrix[int(tokens[0][place])]
        np.testing.assert_allclose(found[(slice(None), *place)], row, rtol=2 * np.finfo(dtype).eps)


def test_the_gradient_stops():
    tokens = np.zeros((1, 2, 3), np.float32)
    found = Embedding(4).sample([tokens], engine())
    (back,) = found.pull(np.ones_like(found.values))
    assert back.shape == tokens.shape
    assert np.isnan(back).all()


@pytest.mark.parametrize("tokens", [1, 2, 7, 32_000, MOST_TOKENS])
def test_tokens_are_drawn_uniformly(tokens):
    """Frequencies by chi-square, in eight parts or as many as there are; one of 5 tests in a
    thousand runs fails by chance. All are whole numbers of either dtype."""
    source = DrawnTokens(64, 256, tokens)
    found = source.sample(1, 0, "float32")
    assert np.array_equal(found, source.sample(1, 0, "float64"))
    assert not np.array_equal(found, source.sample(2, 0, "float32")) or tokens == 1
    assert np.array_equal(found, np.floor(found))
    assert found.min() >= 0
    assert found.max() < tokens
    parts = min(tokens, 8)
    counts, _ = np.histogram(found, parts, (-0.5, tokens - 0.5))
    # Parts of tokens that are no multiple of 8 have as many as lie in them.
    inside, _ = np.histogram(np.arange(tokens), parts, (-0.5, tokens - 0.5))
    expected = found.size * inside / tokens
    square = float(((counts - expected) ** 2 / expected).sum())
    if parts > 1:
        # Wilson and Hilferty's: the cube root of chi-square over its freedom is about normal.
        freedom = parts - 1
        z = -float(ndtri(0.001 / 5))
        assert square < freedom * (1 - 2 / (9 * freedom) + z * math.sqrt(2 / (9 * freedom))) ** 3
    else:
        assert square == 0


def theory(network, batch=3, *, drawn=True):
    return walk(network, batch, token_moments(drawn=drawn))


@pytest.mark.parametrize("std", [1.0, 0.3, 0.0])
def test_theory_of_tokens_that_are_drawn(std):
    """q = std², and E[xx'] of two samples is 1/tokens of it; nothing is known of layer 0."""
    found = theory(Network(Shape.of_tokens(5, (4,)), block(Embedding(7, std))))
    for name in ("mean", "second_moment", "gap", "log_gradient"):
        assert math.isnan(getattr(found, name)[0]), name
    assert found.mean[1] == 0
    assert found.second_moment[1] == std**2
    assert found.gap[1] == pytest.approx(std**2 * 0.8, rel=1e-14, abs=0)
    assert found.log_gradient[1] == 0


def simulated(network, batch, trials, seed=0):
    """Return per trial E[x²] and E[xx'] of two samples, over units and positions."""
    draw, rows = PlainDraw(seed), []
    shape = network.input
    for _ in range(trials):
        x = draw.random.integers(shape.tokens, size=(1, batch, *shape.grid)).astype(np.float64)
        y = network.block.sample([x], draw).values
        square, total = float((y * y).sum()), y.sum(1)
        cross = (float((total * total).sum()) - square) / (batch - 1)
        rows.append((square * batch / y.size / batch, cross / y.size))
    return np.array(rows)


@pytest.mark.parametrize(
    "layers",
    [
        (Embedding(6, 1.5),),
        (Embedding(6), Dense(5, bias_std=0.5)),
        (Embedding(6), GlobalMeanPool()),
        (Embedding(6), Dense(4), GlobalMeanPool(), Dense(3)),
    ],
    ids=["embedding", "dense", "mean", "dense and mean"],
)
def test_theory_is_what_plain_simulations_show(layers):
    """At any width, where layers are linear in E[xx']; of 8 comparisons one fails by chance in a
    thousand runs."""
    network, batch, trials = Network(Shape.of_tokens(3, (4,)), block(*layers)), 4, 4000
    found = simulated(network, batch, trials)
    walked = theory(network, batch)
    expected = walked.second_moment[-1], walked.second_moment[-1] - walked.gap[-1]
    noise = found.std(0, ddof=1) / math.sqrt(trials)
    z = norm.isf(0.0005 / 8)
    assert np.all(np.abs(found.mean(0) - expected) <= z * noise), (found.mean(0), expected, noise)


def test_of_tokens_of_data_pairs_are_not_known():
    layers = Embedding(8), Dense(8, "relu"), LayerNorm(), Residual((Dense(8, "gelu"), Dense(8)))
    for grid in ((), (1,), (5,)):
        network = Network(Shape.of_tokens(10, grid), block(*layers))
        drawn, own = theory(network), theory(network, drawn=False)
        for name in ("mean", "second_moment", "over_units", "log_gradient"):
            np.testing.assert_allclose(getattr(own, name), getattr(drawn, name), rtol=1e-14)
        assert np.isnan(own.gap).all()
        assert np.isfinite(drawn.gap[1:]).all()


def test_pairs_of_many_positions_are_not_followed(monkeypatch):
    """What is known then is the same."""
    network = Network(Shape.of_tokens(10, (5,)), block(Embedding(8), Dense(8), GlobalMeanPool()))
    pairs = theory(network)
    monkeypatch.setattr(start, "MOST_PAIRED", 4)
    alone = theory(network)
    np.testing.assert_array_equal(alone.gap[1:3], pairs.gap[1:3])
    assert math.isfinite(pairs.gap[3])
    assert math.isnan(alone.gap[3])


def test_samples_that_are_alike_stay_alike():
    """Two passes of one sample, as masks of dropout are judged by."""
    network = Network(Shape.of_tokens(10, (5,)), block(Embedding(8), Dense(8, "relu")))
    alike = replace(token_moments(drawn=True), cosine=1.0, variance_over_batch=0.0)
    assert not np.any(walk(network, 3, alike).gap[1:])


def test_a_repeated_block_after_tokens_has_a_limit():
    """Of tokens without a grid. It is that of the same block after normal inputs."""
    body = Entry(Block((Entry(Dense(8, "tanh", weight_gain=1.5)),), 20))
    tokens = Network(Shape.of_tokens(10), Block((Entry(Embedding(8)), body)))
    found = limit_of(tokens, token_moments(drawn=True), 4, train=True)
    moments = DrawnInputs("normal", 8, 4, 0.0, 1.0).moments()
    other = limit_of(Network(Shape(8), Block((Entry(Dense(8)), body))), moments, 4, train=True)
    assert found.second_moment == pytest.approx(other.second_moment, rel=1e-8)
    assert found.growth == pytest.approx(other.growth, rel=1e-5)


def test_every_token_has_parameters():
    assert Embedding(7).parameters([Shape.of_tokens(10, (3,))]) == 70


def test_embeddings_take_tokens_only_and_other_layers_take_none():
    with pytest.raises(LayerError, match=r"0: input is '\(3, 5\)', but must be numbers of tokens"):
        Network(Shape(5, (3,)), block(Embedding(4)))
    tokens = Shape.of_tokens(1000, (3,))
    for layers in (
        (Dense(4),),
        (Embedding(4), Embedding(4)),
        (Residual((Embedding(1),)),),
        (Block((Entry(LayerNorm()),), 3),),
    ):
        with pytest.raises(LayerError, match="tokens"):
            Network(tokens, block(*layers))
    entries = Entry(Embedding(4)), Entry(Concat(), (0, 1))
    with pytest.raises(LayerError, match=r"1: input is '1,000 tokens', but must be numbers, not"):
        Network(tokens, Block(entries))
    # From the tokens again, a block and a shortcut may begin.
    again = Residual((Embedding(4),), shortcut=(Entry(Embedding(4)),))
    assert Network(tokens, block(again)).block.shape([tokens]) == Shape(4, (3,))
    two = Entry(Embedding(4)), Entry(Embedding(3), (0,)), Entry(Concat(), (1, 2))
    assert Network(tokens, Block(two)).block.shape([tokens]) == Shape(7, (3,))


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Shape.of_tokens(0), "tokens is 0"),
        (lambda: Shape.of_tokens(MOST_TOKENS + 1), "tokens is 16777217"),
        (lambda: Shape(2, (3,), 10), "channels is 2, but must be 1 for tokens"),
    ],
)
def test_impossible_tokens_are_refused(make, words):
    with pytest.raises(InvalidValueError, match=words):
        make()
