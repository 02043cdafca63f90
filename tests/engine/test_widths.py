"""Stacks whose layers differ in width or activation: both samplers match plain numpy."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numba import config
from scipy import stats

from snstat.activation import ACTIVATIONS
from snstat.engine import draws
from snstat.engine import simulate as module
from snstat.engine.dense import sampler as dense_sampler
from snstat.engine.draws import draw_biases, draw_inputs, draw_weights
from snstat.engine.kernels import matrix_free
from snstat.engine.kernels.random import STANDARD, WEIGHTS, Draw, draw_rows
from snstat.engine.simulate import one_blas_thread, simulate
from snstat.engine.strategies import STRATEGIES, choose
from snstat.experiment.inputs import DrawnInputs
from snstat.layers.initialisers import INITIALISERS
from snstat.network.stack import Stack
from snstat.results import MEASURED
from tests.engine import oracle

SEED, BATCH = 5, 6
WIDTHS = [
    "19,23*2,7,7,30,4",
    [3, 40, 40, 40],
    "24,24*3,5",
    "9,1,12",
]


def build(widths, activation="tanh", **options):
    return Stack.build(activation, widths=widths, **{"bias_std": 0.3, "last": "linear"} | options)


def inputs_of(stack):
    return DrawnInputs("normal", stack.input_width, BATCH, 0.4, 1.5)


def plain(stack, trial, dtype):
    """Return activations (batch, units) and dead fraction of every layer, by plain matrix
    products."""
    x = draw_inputs(
        "normal", stack.input_width, BATCH, 0.4, 1.5, trial=trial, seed=SEED, dtype=dtype
    ).T.astype(np.float64)
    found = [(x, math.nan)]
    for index in range(1, stack.depth + 1):
        weights = draw_weights(stack, index, trial=trial, seed=SEED, dtype=dtype)
        biases = draw_biases(stack, index, trial=trial, seed=SEED, dtype=dtype)
        z = x @ weights.T.astype(np.float64) + biases
        last = index == stack.depth and stack.last is not None
        activation = ACTIVATIONS[stack.last if last else stack.activation]
        x = activation.function(z)
        found.append((x, (activation.derivative(z) == 0).all(axis=0).mean()))
    return found


@pytest.mark.parametrize("init", INITIALISERS)
@pytest.mark.parametrize("widths", WIDTHS, ids=str)
def test_the_dense_sampler_matches_a_loop_over_layers(widths, init, monkeypatch):
    monkeypatch.setattr(module, "BLOCK_SECONDS", 0.0)  # one layer at a time
    stack = build(widths, "relu", init=init)
    measured = simulate(
        stack, inputs_of(stack), trials=1, seed=SEED, dtype="float64", sampler="dense"
    )
    assert measured.finite.all()
    for values, (x, dead) in zip(measured.estimate, plain(stack, 0, "float64"), strict=True):
        expected = oracle.statistics(x, dead)
        if not x.any():
            continue
        for value, name in zip(values, MEASURED, strict=True):
            # Sums of some hundred terms in float64, over a few layers.
            np.testing.assert_allclose(value, expected[name], rtol=1e-10, atol=1e-12, err_msg=name)


@pytest.mark.parametrize("init", ["he_normal", "orthogonal"])
@pytest.mark.parametrize("trials", [1, 3])
def test_results_do_not_depend_on_blocks_of_layers_or_threads(init, trials, monkeypatch):
    stack = build(WIDTHS[0], "gelu", init=init)

    def run(threads):
        return simulate(
            stack, inputs_of(stack), trials=trials, seed=SEED, dtype="float32", sampler="dense",
            threads=threads,
        ).estimate  # fmt: skip

    whole = run(1)
    monkeypatch.setattr(module, "BLOCK_SECONDS", 0.0)
    np.testing.assert_array_equal(run(1), whole)
    monkeypatch.setattr(draws, "TILE_VALUES", 1)
    monkeypatch.setattr(draws, "MIN_ROWS", 7)
    monkeypatch.setattr(dense_sampler, "MIN_WORK", 1)
    np.testing.assert_array_equal(run(1), run(3))


def test_equal_widths_give_the_networks_of_a_uniform_stack():
    uniform = Stack.build("selu", 5, 20, last="linear")
    assert Stack.build("selu", widths="20*6", last="linear") == uniform
    bent = Stack.build("selu", widths="20*5,7", last="linear")
    found = [
        simulate(
            stack, DrawnInputs("normal", 20, BATCH, 0.0, 1.0), trials=2, seed=1, dtype="float32",
            sampler=sampler,
        ).estimate
        for sampler in ("dense", "matrix-free")
        for stack in (uniform, bent)
    ]  # fmt: skip
    for a, b in (found[:2], found[2:]):
        np.testing.assert_array_equal(a[:5], b[:5])
        assert (a[5] != b[5]).any()


def test_matrix_free_layers_match_numpy():
    """Layers 1 and 2 by numpy: F Ξ with the factor of K and the kernel's own normals."""
    stack = Stack.build("tanh", widths="30,300,20", bias_std=0.3, last="linear")
    inputs = inputs_of(stack)
    network = STRATEGIES["matrix-free"].sampler(stack, inputs, 1, SEED, "float64", 1)
    out, finite = np.empty((3, len(MEASURED))), np.empty(2, np.bool_)
    with one_blas_thread():
        network.begin(0, out[0])
        network.advance(range(1), 1, out[1:][None], finite[None])
    x = inputs.sample(0, SEED, "float64").T
    for layer, activation in ((1, np.tanh), (2, np.asarray)):
        units, fan_in = stack.width_of(layer), x.shape[1]
        lower = np.linalg.cholesky(x @ x.T / fan_in + 0.09)
        tile = matrix_free.tile_width(units)
        tiles = np.empty((matrix_free.count_tiles(units), BATCH, tile))
        for number, normals in enumerate(tiles):
            draw = Draw(np.uint64(SEED), 0, layer)
            draw_rows(normals, number * BATCH, STANDARD, WEIGHTS, draw)
        z = lower @ np.concatenate(tiles, axis=1)[:, :units]
        x = activation(z)
        saturated = oracle.saturated("tanh", z) if layer == 1 else math.nan
        expected = oracle.statistics(x, 0.0, saturated)
        for value, name in zip(out[layer], MEASURED, strict=True):
            # The factor of a well-conditioned matrix and sums of 1,800 terms.
            np.testing.assert_allclose(value, expected[name], rtol=1e-9, atol=1e-11, err_msg=name)


