"""First-order theory: its expectations match quadrature, its recursions match known cases."""

from __future__ import annotations

import math
import sys
from dataclasses import replace

import numpy as np
import pytest

import snstat
from snstat.activation import ACTIVATIONS
from snstat.experiment.data import DataInputs
from snstat.experiment.inputs import DrawnInputs
from snstat.experiment.propagate import propagate
from snstat.gaussian.pair_moments import PairTable, pair_nodes
from snstat.gaussian.pairs import pair_gap, pair_slope
from snstat.gaussian.sample_moments import one_sample
from snstat.network.stack import Stack
from snstat.results import STATISTICS
from snstat.theory.finite_width import finite_width
from snstat.theory.finite_width_data import _drawn
from snstat.theory.fluctuations import Fluctuations
from snstat.theory.predict import predict

NODES, NODE_WEIGHTS = np.polynomial.legendre.leggauss(24)


def average(function, q, kinks=()):
    """E[f(√q z)], q ≤ 30, exact up to rounding, also with jumps.

    Gauss–Legendre rules of 24 nodes are used on panels of at most 0.25 that end at the kinks.
    """
    grid = np.linspace(-12.0, 12.0, 97)
    edges = np.unique(np.concatenate([grid, np.array(kinks) / math.sqrt(q)]).clip(-12.0, 12.0))
    half, centre = np.diff(edges)[:, None] / 2.0, (edges[1:] + edges[:-1])[:, None] / 2.0
    z = centre + half * NODES
    weight = half * NODE_WEIGHTS * np.exp(-0.5 * z * z) / math.sqrt(2.0 * math.pi)
    return float((weight * function(math.sqrt(q) * z)).sum())


def theory(stack, batch=8, *, source=None, backward=True):
    inputs = source or DrawnInputs("normal", stack.input_width, batch, 0.0, 1.0)
    moments = inputs.moments()
    prediction = predict(stack, inputs.batch, moments)
    return prediction, finite_width(stack, inputs.batch, moments, prediction, backward=backward)


@pytest.mark.parametrize("name", ACTIVATIONS)
@pytest.mark.parametrize("q", [0.04, 1.0, 9.0])
def test_derivatives_match_those_of_the_expectations(name, q):
    activation = ACTIVATIONS[name]
    forward, backward = one_sample(activation, q, backward=True)

    def square(x):
        return activation(x) ** 2

    def slope(x):
        return activation.derivative(x) ** 2

    step, kinks = 0.02, activation.kinks
    size = average(square, q, kinks)
    for function, found, scale in (
        (square, forward.square, size),
        (activation, forward.mean, 1.0),
        (slope, backward.log_slope, 1.0),
    ):
        values = [average(function, q * (1.0 + k * step), kinks) for k in (-1.0, 0.0, 1.0)]
        if function is slope:
            values = [math.log(value) for value in values]
        first = (values[2] - values[0]) / (2.0 * step) / scale
        second = (values[2] - 2.0 * values[1] + values[0]) / step**2 / scale
        # Differences of second order in the step, of expectations accurate to about 1e-15.
        assert found.slope == pytest.approx(first, abs=2e-3)
        assert found.curvature == pytest.approx(second, abs=5e-3)
    assert forward.rms**2 == pytest.approx(size, rel=1e-6)
    fourth = average(lambda x: activation(x) ** 4, q, kinks)
    assert forward.fourth == pytest.approx(fourth / size**2, rel=1e-6)


# The sine has closed forms for pairs instead of nodes: see test_sine.py.
@pytest.mark.parametrize("name", [name for name in ACTIVATIONS if name != "sine"])
def test_pairs_match_the_closed_forms(name):
    activation = ACTIVATIONS[name]
    for q in (1e-6, 0.1, 1.0, 30.0):
        size = average(lambda x: activation(x) ** 2, q, activation.kinks)
        slope = average(lambda x: activation.derivative(x) ** 2, q, activation.kinks)
        for misalignment in (1e-8, 1e-3, 0.3, 1.0, 1.7, 2.0):
            nodes = pair_nodes(activation, q, misalignment)
            product = nodes.average(activation(nodes.first), activation(nodes.second))
            assert product / size == pytest.approx(
                1.0 - pair_gap(activation, q, misalignment) / size, abs=1e-5
            )
            found = nodes.average(
                activation.derivative(nodes.first), activation.derivative(nodes.second)
            )
            expected = pair_slope(activation, q, misalignment)
            assert found / slope == pytest.approx(expected / slope, abs=1e-5)


