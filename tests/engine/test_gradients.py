"""Gradients: the dense pass against a plain network, the matrix-free one against the dense."""

from __future__ import annotations

import math
import os

import numpy as np
import pytest
from numba import config
from scipy import stats

from snstat.activation import ACTIVATIONS
from snstat.engine.inputs import DrawnInputs
from snstat.engine.kernels import orthogonal
from snstat.engine.kernels.random import READOUT, draw_rows
from snstat.engine.samplers import SAMPLERS
from snstat.engine.sampling import draw_biases, draw_weights, weight_scale
from snstat.engine.simulate import one_blas_thread
from snstat.propagation import propagate
from snstat.stack import INITIALISERS, Stack

# More trials for a longer look: SNSTAT_TRIALS=20000 make test-jit
TRIALS = int(os.environ.get("SNSTAT_TRIALS", "12" if config.DISABLE_JIT else "2000"))
ALARM = 1e-4


def gradients(name, stack, inputs, trials, seed, dtype="float32"):
    """Log mean square gradients over the last layer's: (trials, layers)."""
    sampler = SAMPLERS[name](stack, inputs, trials, seed, dtype, 1)
    with one_blas_thread():
        return np.array([sampler.gradient(t) for t in range(trials)])


def plain_gradient(stack, inputs, seed):
    """The same by numpy in float64, with all matrices at hand."""
    x = inputs.sample(0, seed, "float64")
    activation = ACTIVATIONS[stack.activation]
    weights, slopes = [], []
    for index in range(1, stack.depth + 1):
        weights.append(draw_weights(stack, index, seed=seed, dtype="float64"))
        z = weights[-1] @ x + draw_biases(stack, index, seed=seed, dtype="float64")[:, None]
        x, slope = activation(z), activation.derivative(z)
        slopes.append(slope)
    read_out = np.empty((1, stack.width))
    draw_rows(read_out, 0, False, 1.0, READOUT, stack.depth, 0, np.uint64(seed))
    h = slopes[-1] * read_out.T
    squares = [(h**2).mean()]
    for index in range(stack.depth - 1, -1, -1):
        h = weights[index].T @ h
        if index > 0:
            h *= slopes[index - 1]
        squares.append((h**2).mean())
    return np.log(squares[::-1]) - math.log(squares[0])


@pytest.mark.parametrize(
    ("activation", "init"),
    [(name, None) for name in ACTIVATIONS] + [("selu", name) for name in INITIALISERS],
)
def test_the_dense_pass_is_the_chain_rule(activation, init):
    stack = Stack.build(activation, 7, 12, init=init, bias_std=0.2, input_width=9)
    inputs = DrawnInputs("normal", 9, 5, 0.1, 1.0)
    got = gradients("dense", stack, inputs, 1, 4, "float64")[0]
    # Seven layers of float64 rounding.
    np.testing.assert_allclose(got, plain_gradient(stack, inputs, 4), atol=1e-11)


def test_orthogonal_matrices_and_their_transposes():
    keep_going = np.zeros(1, np.uint8)
    for fan_in, fan_out in ((40, 40), (70, 40), (40, 70), (1, 3)):
        stack = Stack.build(depth=1, width=fan_out, init="orthogonal", input_width=fan_in)
        weights = draw_weights(stack, 1, dtype="float64")
        out = np.zeros((fan_in, fan_out))
        scale = weight_scale(stack.layer(1))
        orthogonal.orthogonal_transposed(
            np.eye(fan_out), out, scale, 1, 0, np.uint64(0), keep_going
        )
        np.testing.assert_allclose(out, weights.T, atol=1e-13)


CASES = [
    (12, 4, "selu", "lecun_normal", None, 12),
    (12, 12, "tanh", "lecun_normal", 0.3, 12),
    (24, 7, "relu", "he_normal", 0.2, 17),
    (12, 4, "selu", "orthogonal", None, 12),
    (24, 6, "relu", "orthogonal", 0.2, 24),
]


@pytest.mark.slow
@pytest.mark.parametrize(("width", "batch", "activation", "init", "bias", "inputs"), CASES)
def test_both_samplers_draw_gradients_from_one_distribution(
    width, batch, activation, init, bias, inputs
):
    depth = 2 if config.DISABLE_JIT else 6
    stack = Stack.build(activation, depth, width, init=init, bias_std=bias, input_width=inputs)
    source = DrawnInputs("normal", inputs, batch, 0.2, 1.0)
    dense = gradients("dense", stack, source, TRIALS, 1)
    free = gradients("matrix-free", stack, source, TRIALS, 2)
    bound = stats.norm.isf(ALARM / (2 * depth) / 2)
    for layer in range(depth):
        a, b = dense[:, layer], free[:, layer]
        z = (a.mean() - b.mean()) / math.hypot(a.std(), b.std()) * math.sqrt(TRIALS)
        assert abs(z) < bound, (layer, "mean")
        squares = [(x - x.mean()) ** 2 for x in (a, b)]
        z = (squares[0].mean() - squares[1].mean()) / math.hypot(*(s.std() for s in squares))
        assert abs(z) * math.sqrt(TRIALS) < bound, (layer, "spread")
        assert stats.ks_2samp(a, b).pvalue > ALARM / depth, (layer, "law")


@pytest.mark.skipif(bool(config.DISABLE_JIT), reason="networks of 1024 units need compiled kernels")
@pytest.mark.parametrize("sampler", ["dense", "matrix-free"])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_gradients_follow_theory(activation, sampler):
    run = propagate(
        activation, 8, width=1024, batch=16, trials=6, seed=8, sampler=sampler, backward=True
    )
    column = run.gradient
    assert column.estimate[8] == 1.0
    assert column.theory[8] == 1.0
    # Six trials: Student's t. The bias of a logarithm is of order depth/width, 0.01.
    bound = stats.t.isf(1e-5, 5)
    error = np.abs(np.log(column.estimate[:8] / column.theory[:8]))
    assert (error < bound * column.stderr[:8] + 0.02).all()


def test_the_statistic_is_a_geometric_mean_with_z_in_logarithms():
    run = propagate("selu", 3, width=16, batch=4, trials=5, backward=True)
    logs = gradients(
        run.simulation.sampler,
        Stack.build("selu", 3, 16),
        DrawnInputs("normal", 16, 4, 0.0, 1.0),
        5,
        0,
    )
    layer = run.layers[0].gradient
    assert layer.estimate == pytest.approx(math.exp(logs[:, 0].mean()), rel=1e-12)
    assert layer.stderr == pytest.approx(logs[:, 0].std(ddof=1) / math.sqrt(5), rel=1e-12)
    assert layer.z == pytest.approx(math.log(layer.estimate / layer.theory) / layer.stderr)
    assert run.gradient.z[0] == pytest.approx(layer.z)
    with pytest.raises(AttributeError):
        _ = propagate("selu", 2, width=4, trials=2).gradient
