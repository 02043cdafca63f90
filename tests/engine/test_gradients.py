"""Gradients: the dense pass against a plain network, the matrix-free pass against the dense one."""

from __future__ import annotations

import math
import os

import numpy as np
import pytest
from numba import config
from scipy import stats

from snstat.activation import ACTIVATIONS
from snstat.engine.dense import sampler as dense_sampler
from snstat.engine.dense.gradient import dense_gradient
from snstat.engine.draws import draw_biases, draw_weights, weight_scale
from snstat.engine.kernels import orthogonal
from snstat.engine.kernels.random import READOUT, STANDARD, Draw, draw_rows
from snstat.engine.matrix_free import sampler as matrix_free_sampler
from snstat.engine.matrix_free.gradient import matrix_free_gradients
from snstat.engine.simulate import one_blas_thread, simulate
from snstat.engine.strategies import STRATEGIES
from snstat.experiment.data import DataInputs
from snstat.experiment.inputs import DrawnInputs
from snstat.experiment.propagate import propagate
from snstat.layers.initialisers import INITIALISERS
from snstat.network.stack import Stack
from snstat.results import MEASURED

# `make test-laws` takes 20,000.
TRIALS = int(os.environ.get("SNSTAT_TRIALS", "2000"))
ALARM = 1e-4


def gradients(name, stack, inputs, trials, seed, dtype="float32"):
    """Return the log squared gradients relative to the last layer: (trials, layers)."""
    sampler = STRATEGIES[name].sampler(stack, inputs, trials, seed, dtype, 1)
    with one_blas_thread():
        return STRATEGIES[name].way_back(sampler, range(trials))


def plain_gradient(stack, inputs, trial, seed):
    """Return the same of one trial by numpy in float64, with all matrices in memory, and H Hᵀ of
    ∂L/∂(pre-activation) of every layer, of ∂L/∂(input) at layer 0."""
    x = inputs.sample(trial, seed, "float64")
    options = {"trial": trial, "seed": seed, "dtype": "float64"}
    activation = ACTIVATIONS[stack.activation]
    weights, slopes = [], []
    for index in range(1, stack.depth + 1):
        weights.append(draw_weights(stack, index, **options))
        z = weights[-1] @ x + draw_biases(stack, index, **options)[:, None]
        x, slope = activation(z), activation.derivative(z)
        slopes.append(slope)
    g = np.empty_like(x)
    draw_rows(g, 0, STANDARD, READOUT, Draw(np.uint64(seed), trial, stack.depth))
    squares, products = [(g**2).sum(axis=0).mean()], []
    for index in range(stack.depth - 1, -1, -1):
        h = slopes[index] * g
        products.append(h.T @ h)
        g = weights[index].T @ h
        squares.append((g**2).sum(axis=0).mean())
    products.append(g.T @ g)
    return np.log(squares[::-1]) - math.log(squares[0]), np.stack(products[::-1])


@pytest.mark.parametrize(
    ("activation", "init"),
    [(name, None) for name in ACTIVATIONS] + [("selu", name) for name in INITIALISERS],
)
def test_the_dense_pass_equals_the_chain_rule(activation, init):
    stack = Stack.build(activation, 7, 12, init=init, bias_std=0.2, input_width=9)
    inputs = DrawnInputs("normal", 9, 5, 0.1, 1.0)
    found = gradients("dense", stack, inputs, 2, 4, "float64")
    for trial, got in enumerate(found):
        # Rounding of float64 over seven layers.
        np.testing.assert_allclose(got, plain_gradient(stack, inputs, trial, 4)[0], atol=1e-11)


