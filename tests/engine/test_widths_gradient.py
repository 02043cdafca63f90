"""The backward pass through stacks whose layers differ in width or activation."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numba import config
from scipy import stats

from snstat.activation import ACTIVATIONS
from snstat.engine import draws
from snstat.engine.dense import sampler as dense_sampler
from snstat.engine.draws import draw_biases, draw_weights
from snstat.engine.kernels.random import READOUT, STANDARD, Draw, draw_rows
from snstat.engine.matrix_free import sampler as matrix_free_sampler
from snstat.engine.simulate import one_blas_thread
from snstat.engine.strategies import STRATEGIES
from snstat.experiment.inputs import DrawnInputs
from snstat.layers.initialisers import INITIALISERS
from snstat.network.stack import Stack
from snstat.results import MEASURED

WIDTHS = ["19,23*2,7,7,30,4", "3,40*3", "9,1,12", "14*4,20"]
ALARM = 1e-4
TRIALS = 3000


def build(widths, activation="tanh", **options):
    return Stack.build(activation, widths=widths, **{"bias_std": 0.3, "last": "linear"} | options)


def gradients(name, stack, batch, trials, seed, dtype="float32", threads=1, members=1):
    """Return the log squared gradients relative to the last layer: (trials, layers).

    A trial has a team of at least this many `members`.
    """
    inputs = DrawnInputs("normal", stack.input_width, batch, 0.2, 1.0)
    sampler = STRATEGIES[name].sampler(stack, inputs, trials, seed, dtype, threads)
    assert sampler.members >= members
    sampler.remember()
    with one_blas_thread():
        found = []
        for t in range(trials):
            values = np.empty((stack.depth + 1, len(MEASURED)))
            finite = np.empty(stack.depth, np.bool_)
            sampler.begin(t, values[0])
            sampler.advance(range(t, t + 1), 1, values[1:][None], finite[None])
            found.append(STRATEGIES[name].way_back(sampler, range(t, t + 1)))
    return np.concatenate(found)


def chain_rule(stack, batch, seed):
    """Return the same by numpy in float64, with all matrices in memory."""
    inputs = DrawnInputs("normal", stack.input_width, batch, 0.2, 1.0)
    x = inputs.sample(0, seed, "float64")
    weights, slopes = [], []
    for index, layer in enumerate(stack.layers(), start=1):
        weights.append(draw_weights(stack, index, seed=seed, dtype="float64"))
        z = weights[-1] @ x + draw_biases(stack, index, seed=seed, dtype="float64")[:, None]
        activation = ACTIVATIONS[layer.activation]
        x = activation.function(z)
        slopes.append(activation.derivative(z))
    g = np.empty_like(x)
    draw_rows(g, 0, STANDARD, READOUT, Draw(np.uint64(seed), 0, stack.depth))
    squares = [(g**2).sum(axis=0).mean()]
    for index in range(stack.depth - 1, -1, -1):
        g = weights[index].T @ (slopes[index] * g)
        squares.append((g**2).sum(axis=0).mean())
    return np.log(squares[::-1]) - math.log(squares[0])


@pytest.mark.parametrize("init", INITIALISERS)
@pytest.mark.parametrize("widths", WIDTHS)
def test_the_dense_pass_equals_the_chain_rule(widths, init):
    stack = build(widths, "gelu", init=init)
    got = gradients("dense", stack, 5, 1, 4, "float64")[0]
    # Rounding of float64 over a few layers.
    np.testing.assert_allclose(got, chain_rule(stack, 5, 4), atol=1e-11)


@pytest.mark.parametrize("init", ["lecun_normal", "orthogonal"])
def test_the_dense_pass_does_not_depend_on_threads(init, monkeypatch):
    stack = build(WIDTHS[0], init=init)
    one = gradients("dense", stack, 5, 1, 4)
    monkeypatch.setattr(draws, "TILE_VALUES", 1)
    monkeypatch.setattr(draws, "MIN_ROWS", 7)
    cut = gradients("dense", stack, 5, 1, 4)
    monkeypatch.setattr(dense_sampler, "MIN_WORK", 1)
    np.testing.assert_array_equal(gradients("dense", stack, 5, 1, 4, threads=3), cut)
    # Sums of float32 in another order.
    np.testing.assert_allclose(cut, one, atol=1e-5)


@pytest.mark.parametrize("init", ["lecun_normal", "orthogonal"])
def test_the_backward_pass_by_segments_equals_that_with_kept_factors(init, monkeypatch):
    """Segments of √depth layers start in the middle of layers of equal width."""
    stack = build("9,23*3,8*6,23*2,10", init=init)
    kept = gradients("matrix-free", stack, 4, 2, 1, "float64")
    monkeypatch.setattr(matrix_free_sampler, "HISTORY_BYTES", 0)
    np.testing.assert_array_equal(gradients("matrix-free", stack, 4, 2, 1, "float64"), kept)
    monkeypatch.setattr(matrix_free_sampler, "MIN_WORK", 1)  # else so small a layer has one thread
    team = gradients("matrix-free", stack, 4, 1, 1, "float64", threads=3, members=2)
    np.testing.assert_allclose(team[0], kept[0], atol=1e-9)


CASES = [
    ("19,23*2,7,7,30,4", "tanh", "glorot_normal", 6),
    ("12,20,3,20,5", "selu", "lecun_normal", 6),  # a hidden layer has fewer units than samples
    ("8,16*2,9,30,7", "tanh", "orthogonal", 3),
    ("300,20,280,16", "selu", "orthogonal", 5),  # tiles of noise beyond the units
    ("20,270,12", "gelu", "lecun_normal", 5),
]


@pytest.mark.skipif(bool(config.DISABLE_JIT), reason="thousands of trials need compiled kernels")
@pytest.mark.parametrize(("widths", "activation", "init", "batch"), CASES)
def test_both_samplers_draw_gradients_from_one_distribution(widths, activation, init, batch):
    """Mean and distribution of the log gradients of every layer agree over independent networks."""
    stack = build(widths, activation, init=init)
    trials = max(TRIALS // 15, 20) if stack.width > 100 else TRIALS
    dense = gradients("dense", stack, batch, trials, 1)
    free = gradients("matrix-free", stack, batch, trials, 2)
    bound = stats.norm.isf(ALARM / stack.depth / 4)
    for layer in range(stack.depth):
        a, b = dense[:, layer], free[:, layer]
        if a.std() < 1e-5:
            # Orthogonal rows preserve the norm of a gradient, up to the rounding of float32.
            np.testing.assert_allclose(b, a.mean(), atol=1e-5)
            continue
        z = (a.mean() - b.mean()) / math.hypot(a.std(), b.std()) * math.sqrt(trials)
        assert abs(z) < bound, (layer, z)
        assert stats.ks_2samp(a, b).pvalue > ALARM / stack.depth / 2, layer