@pytest.mark.parametrize("name", ["relu", "tanh", "hard_tanh", "selu"])
def test_slowly_changing_correlations_are_interpolated(name):
    activation = ACTIVATIONS[name]
    forward, backward = one_sample(activation, 1.0, backward=True)
    creeping = PairTable(activation, 1.0, forward.rms, backward.rms)
    for misalignment in np.geomspace(1.2, 1e-5, 60):
        fresh = PairTable(activation, 1.0, forward.rms, backward.rms).at(misalignment)
        found = creeping.at(misalignment)
        for part in ("square", "fourth", "joint"):
            # Cubic interpolation on the grid, one order less near a jump of φ'.
            assert getattr(found, part) == pytest.approx(getattr(fresh, part), rel=2e-5), part
    assert len(creeping._grid) < 110


def test_relu_in_closed_form():
    """F = q/2: the second moment has no bias, κ = 5, and everything is homogeneous in √q."""
    n, depth = 1024, 40
    prediction, found = theory(Stack.build("relu", depth, n))
    layer = np.arange(depth + 1)
    r = np.where(layer > 0, (2.0 + 5.0 * (layer - 1)) / n, np.nan)
    np.testing.assert_allclose(found.fluctuation, np.sqrt((2.0 + 5.0 * layer) / n), rtol=1e-9)
    np.testing.assert_allclose(found.expected["second_moment"], 1.0, rtol=1e-12)
    # E√(1+x) = 1 − r/8.
    np.testing.assert_allclose(
        found.expected["mean"][1:], (1.0 - r[1:] / 8.0) / math.sqrt(math.pi), rtol=1e-9
    )
    mean_square = prediction.statistics["mean"][1:] ** 2
    spread = (1.0 - mean_square) / n + mean_square * r[1:] / 4.0
    shift = 2.0 * mean_square * r[1:] / 8.0
    np.testing.assert_allclose(
        found.expected["variance_over_units"][1:],
        1.0 - mean_square + shift - spread,
        rtol=1e-9,
    )


def test_linear_networks_match_products_of_chi_squares():
    """E ln(χ²ₙ/n) = −1/n to first order; the gradients of a batch are independent."""
    n, depth = 200, 12
    for batch in (1, 7):
        prediction, found = theory(Stack.build("identity", depth, n, input_width=50), batch)
        layer = np.arange(depth + 1)
        below = np.where(layer == 0, (depth - 1) / n + 1 / 50, (depth - layer) / n)
        added = found.log_gradient - prediction.log_gradient
        np.testing.assert_allclose(added, -below / batch, atol=1e-9)
        fluctuation = np.where(layer == 0, 2 / 50, 2 / 50 + 2.0 * layer / n)
        np.testing.assert_allclose(found.fluctuation**2, fluctuation, rtol=1e-9)


def test_orthogonal_linear_networks_preserve_statistics():
    n, depth, batch = 64, 9, 4
    stack = Stack.build("identity", depth, n, init="orthogonal")
    prediction, found = theory(stack, batch)
    np.testing.assert_allclose(found.fluctuation, math.sqrt(2.0 / n), rtol=1e-9)
    np.testing.assert_allclose(found.expected["second_moment"], 1.0, rtol=1e-12)
    np.testing.assert_allclose(found.log_gradient, prediction.log_gradient, atol=1e-9)
    # The mean over units of a rotated vector is its component along any direction.
    np.testing.assert_allclose(found.expected["variance_over_units"], 1.0 - 1.0 / n, rtol=1e-9)
    np.testing.assert_allclose(found.expected["variance"], 1.0 - 1.0 / (n * batch), rtol=1e-9)