@pytest.mark.parametrize(
    "layers", [{"depth": 7, "width": 12, "input_width": 9}, {"widths": "9,12*3,20,8*3"}]
)
def test_the_dense_pass_gives_products_of_gradients_layer_by_layer(layers):
    stack = Stack.build("tanh", bias_std=0.2, **layers)
    inputs = DrawnInputs("normal", 9, 5, 0.1, 1.0)
    sampler = STRATEGIES["dense"].sampler(stack, inputs, 1, 4, "float64", 1)
    products = np.empty((stack.depth + 1, 5, 5))
    with one_blas_thread():
        dense_gradient(sampler, 0, products)
    wanted = plain_gradient(stack, inputs, 0, 4)[1]
    sizes = [np.trace(some, axis1=1, axis2=2)[:, None, None] for some in (products, wanted)]
    # Rounding of float64 over seven layers.
    np.testing.assert_allclose(products / sizes[0], wanted / sizes[1], atol=1e-11)


def test_orthogonal_matrices_and_their_transposes():
    keep_going = np.zeros(1, np.uint8)
    for fan_in, fan_out in ((40, 40), (70, 40), (40, 70), (1, 3)):
        stack = Stack.build(depth=1, width=fan_out, init="orthogonal", input_width=fan_in)
        weights = draw_weights(stack, 1, dtype="float64")
        out = np.zeros((fan_in, fan_out))
        scale = weight_scale(stack.layer(1))
        draw = Draw(np.uint64(0), 0, 1)
        orthogonal.orthogonal_transposed(np.eye(fan_out), out, scale, draw, keep_going)
        np.testing.assert_allclose(out, weights.T, atol=1e-13)


CASES = [
    # width, batch, activation, init, bias, input width
    (12, 4, "selu", "lecun_normal", None, 12),
    (12, 12, "tanh", "lecun_normal", 0.3, 12),
    (24, 7, "relu", "he_normal", 0.2, 17),
    (48, 48, "silu", "lecun_normal", None, 48),
    (48, 16, "gelu", "lecun_normal", 0.1, 48),
    (12, 4, "selu", "orthogonal", None, 12),
    (24, 6, "relu", "orthogonal", 0.2, 17),
    (24, 6, "tanh", "orthogonal", None, 40),
]


def gradients_with_cosines(name, stack, inputs, seed):
    """Return log squared gradients relative to the last layer, and cosines of gradients.

    The cosine is the mean over pairs of samples of their pre-activation gradients: (trials, layers,
    2).
    """
    sampler = STRATEGIES[name].sampler(stack, inputs, TRIALS, seed, "float32", 1)
    batch, layers = inputs.batch, stack.depth + 1
    values, squares = np.empty((TRIALS, layers, 2)), np.empty((layers, batch, batch))
    off = ~np.eye(batch, dtype=bool)
    with one_blas_thread():
        for t in range(TRIALS):
            if name == "dense":
                values[t, :, 0] = dense_gradient(sampler, t, squares)
            else:
                values[t, :, 0] = matrix_free_gradients(sampler, range(t, t + 1), squares[None])
            lengths = np.sqrt(np.diagonal(squares, axis1=1, axis2=2))
            # A sample without a live unit has zero gradient; its cosine with others counts as 0.
            products = np.maximum(lengths[:, :, None] * lengths[:, None], np.finfo(float).tiny)
            values[t, :, 1] = (squares / products)[:, off].mean(axis=1)
    return values


