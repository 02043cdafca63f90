"""First order in 1/width of ratios and of statistics that compare samples.

Variance over the batch, cosine, kurtosis and dead fraction are compared with networks simulated in
plain numpy.
"""

from __future__ import annotations

import math
import os

import numpy as np
import pytest
from scipy import stats
from threadpoolctl import threadpool_limits

from snstat.activation import ACTIVATIONS
from snstat.experiment.inputs import DrawnInputs
from snstat.network.stack import Stack
from snstat.theory.finite_width import finite_width
from snstat.theory.predict import predict

# The full number of trials: SNSTAT_TRIALS=10000
SCALE = max(int(os.environ.get("SNSTAT_TRIALS", "2000")) // 2000, 1)
NAMES = ("variance_over_batch", "cosine", "kurtosis", "dead_fraction")
# Correct theory fails one of some 500 comparisons in 1 of 2,000 runs of this file.
ALARM = stats.norm.isf(1e-6 / 2)


@pytest.fixture(autouse=True)
def one_thread():
    """Small products are not faster with threads."""
    with threadpool_limits(1):
        yield


def orthogonal(generator, count, rows, columns):
    """Haar-distributed matrices, (count, rows, columns), with orthonormal rows or columns."""
    size = max(rows, columns)
    q, r = np.linalg.qr(generator.standard_normal((count, size, size)))
    q *= np.sign(np.diagonal(r, axis1=1, axis2=2))[:, None, :]
    return q[:, :rows, :columns]


def weights(layer, count, generator):
    """Weights (count, fan_out, fan_in) and biases (count, fan_out, 1) of a layer."""
    shape = count, layer.fan_out, layer.fan_in
    std = math.sqrt(layer.square_gain / layer.fan_in)
    if layer.distribution == "normal":
        matrix = std * generator.standard_normal(shape)
    elif layer.distribution == "uniform":
        matrix = std * math.sqrt(3.0) * generator.uniform(-1.0, 1.0, shape)
    else:
        larger = max(layer.fan_in, layer.fan_out)
        matrix = std * math.sqrt(larger) * orthogonal(generator, *shape)
    shape = count, layer.fan_out, 1
    if layer.bias_distribution == "uniform":
        return matrix, layer.bias_std * math.sqrt(3.0) * generator.uniform(-1.0, 1.0, shape)
    return matrix, layer.bias_std * generator.standard_normal(shape)


def measure(x, dead):
    """Return the statistics (count, 4) of activations (count, units, batch)."""
    over_batch = x.var(axis=2).mean(axis=1)
    unit = x / np.sqrt((x * x).sum(axis=1, keepdims=True))
    batch = x.shape[2]
    cosine = ((unit.sum(axis=2) ** 2).sum(axis=1) - batch) / (batch * (batch - 1.0))
    centred = x - x.mean(axis=(1, 2), keepdims=True)
    square = centred * centred
    fourth, second = (square * square).mean(axis=(1, 2)), square.mean(axis=(1, 2))
    return np.stack([over_batch, cosine, fourth / second**2, dead], axis=1)


def simulated(stack, inputs, count, generator):
    """Return the statistics of layers 1 to the last, (count, depth, 4)."""
    shape = count, stack.input_width, inputs.batch
    x = generator.standard_normal(shape)
    if inputs.label == "uniform":
        x = math.sqrt(3.0) * generator.uniform(-1.0, 1.0, shape)
    x = inputs.mean + inputs.std * x
    found = []
    for layer in stack.layers():
        matrix, bias = weights(layer, count, generator)
        z = matrix @ x + bias
        activation = ACTIVATIONS[layer.activation]
        x = activation.function(z)
        dead = (activation.derivative(z) == 0).all(axis=2).mean(axis=1)
        found.append(measure(x, dead))
    return np.stack(found, axis=1)


def gaussian(stack, inputs, count, generator):
    """Return the last layer's statistics, (count, 4), sampled through Gram matrices.

    Gaussian weights affect the statistics only through the Gram matrices.
    """
    x = generator.standard_normal((count, stack.input_width, inputs.batch))
    for layer in stack.layers():
        gram = layer.square_gain / layer.fan_in * x.transpose(0, 2, 1) @ x + layer.bias_std**2
        # Samples may be equal up to rounding.
        gram += 1e-9 * np.trace(gram, axis1=1, axis2=2)[:, None, None] * np.eye(inputs.batch)
        root = np.linalg.cholesky(gram)
        z = generator.standard_normal((count, layer.fan_out, inputs.batch))
        z = z @ root.transpose(0, 2, 1)
        x = ACTIVATIONS[layer.activation].function(z)
    dead = (ACTIVATIONS[layer.activation].derivative(z) == 0).all(axis=2).mean(axis=1)
    return measure(x, dead)


def theories(stack, inputs):
    moments = inputs.moments()
    prediction = predict(stack, inputs.batch, moments)
    return prediction.statistics, finite_width(stack, inputs.batch, moments, prediction)


def summary(chunks):
    """Return means and standard errors of arrays (count, …)."""
    values = np.concatenate(chunks)
    return values.mean(axis=0), values.std(axis=0, ddof=1) / math.sqrt(len(values))


CASES = [
    ("selu", {}),
    ("selu", {"init": "lecun_uniform", "bias_std": 0.4, "mean": 0.5, "label": "uniform"}),
    ("relu", {"width": 80}),
    ("relu", {"init": "orthogonal", "input_width": 50, "width": 80}),
    ("tanh", {"init": "orthogonal", "weight_gain": 1.5, "bias_std": 0.3}),
    ("tanh", {"init": "torch_default", "weight_gain": 1.3}),
    ("hard_tanh", {"init": "lecun_uniform", "weight_gain": 1.6, "bias_std": 0.3}),
    ("softplus", {"init": "glorot_uniform", "mean": 0.7}),
]


def check(activation, options, batch, trials):
    options = {"width": 40} | options
    width = options.pop("width")
    label, mean = options.pop("label", "normal"), options.pop("mean", 0.0)
    stack = Stack.build(activation, 3, width, **options)
    inputs = DrawnInputs(label, stack.input_width, batch, mean, 1.0)
    theory, found = theories(stack, inputs)
    generator = np.random.default_rng([width, batch, len(options)])
    chunk = 250
    estimate, stderr = summary(
        [simulated(stack, inputs, chunk, generator) for _ in range(trials // chunk)]
    )
    plain = 0.0
    for column, name in enumerate(NAMES):
        expected, residual = found.expected[name][1:], found.residual[name][1:]
        known = np.isfinite(expected)
        # First order does not cover the kurtosis of narrow networks.
        assert known.all() or name == "kurtosis", name
        distance = np.where(known, np.abs(estimate[:, column] - expected), 0.0)
        expected = np.where(known, expected, theory[name][1:])
        residual = np.where(known, residual, 0.0)
        chance = ALARM * stderr[:, column] + 1e-6
        assert (distance < chance + residual).all(), (name, estimate[:, column], expected)
        # The test has enough power: errors are mostly no larger than chance.
        assert (
            distance < chance + 0.5 * np.abs(expected - theory[name][1:]) + 0.2 * residual
        ).all()
        far = np.abs(estimate[:, column] - theory[name][1:])
        plain = max(plain, float((far / np.maximum(stderr[:, column], 1e-12)).max()))
    return plain


@pytest.mark.parametrize(("activation", "options"), CASES)
def test_the_mean_over_networks_matches_first_order_theory(activation, options):
    apart = check(activation, options, 4, 1500 * SCALE)
    # Infinite width would not pass: in most cases with these trials, in all cases with more.
    assert apart > 6.0 or options


@pytest.mark.parametrize("activation", ["selu", "relu"])
def test_large_batches_match_first_order_theory(activation):
    check(activation, {"width": 80}, 24, 750 * SCALE)


# Statistics whose second order is large enough to be seen.
SHOWN: dict[str, list[str]] = {"selu": ["kurtosis"], "hard_tanh": []}


@pytest.mark.parametrize("activation", SHOWN)
def test_the_remaining_error_falls_as_one_over_width_squared(activation, monkeypatch):
    for module in ("fluctuations", "gram"):
        monkeypatch.setattr(f"snstat.theory.{module}.LARGEST_VARIANCE", math.inf)
    for module in ("ratios", "dead_fluctuations"):
        monkeypatch.setattr(f"snstat.theory.{module}.LARGEST_SHIFT", math.inf)
    rests, sigmas, shifts = [], [], []
    for width in (16, 32):
        stack = Stack.build(activation, 3, width)
        inputs = DrawnInputs("normal", width, 3, 0.0, 1.0)
        theory, found = theories(stack, inputs)
        generator = np.random.default_rng(width)
        estimate, stderr = summary(
            [gaussian(stack, inputs, 10_000, generator) for _ in range(6 * SCALE * width // 16)]
        )
        expected = np.array([found.expected[name][-1] for name in NAMES])
        shifts.append(expected - [theory[name][-1] for name in NAMES])
        rests.append(estimate - expected)
        sigmas.append(stderr)
    for column, name in enumerate(NAMES):
        (narrow, wide), (first, second) = np.array(rests)[:, column], np.array(sigmas)[:, column]
        # The error falls to a quarter, up to a third order in 1/width of at most half the second,
        # and is small compared with the first order.
        chance = ALARM * math.hypot(first / 4.0, second)
        assert abs(wide - narrow / 4.0) <= chance + abs(narrow) / 8.0, name
        assert abs(wide) <= chance + 0.25 * abs(shifts[1][column]), name
        if name in SHOWN[activation]:
            assert abs(narrow) > 2.0 * ALARM * first, name


def test_a_rotation_before_a_layer_changes_nothing():
    """Normal inputs of mean 0 are as normal behind orthogonal weights, and as long."""
    found, inputs = [], DrawnInputs("normal", 24, 4, 0.0, 1.0).moments()
    for depth in (1, 2):
        stack = Stack.build("identity", depth, 24, last="gelu", init="orthogonal", weight_gain=1.0)
        theory = finite_width(stack, 4, inputs, predict(stack, 4, inputs))
        found.append([(own["cosine"][-1], own["second_moment"][-1])
                      for own in (theory.expected, theory.residual)])  # fmt: skip
    (expected, residual), rotated = found
    np.testing.assert_allclose(rotated, (expected, residual), rtol=1e-9)
    assert min(residual) > 1e-3