@pytest.mark.parametrize("label", ["normal", "uniform"])
def test_the_input_is_exact(label):
    """Moments of the input by numpy, within four and a half standard errors."""
    n, batch, mean, std = 12, 3, 0.6, 1.4
    source = DrawnInputs(label, n, batch, mean, std)
    _, found = theory(Stack.build("selu", 2, n), source=source)
    draws = [source.sample(trial, 0, "float64") for trial in range(4000)]
    for name, value in (
        ("mean", [x.mean() for x in draws]),
        ("second_moment", [(x**2).mean() for x in draws]),
        ("variance", [x.var() for x in draws]),
        ("variance_over_batch", [x.var(axis=1).mean() for x in draws]),
        ("variance_over_units", [x.var(axis=0).mean() for x in draws]),
        ("cosine", [cosine(x) for x in draws]),
        ("kurtosis", [kurtosis(x) for x in draws]),
    ):
        error = np.std(value) / math.sqrt(len(value))
        distance = abs(np.mean(value) - found.expected[name][0]) - found.residual[name][0]
        assert distance < 4.5 * error, name
    # Ratios are known to first order in 1/n; the kurtosis of normal values is exact.
    exact = [name for name, residual in found.residual.items() if residual[0] == 0]
    assert ("kurtosis" in exact) == (label == "normal")
    assert "cosine" not in exact
    squares = np.array([(x**2).mean(axis=0) for x in draws]).ravel()
    relative = squares.var() / squares.mean() ** 2
    assert source.moments().length_variance == pytest.approx(relative, rel=0.1)


def cosine(x):
    """Return the mean cosine of pairs of columns."""
    unit = x / np.sqrt((x * x).sum(axis=0))
    products = unit.T @ unit
    return products[np.triu_indices(len(products), 1)].mean()


def kurtosis(x):
    centred = x - x.mean()
    return (centred**4).mean() / (centred**2).mean() ** 2


def test_unknown_theory_is_missing():
    _, found = theory(Stack.build("selu", 3, 64))
    for expected in (found.expected[name] for name in STATISTICS):
        assert np.isfinite(expected[1:]).all()
    # ReLU: r exceeds 0.5 beyond layer 7 at width 64; the variance between networks is known
    # further.
    _, deep = theory(Stack.build("relu", 400, 64))
    assert np.isfinite(deep.expected["mean"][6])
    assert np.isnan(deep.expected["mean"][8:]).all()
    assert np.isnan(deep.log_gradient[:-1]).all()
    assert deep.log_gradient[-1] == 0.0
    assert np.isfinite(deep.fluctuation[40])
    assert np.isinf(deep.fluctuation[-1])
    assert not np.isnan(deep.fluctuation).any()
    # Gradients were not requested.
    assert np.isnan(theory(Stack.build("selu", 3, 64), backward=False)[1].log_gradient).all()
    # A uniform bias dominates a small pre-activation.
    _, torch = theory(Stack.build("gelu", 20, 256, init="torch_default"))
    assert np.isfinite(torch.expected["mean"][2])
    assert np.isnan(torch.expected["mean"][-1])
    _, silent = theory(Stack.build("sigmoid", 3, 64, weight_gain=0.0), backward=False)
    np.testing.assert_array_equal(silent.expected["mean"][1:], 0.5)
    np.testing.assert_array_equal(silent.fluctuation[1:], 0.0)


def test_theory_is_missing_where_squares_of_inputs_overflow():
    data = np.array([[1e200, 1.0, 2.0], [-1.0, 1e200, 3.0], [0.0, 1.0, 1.0]])
    _, found = theory(Stack.build("selu", 2, 3), source=DataInputs("data", data, 3))
    for name in ("second_moment", "variance"):
        assert not np.isfinite(found.expected[name]).any()


def test_theory_of_data_needs_equal_norms():
    stack = Stack.build("selu", 4, 64, input_width=32)
    rows = np.random.default_rng(0).normal(size=(6, 32))
    unequal = DataInputs("data", rows, 6)
    _, found = theory(stack, source=unequal)
    assert np.isfinite(found.expected["kurtosis"][0])
    assert np.isfinite(found.expected["mean"]).all()
    assert np.isnan(found.expected["variance"][1:]).all()
    assert np.isfinite(found.fluctuation[1:]).all()
    rows /= np.sqrt((rows**2).mean(axis=1, keepdims=True))
    _, found = theory(stack, source=DataInputs("data", rows, 6))
    assert np.isfinite(found.expected["mean"]).all()
    # The norms of the first pre-activations do not fluctuate, so that E[φ²] is exact.
    assert found.expected["second_moment"][1] == pytest.approx(
        predict(stack, 6, DataInputs("data", rows, 6).moments()).statistics["second_moment"][1]
    )
    assert np.isnan(found.expected["variance"][1:]).all()
    assert np.isnan(found.log_gradient[:-1]).all()