@pytest.mark.skipif(bool(config.DISABLE_JIT), reason="thousands of trials need compiled kernels")
@pytest.mark.slow
@pytest.mark.parametrize(("width", "batch", "activation", "init", "bias", "inputs"), CASES)
def test_both_samplers_draw_gradients_from_one_distribution(
    width, batch, activation, init, bias, inputs
):
    """Mean, variance and distribution of log gradients and of their cosines agree at every
    layer."""
    depth = 6
    stack = Stack.build(activation, depth, width, init=init, bias_std=bias, input_width=inputs)
    source = DrawnInputs("normal", inputs, batch, 0.2, 1.0)
    dense = gradients_with_cosines("dense", stack, source, 1)
    free = gradients_with_cosines("matrix-free", stack, source, 2)
    comparisons = 3 * (2 * depth + 1)
    bound = stats.norm.isf(ALARM / comparisons / 2)
    for layer in range(depth + 1):
        for column, what in enumerate(("log gradient", "cosine")):
            a, b = dense[:, layer, column], free[:, layer, column]
            if layer == depth and what == "log gradient":
                assert (a == 0).all()
                assert (b == 0).all()
                continue
            z = (a.mean() - b.mean()) / math.hypot(a.std(), b.std()) * math.sqrt(TRIALS)
            assert abs(z) < bound, (layer, what, "mean")
            squares = [(x - x.mean()) ** 2 for x in (a, b)]
            z = (squares[0].mean() - squares[1].mean()) / math.hypot(*(s.std() for s in squares))
            assert abs(z) * math.sqrt(TRIALS) < bound, (layer, what, "spread")
            assert stats.ks_2samp(a, b).pvalue > ALARM / comparisons, (layer, what, "law")


# Covariances of layers become singular, or nearly so, with depth, a batch near the width, repeated
# or zero samples, one sample, or tiny signals.
HARD = [
    # activation, gain, init, width, batch, depth, data
    ("relu", None, None, 64, 60, 6, None),
    ("relu", None, None, 64, 60, 40, None),
    ("tanh", 0.9, None, 64, 32, 80, None),
    ("identity", None, None, 128, 32, 100, None),
    ("gelu", None, None, 128, 64, 30, None),
    ("selu", None, None, 64, 64, 6, None),
    ("tanh", None, None, 48, 1, 6, None),
    ("tanh", 1.5, None, 48, 6, 12, "repeated"),
    ("selu", None, None, 48, 6, 6, "zero"),
    ("tanh", None, "orthogonal", 48, 6, 6, "repeated"),
    ("selu", None, "orthogonal", 48, 6, 6, "zero"),
]


def hard_inputs(width, batch, data):
    if data is None:
        return DrawnInputs("normal", width, batch, 0.0, 1.0)
    rows = np.random.default_rng(1).normal(size=(batch, width))
    rows[1] = rows[0] if data == "repeated" else 0.0
    return DataInputs(data, rows, batch)


@pytest.mark.slow
@pytest.mark.skipif(
    bool(config.DISABLE_JIT), reason="hundreds of deep networks need compiled kernels"
)
@pytest.mark.parametrize(("activation", "gain", "init", "width", "batch", "depth", "data"), HARD)
def test_gradients_agree_where_covariances_are_nearly_singular(
    activation, gain, init, width, batch, depth, data, monkeypatch
):
    trials = 200
    stack = Stack.build(activation, depth, width, weight_gain=gain, init=init)
    inputs = hard_inputs(width, batch, data)
    options = {"trials": trials, "dtype": "float32", "backward": True}
    dense = simulate(stack, inputs, sampler="dense", seed=1, **options).log_gradient
    free = simulate(stack, inputs, sampler="matrix-free", seed=2, **options).log_gradient
    bound = stats.norm.isf(ALARM / (2 * depth) / 2)
    a, b = dense[:, :-1], free[:, :-1]
    spread = np.hypot(a.std(axis=0), b.std(axis=0))
    z = (a.mean(axis=0) - b.mean(axis=0)) / spread * math.sqrt(trials)
    assert np.abs(z).max() < bound
    squares = [(x - x.mean(axis=0)) ** 2 for x in (a, b)]
    spread = np.hypot(*(square.std(axis=0) for square in squares))
    z = (squares[0].mean(axis=0) - squares[1].mean(axis=0)) / spread * math.sqrt(trials)
    assert np.abs(z).max() < bound
    # Gram matrices recomputed in the backward pass equal those kept in the forward pass.
    monkeypatch.setattr(matrix_free_sampler, "HISTORY_BYTES", 0)
    options["trials"] = 3
    again = simulate(stack, inputs, sampler="matrix-free", seed=2, **options).log_gradient
    np.testing.assert_array_equal(again, free[:3])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("data", [None, "repeated", "zero"])
