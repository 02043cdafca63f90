"""Theory of stacks whose layers differ, against a plain loop over layers and simulated networks."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numba import config

from snstat.activation import ACTIVATIONS
from snstat.engine.simulate import one_blas_thread, simulate
from snstat.engine.strategies import STRATEGIES
from snstat.experiment.inputs import DrawnInputs
from snstat.network.stack import Stack
from snstat.results import MEASURED, STATISTICS
from snstat.theory.finite_width import finite_width
from snstat.theory.outlook import outlook
from snstat.theory.predict import predict

NODES = np.linspace(-12.0, 12.0, 4801)
WEIGHT = np.exp(-0.5 * NODES**2) / np.exp(-0.5 * NODES**2).sum()


def mean_of(function, q, power=1):
    """E[f(√q z)^power] by the trapezoidal rule, which is accurate for a Gaussian weight."""
    return float(WEIGHT @ function(math.sqrt(q) * NODES) ** power)


def pair_mean(function, q, c):
    """E[f(z₁)f(z₂)] for correlation c, by the same rule in both variables."""
    first = math.sqrt(q) * NODES[::8]
    second = c * first[:, None] + math.sqrt(q * (1.0 - c * c)) * NODES[None, ::8]
    weight = WEIGHT[::8] / WEIGHT[::8].sum()
    return float(weight @ (function(first) * (function(second) @ weight)))


def theory(stack, batch=4):
    inputs = DrawnInputs("normal", stack.input_width, batch, 0.3, 1.2)
    moments = inputs.moments()
    return inputs, moments, predict(stack, batch, moments)


STACKS = [
    {"activation": "tanh", "widths": "40,60*2,25,8", "last": "linear"},
    {"activation": "relu", "widths": "50,300,60*2,9", "init": "glorot_normal", "last": "linear"},
    {"activation": "selu", "widths": "30,60,20,90", "init": "torch_default"},
    {"activation": "tanh", "depth": 4, "width": 50, "last": "sigmoid", "bias_std": 0.4},
]


@pytest.mark.parametrize("options", STACKS, ids=lambda o: o.get("widths", "uniform"))
def test_each_layer_follows_from_the_one_before(options):
    stack = Stack.build(**options)
    _, moments, found = theory(stack)
    second, product = moments.second_moment, moments.mean**2
    gradient = []
    for number in range(1, stack.depth + 1):
        layer = stack.layer(number)
        phi = ACTIVATIONS[layer.activation]
        q = layer.square_gain * second + layer.bias_std**2
        c = (layer.square_gain * product + layer.bias_std**2) / q
        second, mean = mean_of(phi.function, q, 2), mean_of(phi.function, q)
        product = pair_mean(phi.function, q, c)
        gradient.append(mean_of(phi.derivative, q, 2))
        # Grids of 4,801 and 601 points; kinks and jumps of φ and φ' limit the accuracy.
        expected = {
            "second_moment": second, "mean": mean, "variance": second - mean**2,
            "cosine": product / second,
        }  # fmt: skip
        for name, value in expected.items():
            assert found.statistics[name][number] == pytest.approx(value, abs=2e-4), (name, number)
        assert found.growth[number] == pytest.approx(layer.square_gain * gradient[-1], rel=2e-3)
    # Squared gradients of layer outputs: each layer multiplies them by its own G² E[φ'²].
    factors = [layer.square_gain * d for layer, d in zip(stack.layers(), gradient, strict=True)]
    logs = np.append(np.cumsum(np.log(factors[::-1]))[::-1], 0.0)
    np.testing.assert_allclose(found.log_gradient, logs, atol=2e-3 * stack.depth)


@pytest.mark.skipif(bool(config.DISABLE_JIT), reason="thousands of networks need compiled kernels")
@pytest.mark.parametrize("options", STACKS, ids=lambda o: o.get("widths", "uniform"))
def test_the_mean_over_networks_matches_first_order_theory(options):
    """4,000 networks: estimates lie within 4.5 standard errors of theory and its neglected part.

    That is exceeded once in 150,000 for each of about eighty estimates.
    """
    stack = Stack.build(**options)
    inputs, moments, prediction = theory(stack)
    found = finite_width(stack, inputs.batch, moments, prediction)
    measured = simulate(stack, inputs, trials=4000, seed=3, dtype="float32")
    compared = 0
    for column, name in enumerate(STATISTICS):
        expected, neglected = found.expected[name][1:], found.residual[name][1:]
        estimate, stderr = measured.estimate[1:, column], measured.stderr[1:, column]
        known = np.isfinite(expected)
        # The dead fraction of activations without flat parts is exactly 0, without error.
        known &= (stderr > 0) | (estimate != expected)
        excess = (np.abs(estimate - expected) - neglected)[known] / stderr[known]
        assert (excess < 4.5).all(), (name, excess)
        compared += int(known.sum())
    assert compared >= 6 * stack.depth


@pytest.mark.skipif(bool(config.DISABLE_JIT), reason="a thousand networks need compiled kernels")
@pytest.mark.parametrize("options", STACKS, ids=lambda o: o.get("widths", "uniform"))
def test_the_mean_log_gradient_over_networks_matches_first_order_theory(options):
    """The mean logarithm over a thousand networks, where theory is known."""
    stack = Stack.build(**options)
    inputs, moments, prediction = theory(stack)
    found = finite_width(stack, inputs.batch, moments, prediction, backward=True)
    measured = simulate(stack, inputs, trials=1000, seed=3, dtype="float32", backward=True)
    logs = measured.log_gradient[:, :-1]
    expected, neglected = found.log_gradient[:-1], found.log_gradient_residual[:-1]
    known = np.isfinite(expected)
    assert known[-1]
    error = logs.std(axis=0, ddof=1) / math.sqrt(len(logs))
    excess = (np.abs(logs.mean(axis=0) - expected) - neglected)[known] / error[known]
    assert (excess < 4.5).all(), excess
    # A thousand networks distinguish it from infinite width.
    z = (logs.mean(axis=0) - prediction.log_gradient[:-1]) / error
    assert np.abs(z).max() > 2.5


@pytest.mark.skipif(bool(config.DISABLE_JIT), reason="thousands of networks need compiled kernels")
@pytest.mark.parametrize(
    "options", [STACKS[0], STACKS[1] | {"widths": "200,300,120*2,60"}], ids=str
)
def test_the_variance_between_networks_follows_from_the_widths(options):
    """The log second moment of one sample.

    A sample variance of 4,000 values has a relative error of √(2/4000), and the second order is a
    share of the variance itself.
    """
    stack = Stack.build(**options)
    inputs = DrawnInputs("normal", stack.input_width, 1, 0.0, 1.0)
    moments = inputs.moments()
    found = finite_width(stack, 1, moments, predict(stack, 1, moments)).fluctuation
    logs = []
    network = STRATEGIES["matrix-free"].sampler(stack, inputs, 4000, 9, "float32", 1)
    values, finite = np.empty((stack.depth + 1, len(MEASURED))), np.empty(stack.depth, np.bool_)
    with one_blas_thread():
        for trial in range(4000):
            network.begin(trial, values[0])
            network.advance(range(trial, trial + 1), 1, values[1:][None], finite[None])
            logs.append(np.log(values[1:, STATISTICS.index("second_moment")]))
    spread = np.var(logs, axis=0, ddof=1)
    expected = found[1:] ** 2
    tolerance = 4.5 * math.sqrt(2.0 / 4000) + 3.0 * expected
    assert (np.abs(spread / expected - 1.0) < tolerance).all(), spread / expected


def test_the_outlook_describes_the_hidden_layers():
    funnel = Stack.build("selu", widths="50,40*30,10", last="linear")
    _, _, prediction = theory(funnel)
    found = outlook(funnel, prediction)
    uniform = Stack.build("selu", 30, 40)
    _, _, plain = theory(uniform)
    assert found.kind == "converges"
    assert found.mean == pytest.approx(0.0, abs=1e-12)
    assert found.rate == outlook(uniform, plain).rate


def test_theory_settles_and_does_not_depend_on_depth():
    deep = Stack.build("selu", widths="9,7*1000000,3", last="linear")
    _, _, found = theory(deep)
    near = Stack.build("selu", widths="9,7*3000,3", last="linear")
    _, _, short = theory(near)
    for name in STATISTICS:
        np.testing.assert_array_equal(found.statistics[name][:3000], short.statistics[name][:3000])
        np.testing.assert_array_equal(found.statistics[name][-1], short.statistics[name][-1])
