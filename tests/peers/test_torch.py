"""The same weights and inputs in snstat and in PyTorch give the same statistics and gradients.

`sampling.draw_*` hand out the very network that a run simulates; PyTorch runs it in the same
precision, and the two differ by rounding only.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy import stats
from torch.nn import functional

import snstat
from snstat.activation import resolve
from snstat.engine.kernels.random import READOUT, draw_rows
from snstat.engine.sampling import draw_biases, draw_weights
from snstat.engine.simulate import simulate
from snstat.experiment.inputs import DrawnInputs
from snstat.network.initialisers import INITIALISERS
from snstat.network.stack import Stack
from snstat.results import STATISTICS
from tests.engine import oracle

pytestmark = pytest.mark.peers

TORCH = {
    "selu": functional.selu,
    "relu": functional.relu,
    "leaky_relu": functional.leaky_relu,
    "elu": functional.elu,
    "gelu": functional.gelu,
    "silu": functional.silu,
    "tanh": torch.tanh,
    "sigmoid": torch.sigmoid,
    "softplus": functional.softplus,
    "erf": torch.erf,
    "hard_tanh": functional.hardtanh,
    "identity": torch.nn.Identity(),
    "mish": functional.mish,
    "gelu_tanh": lambda x: functional.gelu(x, approximate="tanh"),
    "softsign": functional.softsign,
    "relu6": functional.relu6,
    # hardsigmoid itself has the derivative 1/6 of single precision in double precision too.
    "hard_sigmoid": lambda x: (
        functional.relu6(x + 3) / 6 if x.dtype == torch.float64 else functional.hardsigmoid(x)
    ),
    "hard_swish": functional.hardswish,
    "relu_squared": lambda x: functional.relu(x) ** 2,
    "sine": torch.sin,
    "leaky_relu:0.2": lambda x: functional.leaky_relu(x, 0.2),
    "silu:4": lambda x: x * torch.sigmoid(4 * x),
    "sine:30": lambda x: torch.sin(30 * x),
    "elu:0.5": lambda x: functional.elu(x, 0.5),
    "softplus:0.5": lambda x: functional.softplus(x, beta=0.5, threshold=100),
    "hard_tanh:2": lambda x: functional.hardtanh(x, -2.0, 2.0),
}
# A square doubles the logarithm of what differs from its fixed point: activations of 1e135 with the
# default gain. This one begins below that point, and after a few layers the biases are the signal.
GAINS = {"relu_squared": 0.7}
DEPTH, WIDTH, INPUT_WIDTH, BATCH, SEED = 8, 96, 60, 7, 3


def network(activation, init):
    """Return the stack that both sides run."""
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
    """Per-layer statistics of trial 0, computed by PyTorch and the definitions."""
    x = torch.from_numpy(inputs.sample(0, SEED, dtype).T.copy())
    results = [oracle.statistics(x.numpy(), math.nan)]
    for index in range(1, stack.depth + 1):
        weights = torch.from_numpy(draw_weights(stack, index, seed=SEED, dtype=dtype))
        biases = torch.from_numpy(draw_biases(stack, index, seed=SEED, dtype=dtype))
        z = functional.linear(x, weights, biases).requires_grad_()
        x = TORCH[stack.activation_of(index)](z)
        (slope,) = torch.autograd.grad(x.sum(), z)
        # Where PyTorch's own derivative underflows or rounds to 0 there is no dead unit yet.
        dead = (slope == 0).all(dim=0).double().mean().item()
        x = x.detach()
        results.append(oracle.statistics(x.numpy(), dead))
    return results


def torch_log_gradient(stack, inputs, dtype):
    """Log squared gradients of the outputs of layers 0..depth over the last's, by autograd."""
    x = torch.from_numpy(inputs.sample(0, SEED, dtype).T.copy()).requires_grad_()
    nodes = [x]
    for index in range(1, stack.depth + 1):
        weights = torch.from_numpy(draw_weights(stack, index, seed=SEED, dtype=dtype))
        biases = torch.from_numpy(draw_biases(stack, index, seed=SEED, dtype=dtype))
        x = TORCH[stack.activation_of(index)](functional.linear(x, weights, biases))
        nodes.append(x)
    read_out = np.empty((stack.width_of(stack.depth), BATCH), dtype)
    draw_rows(read_out, 0, False, 1.0, READOUT, stack.depth, 0, np.uint64(SEED))
    # Samples do not meet, so the gradient of the sum is that of each.
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
    # A product of WIDTH terms (or as many reflectors) rounds by √WIDTH·eps of its size, and DEPTH
    # of them there, which move slopes (φ'' is of order 1), and back by √(2·DEPTH) as much. ln of
    # a square doubles that, and the other side rounds too.
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
    # As above, with six layers of at most 120 terms.
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
    """Log squared gradients of one network made by PyTorch alone, as its users measure them."""
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
def test_gradients_are_those_of_a_backward_pass_from_random_numbers(sampler):
    """Both samplers, at a width where nothing averages out, against y.backward(randn_like(y))."""
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
    # 32 correlated comparisons in all: one in 5,000 seeds would fail. One read-out for all samples
    # is 8% less at layer 0, five standard errors.
    assert (np.abs(difference) < 4.5 * error).all()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@NETWORKS