def test_a_linear_orthogonal_network_preserves_gradients(data, dtype):
    """The network is an isometry: the gradient is 1 at every layer, for any inputs."""
    stack = Stack.build("identity", 3, 32, init="orthogonal")
    for sampler in ("dense", "matrix-free"):
        found = simulate(
            stack, hard_inputs(32, 6, data), trials=2, seed=0, dtype=dtype, sampler=sampler,
            backward=True,
        ).log_gradient  # fmt: skip
        # Three products, each of sums of 32 terms.
        np.testing.assert_allclose(found, 0.0, atol=3 * 32 * np.finfo(dtype).eps)


@pytest.mark.parametrize("init", ["lecun_normal", "orthogonal"])
def test_the_backward_pass_does_not_depend_on_how_much_is_kept(init, monkeypatch):
    """Gram matrices are kept in the forward pass or recomputed by segments, with one thread or
    three."""
    monkeypatch.setattr(matrix_free_sampler, "MIN_WORK", 1)  # else so small a layer has one thread
    width = 40 if config.DISABLE_JIT else 1500
    stack = Stack.build("selu", 7, width, init=init, bias_std=0.1, input_width=width - 7)
    inputs = DrawnInputs("normal", width - 7, 16, 0.1, 1.0)
    options = {"trials": 1, "seed": 3, "dtype": "float32", "sampler": "matrix-free"}
    kept = simulate(stack, inputs, threads=1, backward=True, **options).log_gradient
    shared = simulate(stack, inputs, threads=3, backward=True, **options).log_gradient
    monkeypatch.setattr(matrix_free_sampler, "HISTORY_BYTES", 0)
    made_again = simulate(stack, inputs, threads=1, backward=True, **options).log_gradient
    np.testing.assert_array_equal(kept, made_again)
    # Sums in another order: float32 products of 16 rows, through seven layers.
    np.testing.assert_allclose(shared, kept, rtol=0, atol=1e-5)


@pytest.mark.parametrize("sampler", ["dense", "matrix-free"])
def test_a_trial_that_is_not_finite_does_not_run_again(sampler, monkeypatch):
    for module in (dense_sampler, matrix_free_sampler):
        monkeypatch.setattr(module, "HISTORY_BYTES", 0)
    stack = Stack.build("relu", 6, 8, weight_std=1e10)
    inputs = DrawnInputs("normal", 8, 3, 0.0, 1.0)
    network = STRATEGIES[sampler].sampler(stack, inputs, 1, 0, "float32", 1)
    network.remember()
    values = np.empty((1, 7, len(MEASURED)))
    network.begin(0, values[0, 0])
    network.advance(range(1), 1, values[:, 1:], np.empty((1, 6), np.bool_))
    monkeypatch.setattr(network, "begin", lambda *_: pytest.fail("the trial runs again"))
    assert np.isnan(STRATEGIES[sampler].way_back(network, range(1))).all()


@pytest.mark.parametrize("sampler", ["dense", "matrix-free"])
def test_gradients_of_degenerate_inputs(sampler):
    """Zero inputs, identical samples, one sample, one unit, and a network that overflows."""
    options = {"trials": 2, "seed": 0, "dtype": "float32", "sampler": sampler, "backward": True}
    rng = np.random.default_rng(4)
    row = rng.normal(size=(1, 16))
    for data in (np.zeros((3, 16)), np.repeat(row, 3, axis=0), row):
        for activation in ("selu", "relu", "tanh"):
            stack = Stack.build(activation, 4, 16)
            found = simulate(stack, DataInputs("data", data, len(data)), **options).log_gradient
            assert (found[:, -1] == 0).all()
            # ReLU of zero inputs passes no gradient.
            none = activation == "relu" and not data.any()
            assert (np.isneginf if none else np.isfinite)(found[:, :-1]).all(), activation
            if len(data) == 3 and data.any():
                single = DataInputs("data", row, 1)
                # Identical samples act as one sample: the dense sampler draws the same networks.
                alone = simulate(stack, single, **options).log_gradient
                if sampler == "dense" and activation == "selu":
                    # Each sample has its own read-out, so that gradients differ but stay
                    # comparable.
                    assert (np.abs(found - alone) < 3).all()
    tiny = simulate(Stack.build("selu", 3, 1), DrawnInputs("normal", 1, 1, 0.0, 1.0), **options)
    assert np.isfinite(tiny.log_gradient).all()
    wild = Stack.build("relu", 6, 16, weight_gain=1e9)
    lost = simulate(wild, DrawnInputs("normal", 16, 3, 0.0, 1.0), **options)
    assert not lost.finite.all()
    assert np.isnan(lost.log_gradient).all()


