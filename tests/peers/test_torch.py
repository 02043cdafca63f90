"""snstat and PyTorch give the same statistics and gradients on the same weights and inputs.

`draws.draw_*` return the network that a run simulates. PyTorch runs it in the same precision, so
that both differ by rounding only.
"""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
import torch
from scipy import stats
from torch.nn import functional

import snstat
from snstat.activation import resolve
from snstat.engine.draws import draw_biases, draw_weights
from snstat.engine.kernels.random import READOUT, STANDARD, Draw, draw_rows
from snstat.engine.simulate import simulate
from snstat.experiment.inputs import DrawnInputs
from snstat.layers.initialisers import INITIALISERS
from snstat.network.stack import Stack
from snstat.results import STATISTICS
from tests.engine import oracle
from tests.peers.functions import TORCH

pytestmark = pytest.mark.peers

# relu_squared doubles the logarithm of the distance from its fixed point in each layer, so that the
# default gain gives activations of 1e135. This gain starts below the fixed point, and after a few
# layers the biases dominate.
GAINS = {"relu_squared": 0.7}
DEPTH, WIDTH, INPUT_WIDTH, BATCH, SEED = 8, 96, 60, 7, 3


def network(activation, init):
    """Return the stack that both libraries run."""
    return Stack.build(
        activation,
        DEPTH,
        WIDTH,
        init=init,
        weight_gain=GAINS.get(activation),
        bias_std=0.1,
        input_width=INPUT_WIDTH,
    )


def torch_statistics(stack, inputs, dtype):
    """Return statistics per layer of trial 0, computed by PyTorch and the definitions."""
    x = torch.from_numpy(inputs.sample(0, SEED, dtype).T.copy())
    results = [oracle.statistics(x.numpy(), math.nan)]
    for index in range(1, stack.depth + 1):
        weights = torch.from_numpy(draw_weights(stack, index, seed=SEED, dtype=dtype))
        biases = torch.from_numpy(draw_biases(stack, index, seed=SEED, dtype=dtype))
        z = functional.linear(x, weights, biases).requires_grad_()
        x = TORCH[stack.activation_of(index)](z)
        (slope,) = torch.autograd.grad(x.sum(), z)
        # A unit is not dead where PyTorch's derivative merely underflows or rounds to 0.
        dead = (slope == 0).all(dim=0).double().mean().item()
        x = x.detach()
        results.append(oracle.statistics(x.numpy(), dead))
    return results


def torch_log_gradient(stack, inputs, dtype):
    """Return log squared gradients of the outputs of layers 0..depth relative to the last, by
    autograd."""
    x = torch.from_numpy(inputs.sample(0, SEED, dtype).T.copy()).requires_grad_()
    nodes = [x]
    for index in range(1, stack.depth + 1):
        weights = torch.from_numpy(draw_weights(stack, index, seed=SEED, dtype=dtype))
        biases = torch.from_numpy(draw_biases(stack, index, seed=SEED, dtype=dtype))
        x = TORCH[stack.activation_of(index)](functional.linear(x, weights, biases))
        nodes.append(x)
    read_out = np.empty((stack.width_of(stack.depth), BATCH), dtype)
    draw_rows(read_out, 0, STANDARD, READOUT, Draw(np.uint64(SEED), 0, stack.depth))
    # Samples do not interact, so that the gradient of the sum is that of each sample.
    loss = (x * torch.from_numpy(read_out.T)).sum()
    squares = [
        g.double().square().sum(dim=1).mean().item() for g in torch.autograd.grad(loss, nodes)
    ]
    return np.log(squares) - math.log(squares[-1])


