"""Theory of data whose samples differ in norm, against sums over samples and plain quadrature."""

from __future__ import annotations

import math

import numpy as np
import pytest

from snstat.activation import ACTIVATIONS, resolve
from snstat.experiment.data import DataInputs
from snstat.experiment.inputs import DrawnInputs
from snstat.gaussian.cross import apart_after, homogeneous
from snstat.network.stack import Stack
from snstat.theory import classes
from snstat.theory.predict import predict
from snstat.theory.saturation import saturated_fraction

# A fine midpoint rule on ±9: exact up to rounding for smooth functions, to 1e-6 at a kink.
STEP = 0.004
Z = np.arange(-9.0 + STEP / 2, 9.0, STEP)
DENSITY = np.exp(-0.5 * Z * Z) / np.exp(-0.5 * Z * Z).sum()


def scaled_rows(scales, width=24, seed=0):
    rows = np.random.default_rng(seed).normal(size=(len(scales), width))
    return rows / np.sqrt((rows**2).mean(axis=1, keepdims=True)) * np.asarray(scales)[:, None]


def of_samples(activation, seconds, gain, bias):
    """Return the activations (samples, nodes) of units of layer 1 given each sample's q."""
    q = gain**2 * seconds + bias**2
    return ACTIVATIONS[activation].function(np.sqrt(q)[:, None] * Z), q


@pytest.mark.parametrize("name", ["relu", "tanh", "selu", "gelu"])
def test_the_first_layer_is_exact_for_every_sample(name):
    """Each norm is its own class; the tolerance 1e-5 covers kinks in the plain rule."""
    scales = np.array([0.3, 1.0, 1.0, 2.0, 5.0, 40.0])
    stack = Stack.build(name, 1, 50, weight_gain=1.3, bias_std=0.4, input_width=24)
    found = predict(stack, 6, DataInputs("rows", scaled_rows(scales), 6).moments()).statistics
    x, _ = of_samples(name, scales**2, 1.3, 0.4)
    mean = (x @ DENSITY).mean()
    central = [(((x - mean) ** k) @ DENSITY).mean() for k in (2, 4)]
    own = ((x**2) @ DENSITY - (x @ DENSITY) ** 2).mean()
    assert found["mean"][1] == pytest.approx(mean, rel=1e-5, abs=1e-12)
    assert found["second_moment"][1] == pytest.approx(((x**2) @ DENSITY).mean(), rel=1e-5)
    assert found["variance"][1] == pytest.approx(central[0], rel=1e-5)
    assert found["variance_over_units"][1] == pytest.approx(own, rel=1e-5)
    assert found["kurtosis"][1] == pytest.approx(central[1] / central[0] ** 2, rel=1e-5)


def test_the_mean_of_a_batch_smaller_than_the_data_varies():
    scales = np.array([0.5, 1.0, 2.0, 4.0])
    stack = Stack.build("relu", 1, 50, input_width=24)
    data = scaled_rows(scales)
    found = predict(stack, 2, DataInputs("rows", data, 2).moments()).statistics
    means = scales * math.sqrt(2.0) / math.sqrt(2.0 * math.pi)
    pairs = [(means[i] + means[j]) / 2 for i in range(4) for j in range(i)]
    second = (scales**2).mean()
    assert found["variance"][1] == pytest.approx(second - np.mean(np.square(pairs)), rel=1e-12)
    assert math.isnan(found["kurtosis"][1])
    one = predict(stack, 1, DataInputs("rows", data, 1).moments()).statistics
    assert one["variance"][1] == pytest.approx(one["variance_over_units"][1], rel=1e-12)
    assert one["variance_over_batch"][1] == 0.0
    assert np.isnan(one["cosine"][1:]).all()


def test_classes_are_accurate_to_second_order():
    """24 classes of a standard deviation of 2 in ln x² leave √3π/2·24² of its square, 0.019, in
    each class. The error is half of that times the first and second derivative by ln q, of order
    0.1."""
    scales = np.exp(np.random.default_rng(1).normal(size=2000))
    stack = Stack.build("tanh", 1, 50, input_width=24)
    found = predict(stack, 64, DataInputs("rows", scaled_rows(scales), 64).moments())
    q = scales**2
    exact = np.mean([(np.tanh(math.sqrt(value) * Z[::4]) ** 2) @ DENSITY[::4] * 4 for value in q])
    assert found.statistics["second_moment"][1] == pytest.approx(exact, abs=2e-3)