def test_statistics_equal_pytorch(activation, init, dtype):
    stack = network(activation, init)
    inputs = DrawnInputs("normal", INPUT_WIDTH, BATCH, 0.1, 1.2)
    measured = simulate(stack, inputs, trials=1, seed=SEED, dtype=dtype, sampler="dense")
    expected = torch_statistics(stack, inputs, dtype)
    # A product of `WIDTH` terms rounds by up to WIDTH·eps of its size, and errors pass through
    # DEPTH layers whose slopes average about 1; averages over thousands of values gain back far
    # more than the factor 4 allows for statistics of second order.
    tolerance = 4 * WIDTH * np.finfo(dtype).eps
    if init == "orthogonal":
        # WIDTH reflectors stand in for one product on the other side.
        tolerance *= 4
    for layer in range(DEPTH + 1):
        rms = math.sqrt(expected[layer]["second_moment"])
        deviation = math.sqrt(expected[layer]["variance"])
        for column, name in enumerate(STATISTICS):
            got, want = measured.estimate[layer, column], expected[layer][name]
            # Values carry errors δ = tolerance·rms. A mean moves by δ, a variance v by 2 √v δ, a
            # ratio to the deviation by δ/deviation of itself.
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
        # 1 − tanh² and its like lose absolute, not relative, precision in the tails. That of
        # gelu_tanh is multiplied by ½x·√(2/π)(1 + 0.134x²), which is 22 where tanh reaches −1.
        atol = 25 * np.finfo(float).eps if name == "gelu_tanh" else 2e-15
        np.testing.assert_allclose(
            activation.derivative(x.numpy()), slope.numpy(), rtol=1e-12, atol=atol, err_msg=name
        )


@pytest.mark.parametrize(("fan_in", "fan_out"), [(17, 64), (64, 17), (40, 40)])
@pytest.mark.parametrize("gain", [1.0, 1.5])
def test_orthogonal_is_what_torch_draws(fan_in, fan_out, gain):
    """Gram matrix, variance and fourth moment of the weights, and what a layer makes of inputs."""
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
    # Isometries onto more units; onto fewer, a share that fluctuates by √(2/(3,400 values)).
    expected = gain**2 * fan_in / max(fan_in, fan_out)
    np.testing.assert_allclose(seconds, expected, rtol=1e-12 if fan_out >= fan_in else 0.1)
    # 3 (1 + O(1/n)), with standard error √(96/1088) = 0.3 or less.
    assert abs(fourths[0] - fourths[1]) < 5 * 0.3 * math.sqrt(2)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_truncated_weights_are_what_torch_draws_between_two_deviations(dtype):
    torch.manual_seed(0)
    theirs = torch.empty(300, 200, dtype=getattr(torch, dtype))
    torch.nn.init.trunc_normal_(theirs, std=0.02, a=-0.04, b=0.04)
    stack = Stack.build(
        depth=1, width=300, init="lecun_truncated", weight_std=0.02, input_width=200
    )
    ours = draw_weights(stack, 1, dtype=dtype)
    assert stats.ks_2samp(ours.ravel(), theirs.numpy().ravel()).pvalue > 1e-5
    # Mean squares of 60,000 values of excess kurtosis −0.63 each.
    ratio = np.mean(ours.astype(float) ** 2) / theirs.double().square().mean().item()
    assert abs(ratio - 1) < 5 * math.sqrt(2 * 1.37 / 60_000)


def test_torch_default_is_what_torch_linear_draws():
    """Edges and variance of weights and biases of torch.nn.Linear are those of `torch_default`."""
    torch.manual_seed(0)
    linear = torch.nn.Linear(50, 4000)
    stack = Stack.build(depth=1, width=4000, init="torch_default", input_width=50)
    ours = {"weight": draw_weights(stack, 1), "bias": draw_biases(stack, 1)}
    for name, values in ours.items():
        theirs = getattr(linear, name).detach().numpy()
        bound = 1 / math.sqrt(50)
        for sample in (theirs, values):
            assert np.abs(sample).max() <= bound
            # Uniform: the mean square is bound²/3, with relative standard error √(4/5)/√n.
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
def test_tensors_of_any_real_type_are_data(dtype):
    values = torch.randn(6, 4).to(getattr(torch, dtype))
    run = snstat.propagate("selu", 1, width=4, trials=2, inputs=values, dtype="float64")
    assert run.mean.estimate[0] == pytest.approx(float(values.double().mean()), rel=1e-12)


def test_tensors_of_other_kinds_are_data_or_say_why():
    leaf = torch.randn(6, 4, requires_grad=True)
    for values in (leaf, leaf * 2, leaf.t().contiguous().t(), leaf.to_sparse(), list(leaf)):
        run = snstat.propagate("selu", 1, width=4, trials=2, inputs=values)
        assert np.isfinite(run.mean.estimate[0])
    for values in (torch.randn(6, 4, device="meta"), torch.randn(6, 4) + 1j, "x.pt"):
        with pytest.raises(snstat.errors.SnstatError):
            snstat.propagate("selu", 1, width=4, trials=2, inputs=values)