NETWORKS = pytest.mark.parametrize(
    ("activation", "init"),
    [(name, None) for name in TORCH] + [("selu", name) for name in INITIALISERS],
)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@NETWORKS
def test_gradients_equal_autograd(activation, init, dtype):
    stack = network(activation, init)
    inputs = DrawnInputs("normal", INPUT_WIDTH, BATCH, 0.1, 1.2)
    measured = simulate(
        stack, inputs, trials=1, seed=SEED, dtype=dtype, sampler="dense", backward=True
    )
    # A product of WIDTH terms (or as many reflectors) rounds by √WIDTH·eps of its size. DEPTH of
    # them in the forward pass shift slopes (φ'' is of order 1), and the backward pass adds
    # √(2·DEPTH) times as much. ln of a square doubles that, and PyTorch rounds too.
    tolerance = 4 * math.sqrt(2 * DEPTH * WIDTH) * np.finfo(dtype).eps
    expected = torch_log_gradient(stack, inputs, dtype)
    np.testing.assert_allclose(
        measured.log_gradient[0], expected, rtol=4 * np.finfo(dtype).eps, atol=tolerance
    )


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("init", ["he_normal", "glorot_uniform", "orthogonal", "torch_default"])
@pytest.mark.parametrize("activation", ["relu", "tanh", "gelu"])
def test_funnels_with_a_linear_read_out_equal_torch(activation, init, dtype):
    """Forward and backward, with the widths 60, 96, 96, 96, 30, 120 and 10."""
    stack = Stack.build(
        activation, widths="60,96*3,30,120,10", last="linear", init=init, bias_std=0.1
    )
    inputs = DrawnInputs("normal", INPUT_WIDTH, BATCH, 0.1, 1.2)
    measured = simulate(
        stack, inputs, trials=1, seed=SEED, dtype=dtype, sampler="dense", backward=True
    )
    # As for uniform stacks, with six layers of at most 120 terms.
    tolerance = 4 * math.sqrt(2 * 6 * 120) * np.finfo(dtype).eps
    expected = torch_log_gradient(stack, inputs, dtype)
    np.testing.assert_allclose(
        measured.log_gradient[0], expected, rtol=4 * np.finfo(dtype).eps, atol=tolerance
    )
    for values, theirs in zip(
        measured.estimate, torch_statistics(stack, inputs, dtype), strict=True
    ):
        for column, name in enumerate(STATISTICS):
            if name in theirs:
                np.testing.assert_allclose(
                    values[column], theirs[name], rtol=10 * tolerance, atol=tolerance, err_msg=name
                )


def backward_of_randn_like(width, depth, batch):
    """Return log squared gradients of a network built and measured in PyTorch alone."""
    x = torch.randn(batch, width, requires_grad=True)
    nodes = [x]
    for _ in range(depth):
        layer = torch.nn.Linear(width, width, bias=False)
        torch.nn.init.normal_(layer.weight, std=width**-0.5)
        x = functional.selu(layer(x))
        x.retain_grad()
        nodes.append(x)
    x.backward(torch.randn_like(x))
    squares = np.array([node.grad.square().sum().item() for node in nodes])
    return np.log(squares / squares[-1])


@pytest.mark.parametrize("sampler", ["dense", "matrix-free"])
def test_gradients_match_a_backward_pass_from_random_output_gradients(sampler):
    """Both samplers match y.backward(randn_like(y)) at a width where networks vary."""
    width, depth, batch, trials = 64, 16, 16, 600
    torch.manual_seed(0)
    theirs = np.array([backward_of_randn_like(width, depth, batch) for _ in range(trials)])
    inputs = DrawnInputs("normal", width, batch, 0.0, 1.0)
    stack = Stack.build("selu", depth, width)
    ours = simulate(
        stack, inputs, trials=trials, seed=SEED, dtype="float32", sampler=sampler, backward=True
    ).log_gradient
    difference = (ours.mean(axis=0) - theirs.mean(axis=0))[:-1]
    error = np.hypot(ours.std(axis=0), theirs.std(axis=0))[:-1] / math.sqrt(trials)
    # With 32 correlated comparisons one seed in 5,000 would fail. A read-out shared by all samples
    # would give 8% less at layer 0, five standard errors.
    assert (np.abs(difference) < 4.5 * error).all()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@NETWORKS