@pytest.mark.skipif(bool(config.DISABLE_JIT), reason="networks of 1024 units need compiled kernels")
@pytest.mark.parametrize("sampler", ["dense", "matrix-free"])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_gradients_follow_theory(activation, sampler):
    # relu_squared squares the second moment at every layer: eight layers exceed any float.
    depth = 2 if activation == "relu_squared" else 8
    run = propagate(
        activation, depth, width=1024, init="he_normal" if "relu" in activation else "lecun_normal",
        batch=16, trials=6, seed=8, sampler=sampler, backward=True,
    )  # fmt: skip
    column = run.gradient
    assert column.estimate[depth] == 1.0
    assert column.theory[depth] == 1.0
    # Six trials need Student's t. The bias of a logarithm is of order depth/width, 0.01.
    bound = stats.t.isf(1e-5, 5)
    error = np.abs(np.log(column.estimate[:depth] / column.theory[:depth]))
    assert (error < bound * column.stderr[:depth] + 0.02).all()


def test_the_statistic_is_a_geometric_mean_with_logarithmic_z():
    run = propagate("selu", 3, width=32, batch=4, trials=5, backward=True)
    logs = gradients(
        run.simulation.sampler,
        Stack.build("selu", 3, 32),
        DrawnInputs("normal", 32, 4, 0.0, 1.0),
        5,
        0,
    )
    layer = run.layers[0].gradient
    assert layer.estimate == pytest.approx(math.exp(logs[:, 0].mean()), rel=1e-12)
    assert layer.stderr == pytest.approx(logs[:, 0].std(ddof=1) / math.sqrt(5), rel=1e-12)
    assert layer.z == pytest.approx(math.log(layer.estimate / layer.expected) / layer.stderr)
    assert run.gradient.z[0] == pytest.approx(layer.z)
    with pytest.raises(AttributeError):
        _ = propagate("selu", 2, width=4, trials=2).gradient


@pytest.mark.parametrize("sampler", ["dense", "matrix-free"])
@pytest.mark.parametrize("activation", ["relu", "leaky_relu", "selu"])
def test_gradients_of_zero_inputs_match_theory(activation, sampler):
    width, trials = (16, 6) if config.DISABLE_JIT else (64, 60)
    run = propagate(
        activation, 3, width=width, batch=4, input_std=0.0, trials=trials, sampler=sampler,
        backward=True,
    )  # fmt: skip
    found = run.statistics["gradient"]
    if activation == "relu":
        # No gradient passes: its ratio to the last layer is 0.
        for values in (found.estimate, found.theory):
            np.testing.assert_array_equal(values, [0, 0, 0, 1])
        return
    # At finite width each weight matrix adds −Var/2 ≈ −1/width to the mean logarithm.
    bias = np.array([3, 2, 1]) / width
    error = np.log(found.estimate[:3]) - np.log(found.theory[:3])
    bound = stats.t.isf(ALARM / 6, trials - 1) * found.stderr[:3]
    assert (np.abs(error) < bound + 2 * bias).all()