# Probability that exact samplers fail one test. The draws are seeded.
ALARM = 1e-4
TRIALS = 3000
SECOND_MOMENT, COSINE = MEASURED.index("second_moment"), MEASURED.index("cosine")


def per_trial(name, stack, seed):
    sampler = STRATEGIES[name].sampler(stack, inputs_of(stack), TRIALS, seed, "float32", 1)
    values = np.empty((TRIALS, stack.depth + 1, len(MEASURED)))
    finite = np.empty(stack.depth, np.bool_)
    with one_blas_thread():
        for t in range(TRIALS):
            sampler.begin(t, values[t, 0])
            sampler.advance(range(t, t + 1), 1, values[t, 1:][None], finite[None])
            assert finite.all()
    return values


@pytest.mark.skipif(bool(config.DISABLE_JIT), reason="thousands of trials need compiled kernels")
@pytest.mark.parametrize(
    ("widths", "activation", "init"),
    [
        ("19,23*2,7,7,30,4", "tanh", "glorot_normal"),
        ("12,20,3,20,5", "selu", "lecun_normal"),  # a hidden layer has fewer units than samples
        ("8,16*2,9,30,7", "tanh", "orthogonal"),
    ],
)
def test_both_samplers_draw_from_one_distribution(widths, activation, init):
    stack = build(widths, activation, init=init)
    dense, free = per_trial("dense", stack, 1), per_trial("matrix-free", stack, 2)
    comparisons = 4 * stack.depth
    bound = stats.norm.isf(ALARM / comparisons / 2)
    for layer in range(1, stack.depth + 1):
        for column in (SECOND_MOMENT, COSINE):
            a, b = dense[:, layer, column], free[:, layer, column]
            if column == SECOND_MOMENT:
                a, b = np.log(a), np.log(b)
            z = (a.mean() - b.mean()) / math.hypot(a.std(), b.std()) * math.sqrt(TRIALS)
            assert abs(z) < bound, (layer, column)
            assert stats.ks_2samp(a, b).pvalue > ALARM / comparisons, (layer, column)


def test_the_sampler_with_the_lower_total_cost_is_chosen():
    # The batch needs 2·8·(512 + 10) multiplications, the weights 784·512 + 512·10.
    assert choose(build("784,512,10"), 8, "auto").name == "matrix-free"
    assert choose(build("784,512,10"), 400, "auto").name == "dense"
    assert choose(build("784,512,10", init="he_uniform"), 8, "auto").name == "dense"
    assert choose(build("784,512,10", init="orthogonal"), 8, "auto").name == "matrix-free"
    assert choose(build("784,512,10", init="orthogonal"), 11, "auto").name == "dense"
    assert choose(build("784,512,10", init="orthogonal"), 8, "auto", backward=True).name == "dense"