@pytest.mark.parametrize(
    ("name", "tolerance"), [("tanh", 1e-7), ("softplus", 1e-7), ("selu", 1e-4), ("erf", 1e-7)]
)
def test_angles_between_samples_of_different_norm(name, tolerance):
    """Compare with a double sum over z₁ and the free part of z₂.

    Kinks limit the accuracy of the series (see `_SHARE_UNKNOWN`) and of the sum. The smallest 1 −
    cosine is a difference of numbers near 1.
    """
    activation = ACTIVATIONS[name]
    q = np.array([0.2, 1.0, 9.0])
    misalignment = np.array([[0.05, 0.4, 1.0], [0.4, 0.1, 1.3], [1.0, 1.3, 0.7]])
    z, density = Z[::3], DENSITY[::3] / DENSITY[::3].sum()
    values = activation.function(np.sqrt(q)[:, None] * z)
    second = (values**2) @ density
    found = apart_after(activation, q, misalignment, second)
    for i in range(3):
        for j in range(3):
            c = 1.0 - misalignment[i, j]
            other = c * z[:, None] + math.sqrt(1.0 - c * c) * z
            conditional = activation.function(math.sqrt(q[j]) * other) @ density
            product = (values[i] * conditional) @ density
            expected = 1.0 - product / math.sqrt(second[i] * second[j])
            assert found[i, j] == pytest.approx(expected, abs=tolerance)


def test_angles_of_relu_do_not_depend_on_norms():
    assert homogeneous(ACTIVATIONS["relu"])
    assert homogeneous(ACTIVATIONS["leaky_relu"])
    assert not homogeneous(ACTIVATIONS["selu"])
    assert not homogeneous(ACTIVATIONS["hard_tanh"])
    apart = apart_after(
        ACTIVATIONS["relu"],
        np.array([1e-6, 1e6]),
        np.array([[1e-9, 1.0], [1.0, 0.5]]),
        np.array([0.5e-6, 0.5e6]),
    )
    # Cho, Saul 2009: cos θ' = (sin θ + (π − θ) cos θ)/π; near 0 it is 1 − θ²/2, up to order θ³.
    assert apart[0, 1] == pytest.approx(1.0 - 1.0 / math.pi, rel=1e-12)
    assert apart[0, 0] == pytest.approx(1e-9, rel=1e-4)


def test_angles_that_the_series_cannot_resolve_are_missing():
    """tanh of huge pre-activations is a sign function, whose series decays as slowly as
    k^(−3/2)."""
    q, aligned = np.full(2, 1e8), np.full((2, 2), 1e-3)
    assert np.isnan(apart_after(ACTIVATIONS["tanh"], q, aligned, np.ones(2))).all()
    # There are too few nodes for a function with thousands of oscillations per standard deviation.
    fast = resolve("sine:30")
    assert np.isnan(apart_after(fast, np.full(2, 1e4), np.ones((2, 2)), np.full(2, 0.5))).all()
    # Uncorrelated samples need only the first terms.
    apart = apart_after(ACTIVATIONS["tanh"], q, np.ones((2, 2)), np.ones(2))
    np.testing.assert_allclose(apart, 1.0, atol=1e-12)


@pytest.mark.parametrize("name", ["relu", "tanh"])
def test_samples_of_equal_norm_are_one_class(name):
    """Equal norms match the same data with slightly different norms, which are split into
    classes."""
    rows = scaled_rows(np.ones(6))
    stack = Stack.build(name, 6, 50, bias_std=0.1, input_width=24)
    plain = DataInputs("rows", rows, 6).moments()
    hair = DataInputs("rows", rows * (1.0 + 2e-3 * np.arange(6))[:, None], 6).moments()
    assert plain.norms is None
    assert hair.norms is not None
    one, many = (predict(stack, 6, moments) for moments in (plain, hair))
    for key, column in one.statistics.items():
        # Mean squares change by 1 %. Only classes account for the variance of cosines between
        # pairs: ½f''(c) Var(c) with Var(c) = 1/24.
        tolerance = 0.08 if key in {"cosine", "variance_over_batch", "dead_fraction"} else 0.03
        np.testing.assert_allclose(
            many.statistics[key][1:], column[1:], rtol=tolerance, atol=0.02, err_msg=key
        )
    np.testing.assert_allclose(many.log_gradient, one.log_gradient, atol=0.05)