def test_statistics_equal_pytorch(activation, init, dtype):
    stack = network(activation, init)
    inputs = DrawnInputs("normal", INPUT_WIDTH, BATCH, 0.1, 1.2)
    measured = simulate(stack, inputs, trials=1, seed=SEED, dtype=dtype, sampler="dense")
    expected = torch_statistics(stack, inputs, dtype)
    # A product of `WIDTH` terms rounds by at most WIDTH·eps of its size. Errors pass through DEPTH
    # layers whose slopes average about 1. Averaging over thousands of values reduces them by far
    # more than the factor 4 that statistics of second order need.
    tolerance = 4 * WIDTH * np.finfo(dtype).eps
    if init == "orthogonal":
        # In one library WIDTH reflectors replace a product.
        tolerance *= 4
    for layer in range(DEPTH + 1):
        rms = math.sqrt(expected[layer]["second_moment"])
        deviation = math.sqrt(expected[layer]["variance"])
        for column, name in enumerate(STATISTICS):
            got, want = measured.estimate[layer, column], expected[layer][name]
            # Values have errors δ = tolerance·rms. A mean changes by δ, a variance v by 2 √v δ, and
            # a ratio to the deviation by δ/deviation of itself.
            scale = {
                "mean": rms,
                "second_moment": rms * rms,
                "cosine": 1.0,
                "kurtosis": abs(want) * rms / deviation,
                "dead_fraction": 0.0,
            }.get(name, math.sqrt(abs(want)) * rms)
            assert np.isnan(got) == np.isnan(want), (layer, name)
            assert np.isnan(want) or abs(got - want) <= tolerance * scale, (layer, name)


def test_derivatives_equal_autograd():
    x = torch.cat(
        [
            torch.linspace(-12, 12, 2001, dtype=torch.float64),
            torch.tensor([0.0, 1.0, -1.0, 3.0, -3.0, 6.0, 2.0, -2.0], dtype=torch.float64),
        ]
    )
    for name, function in TORCH.items():
        activation = resolve(name)
        z = x.clone().requires_grad_()
        (slope,) = torch.autograd.grad(function(z).sum(), z)
        # Expressions like 1 − tanh² keep absolute but not relative accuracy in the tails. In
        # gelu_tanh the error is multiplied by ½x·√(2/π)(1 + 0.134x²), which is 22 where tanh
        # reaches −1.
        atol = 25 * np.finfo(float).eps if name == "gelu_tanh" else 2e-15
        np.testing.assert_allclose(
            activation.derivative(x.numpy()), slope.numpy(), rtol=1e-12, atol=atol, err_msg=name
        )


@pytest.mark.parametrize(("fan_in", "fan_out"), [(17, 64), (64, 17), (40, 40)])
@pytest.mark.parametrize("gain", [1.0, 1.5])
def test_orthogonal_weights_match_torch(fan_in, fan_out, gain):
    """Compare Gram matrix, variance and fourth moment of the weights, and the output of a layer."""
    torch.manual_seed(0)
    theirs = torch.empty(fan_out, fan_in, dtype=torch.float64)
    torch.nn.init.orthogonal_(theirs, gain=gain)
    stack = Stack.build(
        depth=1, width=fan_out, init="orthogonal", weight_gain=gain, input_width=fan_in
    )
    ours = draw_weights(stack, 1, dtype="float64")
    x = np.random.default_rng(0).normal(size=(fan_in, 200))
    grams, seconds, fourths = [], [], []
    for weights in (ours, theirs.numpy()):
        grams.append(weights @ weights.T if fan_out < fan_in else weights.T @ weights)
        seconds.append(np.mean((weights @ x) ** 2) / np.mean(x**2))
        fourths.append(np.mean(weights**4) / np.mean(weights**2) ** 2)
    np.testing.assert_allclose(grams[0], grams[1], atol=1e-12)
    # A layer with more units is an isometry; with fewer, the share fluctuates by √(2/(3,400
    # values)).
    expected = gain**2 * fan_in / max(fan_in, fan_out)
    np.testing.assert_allclose(seconds, expected, rtol=1e-12 if fan_out >= fan_in else 0.1)
    # 3 (1 + O(1/n)), with a standard error of at most √(96/1088) = 0.3.
    assert abs(fourths[0] - fourths[1]) < 5 * 0.3 * math.sqrt(2)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_truncated_weights_match_torch(dtype):
    torch.manual_seed(0)
    theirs = torch.empty(300, 200, dtype=getattr(torch, dtype))
    torch.nn.init.trunc_normal_(theirs, std=0.02, a=-0.04, b=0.04)
    stack = Stack.build(
        depth=1, width=300, init="lecun_truncated", weight_std=0.02, input_width=200
    )
    ours = draw_weights(stack, 1, dtype=dtype)
    assert stats.ks_2samp(ours.ravel(), theirs.numpy().ravel()).pvalue > 1e-5
    # Mean squares of 60,000 values with excess kurtosis −0.63 each.
    ratio = np.mean(ours.astype(float) ** 2) / theirs.double().square().mean().item()
    assert abs(ratio - 1) < 5 * math.sqrt(2 * 1.37 / 60_000)