@pytest.mark.parametrize(("batch", "cosine"), [(1, math.nan), (8, 0.25), (8, -0.25)])
def test_data_are_compared_with_normal_samples_of_their_norm_and_cosine(batch, cosine):
    """Samples share a mean where their cosine is above 0, and have none where it is below."""
    data = DrawnInputs("uniform", 64, batch, 0.3, 2.0).moments()
    found = _drawn(replace(data, drawn=False, largest=7.0), batch, 4.0, cosine)
    shared = 4.0 * max(cosine, 0.0) if batch > 1 else 0.0
    wanted = DrawnInputs("normal", 64, batch, math.sqrt(shared), math.sqrt(4.0 - shared)).moments()
    for name in ("mean", "variance", "second_moment", "variance_over_batch",
                 "variance_over_units", "kurtosis", "drawn"):  # fmt: skip
        assert found[name] == pytest.approx(wanted[name], rel=1e-12), name
    # One sample has no cosine.
    angle = wanted.cosine if batch > 1 else math.nan
    assert found.cosine == pytest.approx(angle, rel=1e-12, nan_ok=True)
    assert found.length_variance == 0.0


@pytest.mark.parametrize("q", [1e-200, 1e200])
def test_signals_of_any_size_are_treated_equally(q):
    for name in ("relu", "identity", "leaky_relu"):
        small, _ = one_sample(ACTIVATIONS[name], q, backward=False)
        unit, _ = one_sample(ACTIVATIONS[name], 1.0, backward=False)
        assert small.fourth == pytest.approx(unit.fourth, rel=1e-6)
        assert small.square.slope == pytest.approx(1.0, rel=1e-6)
        assert small.square.curvature == pytest.approx(0.0, abs=1e-6)


def count_calls(work):
    """Return the number of Python function calls in `work`, nested calls included."""
    found = []
    before = sys.getprofile()
    sys.setprofile(lambda _, event, __: found.append(1) if event == "call" else None)
    try:
        work()
    finally:
        sys.setprofile(before)
    return len(found)


def test_repeated_layers_cost_little():
    """Distinct layers are evaluated once: here 100,000 layers whose state settles."""
    depth = 100_000
    for name in ("selu", "relu"):
        stack = Stack.build(name, depth, 256)
        moments = DrawnInputs("normal", 256, 16, 0.0, 1.0).moments()
        prediction = predict(stack, 16, moments)
        assert prediction.misalignment.shape == (depth + 1,)  # computed before counting
        calls = count_calls(
            lambda: finite_width(stack, 16, moments, prediction, backward=True)  # noqa: B023
        )
        # A single layer takes more than 60 function calls; here it takes 2.
        assert calls < 5 * depth, name


def test_the_whole_column_of_trust_is_computed_a_few_times(monkeypatch):
    """Not once for each layer: it takes a time proportional to the depth."""
    calls, trusted = [], Fluctuations.trusted.fget
    monkeypatch.setattr(
        Fluctuations, "trusted", property(lambda self: calls.append(1) or trusted(self))
    )
    found = theory(Stack.build("selu", 100, 1024))[1]
    assert np.isfinite(found.log_gradient).all()
    assert len(calls) < 20


def test_z_compares_with_first_order_theory():
    run = propagate("selu", 3, width=16, batch=4, trials=5, backward=True)
    column = run.variance
    np.testing.assert_allclose(column.z, (column.estimate - column.expected) / column.stderr)
    assert (column.expected < column.theory).all()
    # Where it is missing, z compares with infinite width.
    rows = np.random.default_rng(0).normal(size=(6, 16))
    data = propagate("selu", 3, width=16, trials=5, batch=6, inputs=rows).cosine
    beyond = (data.estimate[1:] - data.theory[1:]) / data.stderr[1:]
    np.testing.assert_allclose(data.z[1:], beyond)
    assert run.layers[2].variance.expected == column.expected[2]
    assert run.gradient.expected[3] == 1.0
    assert run.gradient.expected[0] != run.gradient.theory[0]


def test_of_one_sample_half_of_the_units_of_relu_are_dead_and_others_of_a_read_out():
    """Hard tanh is flat where |z| > 1. With a gain of 1, q is halved in each layer: 1/8 at last."""
    stack = Stack.build("relu", 4, 64, last="hard_tanh", weight_gain=1.0)
    dead = theory(stack, 1, backward=False)[1].expected["dead_fraction"]
    np.testing.assert_allclose(dead[1:], [0.5, 0.5, 0.5, math.erfc(2.0)], rtol=1e-12)


def test_one_sample_has_no_cosine_at_any_layer():
    run = snstat.propagate("tanh", depth=2, width=16, batch=1, trials=2)
    for values in (run.cosine.estimate, run.cosine.theory, run.cosine.expected):
        assert np.isnan(values).all()