def test_gradients_average_over_samples():
    """A plain loop gives each sample's product of slopes, then the mean over samples."""
    scales = np.array([0.5, 1.0, 30.0])
    stack = Stack.build("tanh", 5, 24)
    prediction = predict(stack, 3, DataInputs("rows", scaled_rows(scales), 3).moments())
    z, density = Z[::4], DENSITY[::4] / DENSITY[::4].sum()
    slopes = np.empty((5, 3))
    for column, second in enumerate(scales**2):
        q = second
        for layer in range(5):
            x = np.tanh(math.sqrt(q) * z)
            slopes[layer, column] = ((1.0 - x * x) ** 2) @ density
            q = (x * x) @ density
    output = np.prod(slopes, axis=0).mean()
    assert prediction.log_gradient[0] == pytest.approx(math.log(output), abs=1e-6)


def test_saturated_units_by_sample():
    heavy = np.concatenate([np.full(95, 1.0), np.full(5, 60.0)])
    stack = Stack.build("tanh", 2, 50, last="linear", input_width=24)
    prediction = predict(stack, 100, DataInputs("rows", scaled_rows(heavy), 100).moments())
    found = prediction.statistics["saturated_fraction"]
    # sech²x is a hundredth at x = arcosh 10.
    edge = math.acosh(10.0)
    shares = [math.erfc(edge / scale / math.sqrt(2.0)) for scale in (1.0, 60.0)]
    assert found[1] == pytest.approx(0.95 * shares[0] + 0.05 * shares[1], rel=1e-9)
    assert math.isnan(found[2])  # the activation is not bounded


def test_saturated_share_of_bounded_activations():
    q = np.array([0.0, 0.5, 25.0, 1e6, math.nan])
    clipped = saturated_fraction(ACTIVATIONS["hard_tanh"], q)
    expected = [0.0, *(math.erfc(1.0 / math.sqrt(2.0 * value)) for value in q[1:4])]
    np.testing.assert_allclose(clipped[:4], expected, rtol=1e-9)
    assert math.isnan(clipped[4])
    # The width of the slope does not matter.
    for bound in (0.001, 60.0, 1000.0):
        wide = saturated_fraction(resolve(f"hard_tanh:{bound:g}"), q[1:4] * bound**2)
        np.testing.assert_allclose(wide, saturated_fraction(ACTIVATIONS["hard_tanh"], q[1:4]))
    # 1/(4 cosh²(x/2)) is a hundredth of 1/4 at x = 2 arcosh 10.
    sigmoid = saturated_fraction(ACTIVATIONS["sigmoid"], q[1:4])
    edge = 2.0 * math.acosh(10.0)
    expected = [math.erfc(edge / math.sqrt(2.0 * value)) for value in q[1:4]]
    np.testing.assert_allclose(sigmoid, expected, rtol=1e-9)
    assert np.isnan(saturated_fraction(ACTIVATIONS["relu"], q)).all()


def test_dead_units_are_known_where_norms_do_not_matter():
    rows = scaled_rows([1.0, 2.0, 3.0, 4.0])
    kinds = (("relu", {}, True), ("relu", {"bias_std": 0.5}, True), ("hard_tanh", {}, False))
    for name, options, known in kinds:
        stack = Stack.build(name, 3, 50, input_width=24, **options)
        dead = predict(stack, 4, DataInputs("rows", rows, 4).moments()).statistics["dead_fraction"]
        assert np.isfinite(dead[1:]).all() == known, name
    # A sample of zeros is on the flat side of ReLU, so that three of four samples decide.
    rows[0] = 0.0
    stack = Stack.build("relu", 1, 50, input_width=24)
    dead = predict(stack, 4, DataInputs("rows", rows, 4).moments())
    three = predict(stack, 3, DataInputs("rows", rows[1:], 3).moments())
    assert dead.statistics["dead_fraction"][1] == pytest.approx(
        three.statistics["dead_fraction"][1], rel=1e-9
    )
    # Of a sample whose square underflows nothing is known, with zeros beside it and without.
    stack = Stack.build("relu", 4, 50, input_width=24, weight_gain=0.01)
    for first in (0.0, 1.0):
        small = np.concatenate([first * scaled_rows([1.0]), rows[1:]])
        small[3] *= 1e-141
        dead = predict(stack, 4, DataInputs("rows", small, 4).moments()).statistics
        assert np.isnan(dead["dead_fraction"][1:]).tolist() == [False, False, True, True]
    # A smaller batch may have the zeros or not.
    stack = Stack.build("relu", 1, 50, input_width=24)
    for batch in (2, 3):
        few = predict(stack, batch, DataInputs("rows", rows, batch).moments())
        assert np.isnan(few.statistics["dead_fraction"][1:]).all()


