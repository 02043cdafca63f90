"""Theory of pairs of equal tokens beside that of others: exact until a layer mixes positions."""

from __future__ import annotations

import math

import numpy as np
import pytest

import snstat
from snstat.experiment.inputs import DrawnInputs, token_moments
from snstat.layers.activation import Activation
from snstat.layers.alpha_dropout import AlphaDropout
from snstat.layers.block import Block
from snstat.layers.concat import Concat
from snstat.layers.conv import Conv
from snstat.layers.dense import Dense
from snstat.layers.dropout import Dropout
from snstat.layers.embedding import Embedding
from snstat.layers.entry import Entry
from snstat.layers.global_mean_pool import GlobalMeanPool
from snstat.layers.layer_norm import LayerNorm
from snstat.layers.mean_pool import MeanPool
from snstat.layers.residual_block import Residual
from snstat.layers.rms_norm import RmsNorm
from snstat.layers.scale import Scale
from snstat.layers.shape import Shape
from snstat.network.network import Network
from snstat.theory.walk import walk

TIMES, WIDTH = 4, 8
BRANCH = (LayerNorm(), Dense(WIDTH, "gelu", bias_std=0.3), Dense(WIDTH))
# Layers that leave equal tokens equal.
LAYERS = {
    "relu": (Dense(WIDTH, "relu"),),
    "norms": (Dense(WIDTH, "tanh"), LayerNorm(), Dense(WIDTH, bias_std=0.5), RmsNorm()),
    "activation": (Activation("selu"), Scale(0.5), Dense(WIDTH, "sigmoid")),
    "residual": (Residual(BRANCH), Residual(BRANCH, scale=0.5), Dense(WIDTH, "relu")),
    "repeated": (Block((Entry(Residual(BRANCH)),), 30), LayerNorm()),
    "concat": (
        Block((Entry(Dense(WIDTH, "relu"), (0,)), Entry(Dense(4), (0,)), Entry(Concat(), (1, 2)))),
    ),
}


def walked(*layers, tokens=None):
    """Return theory of layers after an embedding, or after as many independent normal inputs,
    which no two positions or samples share: those of endlessly many tokens."""
    if tokens is None:
        network = Network(Shape(WIDTH, (TIMES,)), block(Dense(WIDTH), *layers))
        units = WIDTH * TIMES
        return walk(network, 3, DrawnInputs("normal", units, 3, 0.0, 1.0).moments())
    network = Network(Shape.of_tokens(tokens, (TIMES,)), block(Embedding(WIDTH), *layers))
    return walk(network, 3, token_moments(drawn=True))


def block(*layers):
    return Block(tuple(map(Entry, layers)))


