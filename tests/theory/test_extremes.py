"""The largest activation of a batch: exact for drawn inputs, approximate for layers."""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np
import pytest
from scipy import stats
from scipy.optimize import brentq

from snstat.experiment.inputs import DrawnInputs
from snstat.network.stack import Stack
from snstat.theory.extremes import largest_activation, largest_input
from snstat.theory.finite_width import finite_width
from snstat.theory.predict import predict

EXCEEDANCES = math.exp(-np.euler_gamma)


def drawn(kind, values, mean=0.0, std=1.0):
    return DrawnInputs(kind, values, 1, mean, std).moments()


def test_the_largest_of_one_and_two_normal_values():
    # E|z| = √(2/π), and E max(|z₁|, |z₂|) = 2/√π.
    assert largest_input(drawn("normal", 1), 1) == pytest.approx(math.sqrt(2.0 / math.pi))
    assert largest_input(drawn("normal", 1), 2) == pytest.approx(2.0 / math.sqrt(math.pi))
    # Far from 0 the larger of two exceeds their mean by half of E|z₁ − z₂|, 1/√π.
    far = largest_input(drawn("normal", 1, mean=-50.0, std=2.0), 2)
    assert far == pytest.approx(50.0 + 2.0 / math.sqrt(math.pi), rel=1e-12)


@pytest.mark.parametrize("values", [30, 100, 1000])
@pytest.mark.parametrize("mean", [0.0, -10.0])
def test_the_largest_of_many_normal_values_is_that_of_a_plain_rule(mean, values):
    """∫ 1 − P(|x| < t)^N dt by trapezoids, which are exact to rounding for functions so smooth."""
    step = 1e-3
    t = step * np.arange(20_000)
    within = stats.norm.cdf(t - mean) - stats.norm.cdf(-t - mean)
    plain = step * ((1.0 - within**values).sum() - 0.5)
    assert largest_input(drawn("normal", values, mean), values) == pytest.approx(plain, rel=1e-12)


@pytest.mark.parametrize("kind", ["normal", "uniform"])
@pytest.mark.parametrize(("mean", "std", "values"), [(0.0, 2.0, 7), (0.4, 1.0, 60), (-3.0, 0.5, 5)])
def test_the_largest_input_is_the_mean_over_draws(kind, mean, std, values):
    generator = np.random.default_rng(3)
    shape = (20_000, values)
    normal = generator.standard_normal(shape)
    uniform = math.sqrt(3.0) * generator.uniform(-1.0, 1.0, shape)
    x = np.abs(mean + std * {"normal": normal, "uniform": uniform}[kind]).max(axis=1)
    # Four standard errors.
    allowed = 4.0 * x.std() / math.sqrt(len(x))
    assert largest_input(drawn(kind, values, mean, std), values) == pytest.approx(
        x.mean(), abs=allowed
    )


def test_only_the_largest_input_is_expected_to_first_order():
    stack = Stack.build("tanh", 3, width=8)
    inputs = DrawnInputs("normal", 8, 4, 0.0, 1.0).moments()
    found = finite_width(stack, 4, inputs, predict(stack, 4, inputs))
    assert found.expected["largest"][0] == largest_input(inputs, 32)
    assert found.residual["largest"][0] == 0.0
    assert np.isnan(found.expected["largest"][1:]).all()


def test_theory_of_data_is_missing():
    data = drawn("normal", 4)
    assert math.isnan(largest_input(type(data)(**dict(data) | {"drawn": False}), 4))


def test_samples_of_different_norm_act_as_a_mixture():
    width, batch = 64, 40
    stack = Stack.build("identity", 1, width=width)
    q, shares = np.array([[math.nan] * 4, [0.0, 1.0, 4.0, 9.0]]), np.array([0.25, 0.5, 0.25, 0.0])
    inputs = drawn("normal", width)
    found = largest_activation(stack, batch, inputs, q, shares)[1]
    # A quarter of the samples are 0; the sample of the largest norm is counted separately.
    groups = [(20 * width, 1.0), (10 * width, 2.0), (width, 3.0)]
    beyond = sum(count * 2.0 * NormalDist(0.0, std).cdf(-found) for count, std in groups)
    assert beyond == pytest.approx(EXCEEDANCES, rel=1e-4)
    # Simulated maxima: for so few normal values Gumbel's mean is slightly inaccurate.
    generator = np.random.default_rng(5)
    trials = [
        max(np.abs(std * generator.standard_normal(count)).max() for count, std in groups)
        for _ in range(400)
    ]
    assert found == pytest.approx(np.mean(trials), rel=0.02)


@pytest.mark.parametrize("counts", [(20, 5), (1, 24), (8, 8, 9)])
def test_the_edge_is_where_few_values_of_all_classes_are_expected_beyond(counts):
    """Solved by scipy, within the millionth of a fifth that bisections leave; the last class is a
    single sample without a share."""
    width, batch = 50, sum(counts)
    stack = Stack.build("identity", 1, width=width)
    variances = np.array([*(3.0, 4.0, 3.5)[: len(counts)], 4.5])
    shares = np.array([*counts, 0.0]) / batch
    values = width * np.array([*counts, 1.0])
    for kept in (slice(None), slice(0, 2), slice(1, 2)):
        q = np.stack([np.full(variances[kept].size, math.nan), variances[kept]])
        found = largest_activation(stack, batch, drawn("normal", width), q, shares[kept])[1]

        def missing(x, kept=kept):
            beyond = 2.0 * stats.norm.sf(x / np.sqrt(variances[kept]))
            return values[kept] @ beyond - EXCEEDANCES

        assert found == pytest.approx(brentq(missing, 0.1, 100.0), rel=1e-6)


@pytest.mark.parametrize("classes", [1, 2, 3])
def test_the_largest_of_a_sine_is_its_first_crest(classes):
    """Where values go further; else it is the sine of the edge."""
    width, inputs = 50, drawn("normal", 50)
    shares = np.full(classes, 1.0 / classes)
    for variance in (0.01, 25.0):
        q = np.full((2, classes), variance)
        edge, found = (
            largest_activation(Stack.build(name, 1, width=width), 12, inputs, q, shares)[1]
            for name in ("identity", "sine")
        )
        assert (edge > 0.5 * math.pi) == (variance == 25.0)
        assert found == pytest.approx(math.sin(min(edge, 0.5 * math.pi)), rel=1e-12)


@pytest.mark.parametrize(("mean", "values"), [(0.0, 3), (0.1, 10), (2.0, 1000), (3.0, 100_000)])
def test_the_largest_normal_input_is_an_integral_from_0_on(mean, values):
    """By a fine trapezoidal rule, exact to rounding for a smooth function that is level at both
    ends."""
    t, step = np.linspace(0.0, mean + 12.0, 60_001, retstep=True)
    upper, lower = stats.norm.logcdf(t[1:] - mean), stats.norm.logcdf(-t[1:] - mean)
    beyond = -np.expm1(values * (upper + np.log1p(-np.exp(lower - upper))))
    expected = step * (0.5 + beyond.sum())
    found = largest_input(drawn("normal", values, mean), values)
    assert found == pytest.approx(expected, rel=2e-13)