def test_a_batch_of_one_has_a_variance_of_0_without_a_sign():
    moments = DataInputs("rows", scaled_rows([1.0, 2.0, 3.0]), 1).moments()
    found = predict(Stack.build("relu", 2, 50, input_width=24), 1, moments).statistics
    apart = found["variance_over_batch"]
    assert (apart == 0).all()
    assert not np.signbit(apart).any()


def test_zero_samples_have_the_slope_at_0():
    """At a kink at 0, zeros have the slope of the code, not the mean of both sides."""
    rows = scaled_rows([1.0, 1.0])
    rows[0] = 0.0
    stack = Stack.build("selu", 3, 24)
    prediction = predict(stack, 2, DataInputs("rows", rows, 2).moments())
    alone = predict(stack, 1, DataInputs("rows", rows[1:], 1).moments())
    slope = float(ACTIVATIONS["selu"].derivative(np.zeros(1))[0]) ** 2
    both = (math.exp(alone.log_gradient[0]) + slope**3) / 2.0
    assert prediction.log_gradient[0] == pytest.approx(math.log(both), rel=1e-12)


def test_deep_classes_use_tables():
    """Critical tanh: each class matches a quadrature of its own norm."""
    rows = scaled_rows([0.5, 1.0, 3.0])
    stack = Stack.build("tanh", 600, 24, weight_gain=1.0)
    found = predict(stack, 3, DataInputs("rows", rows, 3).moments())
    z, density = Z[::5], DENSITY[::5] / DENSITY[::5].sum()
    for column, second in enumerate((0.25, 1.0, 9.0)):
        q = second
        for _ in range(599):
            q = float(np.tanh(math.sqrt(q) * z) ** 2 @ density)
        assert found.sample_second_moment[-1, column] == pytest.approx(q, rel=1e-9)


def test_layers_after_all_classes_have_settled_are_not_computed(monkeypatch):
    calls = {"apart_after": 0, "_of_layer": 0}

    def counted(name, function):
        def call(*arguments, **options):
            calls[name] += 1
            return function(*arguments, **options)

        return call

    for name in calls:
        monkeypatch.setattr(classes, name, counted(name, getattr(classes, name)))
    rows = scaled_rows(np.linspace(0.5, 2.0, 24))
    stack = Stack.build("tanh", 5000, 50, weight_gain=0.8, bias_std=0.3, input_width=24)
    found = predict(stack, 8, DataInputs("rows", rows, 8).moments()).statistics
    assert found["variance"][-1] == pytest.approx(found["variance"][-2], rel=1e-15)
    assert found["cosine"][-1] == pytest.approx(1.0, abs=1e-12)
    # Pairs are followed once they are asked for.
    assert all(20 < count < 200 for count in calls.values()), calls


def test_zero_samples_are_counted_while_they_stay_zero():
    rows = scaled_rows([1.0, 2.0, 3.0, 4.0])
    rows[1] = 0.0
    moments = DataInputs("rows", rows, 4).moments()
    for name, options, expected in (
        ("relu", {}, [0.25, 0.25, 0.25]),
        ("relu", {"bias_std": 0.1}, [0.25, 0.0, 0.0]),
        ("sigmoid", {}, [0.25, 0.0, 0.0]),
        ("relu", {"last": "sigmoid"}, [0.25, 0.25, 0.0]),
    ):
        stack = Stack.build(name, 2, 50, input_width=24, **options)
        found = predict(stack, 4, moments).statistics["zero_samples"]
        assert found.tolist() == expected, (name, options)
    drawn = DrawnInputs("normal", 24, 4, 0.0, 1.0).moments()
    assert not predict(Stack.build("relu", 2, 24), 4, drawn).statistics["zero_samples"].any()
    silent = DrawnInputs("normal", 24, 4, 0.0, 0.0).moments()
    found = predict(Stack.build("relu", 2, 24), 4, silent).statistics["zero_samples"]
    assert found.tolist() == [1.0, 1.0, 1.0]