@pytest.mark.parametrize("tokens", [1, 2, 10, 1000])
@pytest.mark.parametrize("name", LAYERS)
def test_pairs_are_those_of_equal_tokens_and_of_others(name, tokens):
    """Of equal tokens E[xx'] is E[x²]; others are as independent as those of drawn numbers. Maps
    of pairs are exact to 1e-10."""
    found, other = walked(*LAYERS[name], tokens=tokens), walked(*LAYERS[name])
    np.testing.assert_allclose(found.second_moment[1:], other.second_moment[1:], rtol=1e-12)
    unequal = other.second_moment - other.gap
    exact = other.second_moment / tokens + (1.0 - 1.0 / tokens) * unequal
    between = (found.second_moment - found.gap)[1:]
    cosines = exact / other.second_moment
    for one, two in (
        (between, exact[1:]),
        (found.position_cosine[1:], cosines[1:]),
        (found.log_gradient[1:], other.log_gradient[1:]),
    ):
        np.testing.assert_allclose(one, two, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("pool", [GlobalMeanPool(), MeanPool(2)])
def test_means_over_positions_are_of_all_pairs(pool):
    tokens, count = 5, TIMES if isinstance(pool, GlobalMeanPool) else 2
    found, before = walked(Dense(WIDTH, "relu"), pool, tokens=tokens), walked(Dense(WIDTH, "relu"))
    square, unequal = before.second_moment[-1], (before.second_moment - before.gap)[-1]
    pair = square / tokens + (1.0 - 1.0 / tokens) * unequal
    assert found.second_moment[-1] == pytest.approx(
        (square + (count - 1) * pair) / count, rel=1e-12
    )
    assert (found.second_moment - found.gap)[-1] == pytest.approx(pair, rel=1e-12)


@pytest.mark.parametrize("mask", [Dropout(0.5), AlphaDropout(0.1)], ids=["dropout", "alpha"])
def test_masks_make_equal_tokens_different(mask):
    """A mask is another one for each sample and position. In eval mode there is none."""
    found, other = walked(Dense(WIDTH), mask, tokens=2), walked(Dense(WIDTH), mask)
    assert found.second_moment[-1] == pytest.approx(other.second_moment[-1], rel=1e-12)
    kept = 1.0 if isinstance(mask, Dropout) else mask_square(mask)
    assert (found.second_moment - found.gap)[-1] == pytest.approx(0.5 * kept, rel=1e-12)
    network = Network(Shape.of_tokens(2, (TIMES,)),
                      block(Embedding(WIDTH), mask, Dense(WIDTH, "relu")))  # fmt: skip
    still = walk(network, 3, token_moments(drawn=True), train=False)
    plain = walked(Dense(WIDTH, "relu"), tokens=2)
    assert still.gap[-1] == pytest.approx(plain.gap[-1], rel=1e-12)


def mask_square(mask):
    """Return E[xx'] after alpha dropout over that before it, of mean 0, from its definition: x is
    kept with the probability 1 − rate or becomes α′, times a and plus b, so that mean and variance
    stay. Without a mean, the factor is a(1 − rate), squared."""
    keep, low = 1.0 - mask.rate, -1.7580993408473766
    a = 1.0 / math.sqrt(keep + keep * mask.rate * low**2)
    return (a * keep) ** 2


def test_a_sum_with_what_was_masked_takes_all_pairs():
    body = Residual((Dropout(0.5), Dense(WIDTH)))
    found, other = walked(body, tokens=4), walked(body)
    square, unequal = other.second_moment, (other.second_moment - other.gap)
    # Both the shortcut and the branch have a quarter of equal tokens, of E[x²] 1 before the mask.
    assert found.second_moment[-1] == pytest.approx(square[-1], rel=1e-12)
    assert (found.second_moment - found.gap)[-1] == pytest.approx(unequal[-1] + 0.5, rel=1e-12)


def test_wide_networks_of_few_tokens_agree():
    """Theory is at infinite width: off by a few parts in 512 units, and |t| < 5 of 199 degrees."""
    body = Dense(512, "relu"), LayerNorm(), Dense(512, "tanh"), Dense(512)
    network = Network(Shape.of_tokens(3, (TIMES,)), block(Embedding(512), *body))
    run = snstat.propagate(network, trials=200, batch=16)
    for name in ("cosine", "position_cosine"):
        found = run.statistics[name]
        off = np.abs(found.estimate - found.theory)[1:]
        assert np.all(off <= 5.0 * found.stderr[1:] + 4.0 / 512.0), name


def test_a_convolution_takes_all_pairs():
    tokens = 3
    found = walked(
        Dense(WIDTH, "relu"), Conv(channels=WIDTH, kernel=3, padding="circular"), tokens=tokens
    )
    before = walked(Dense(WIDTH, "relu"))
    square, unequal = before.second_moment[-1], (before.second_moment - before.gap)[-1]
    pair = square / tokens + (1.0 - 1.0 / tokens) * unequal
    assert found.second_moment[-1] == pytest.approx(square, rel=1e-12)
    assert found.position_cosine[-1] == pytest.approx(pair / square, rel=1e-12)