def test_torch_default_matches_torch_linear():
    """Weights and biases have the range and variance of those of torch.nn.Linear."""
    torch.manual_seed(0)
    linear = torch.nn.Linear(50, 4000)
    stack = Stack.build(depth=1, width=4000, init="torch_default", input_width=50)
    ours = {"weight": draw_weights(stack, 1), "bias": draw_biases(stack, 1)}
    for name, values in ours.items():
        theirs = getattr(linear, name).detach().numpy()
        bound = 1 / math.sqrt(50)
        for sample in (theirs, values):
            assert np.abs(sample).max() <= bound
            # For uniform values the mean square is bound²/3, with relative standard error
            # √(4/5)/√n.
            z = ((sample.astype(float) ** 2).mean() * 3 / bound**2 - 1) * math.sqrt(
                sample.size / 0.8
            )
            assert abs(z) < 5


@pytest.mark.parametrize(
    "dtype",
    [
        "float16",
        "bfloat16",
        "float32",
        "float64",
        "float8_e4m3fn",
        "int8",
        "uint8",
        "int64",
        "bool",
    ],
)
def test_tensors_of_any_real_type_are_accepted(dtype):
    values = torch.randn(6, 4).to(getattr(torch, dtype))
    run = snstat.propagate("selu", 1, width=4, trials=2, inputs=values, dtype="float64")
    assert run.mean.estimate[0] == pytest.approx(float(values.double().mean()), rel=1e-12)


def test_unusual_tensors_are_accepted_or_refused():
    leaf = torch.randn(6, 4, requires_grad=True)
    for values in (leaf, leaf * 2, leaf.t().contiguous().t(), leaf.to_sparse(), list(leaf)):
        run = snstat.propagate("selu", 1, width=4, trials=2, inputs=values)
        assert np.isfinite(run.mean.estimate[0])
    values = torch.randn(6, 4)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PyTorch calls them a prototype
        jagged = torch.nested.nested_tensor([values[0], values[1, :2]], layout=torch.jagged)
    for odd, remedy in (
        (values.to("meta"), "that holds numbers"),
        (values + 1j, "real part"),
        (jagged, "to_padded_tensor"),
        ("x.pt", "no such file"),
    ):
        with pytest.raises(snstat.errors.SnstatError, match=remedy):
            snstat.propagate("selu", 1, width=4, trials=2, inputs=odd)


def test_quantised_tensors_are_the_numbers_they_stand_for():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PyTorch announces another package for them
        values = torch.quantize_per_tensor(torch.randn(6, 4), 0.1, 3, torch.qint8)
    run = snstat.propagate("selu", 1, width=4, trials=2, inputs=values, dtype=torch.float64)
    assert run.simulation.dtype == "float64"
    mean = float(values.dequantize().double().mean())
    assert run.mean.estimate[0] == pytest.approx(mean, rel=1e-12)
