from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import snstat
from snstat.activation import ACTIVATIONS
from snstat.errors import InvalidValueError, UnknownNameError


@given(st.sampled_from(sorted(ACTIVATIONS)), st.floats(1e-6, 1e6))
def test_both_maps_agree_for_a_mean_of_0(name, variance):
    unit = snstat.unit_map(name, 0.0, variance, weight_square_sum=1.7**2)
    ensemble = snstat.ensemble_map(name, 0.0, variance, weight_gain=1.7)
    # 1.7² rounds equally in both maps; the variance is multiplied in another order.
    assert unit[1] == pytest.approx(ensemble[1], rel=1e-13)


def test_the_unit_map_uses_sum_and_square_sum():
    mean, variance = snstat.unit_map("identity", 2.0, 3.0, weight_sum=-0.5, weight_square_sum=4.0)
    assert (mean, variance) == (pytest.approx(-1.0, rel=1e-15), pytest.approx(12.0, rel=1e-14))


def test_the_ensemble_map_uses_the_second_moment():
    mean, variance = snstat.ensemble_map("identity", 2.0, 3.0, weight_gain=0.5, bias_std=0.25)
    assert mean == pytest.approx(0.0, abs=1e-15)
    assert variance == pytest.approx(0.25 * 7 + 0.0625, rel=1e-14)


def test_maps_broadcast():
    mean, variance = snstat.unit_map("selu", np.zeros((2, 1)), [1.0, 2.0, 3.0])
    assert mean.shape == variance.shape == (2, 3)
    images = snstat.correlation_map("tanh", [0.0, 0.5], [[1.0], [2.0]])
    assert images.shape == (2, 2)
    assert snstat.gradient_growth("selu", [1.0, 2.0], weight_gain=2.0).shape == (2,)


def test_weights_and_biases_broadcast():
    gains, biases = np.array([0.5, 1.0, 2.0]), np.array([[0.0], [0.3]])
    calls = {
        "ensemble": lambda g, b: snstat.ensemble_map("gelu", 0.2, 1.1, weight_gain=g, bias_std=b),
        "unit": lambda g, b: snstat.unit_map("gelu", 0.2, 1.1, weight_sum=b, weight_square_sum=g),
        "correlation": lambda g, b: snstat.correlation_map(
            "gelu", 0.4, 1.1, weight_gain=g, bias_std=b
        ),
        "growth": lambda g, b: snstat.gradient_growth("gelu", 1.1 + b, weight_gain=g),
    }
    for call in calls.values():
        single = [[call(float(g), float(b)) for g in gains] for b in biases[:, 0]]
        joint = np.moveaxis(np.array(call(gains, biases)), (-2, -1), (0, 1))
        # Sums in another order.
        np.testing.assert_allclose(joint, np.array(single), rtol=1e-13)


def test_selu_at_its_fixed_point():
    assert snstat.gradient_growth("selu", 1.0) == pytest.approx(1.071575, abs=5e-7)
    # At 0 itself backpropagation uses the left slope; small signals use both slopes.
    left, right = 1.7580993408473766, 1.0507009873554805
    assert snstat.gradient_growth("selu", 0.0) == pytest.approx(left**2, rel=1e-14)
    both = (left**2 + right**2) / 2
    assert snstat.gradient_growth("selu", 1e-300) == pytest.approx(both, rel=1e-13)
    step = 1e-5
    slope = np.diff(snstat.correlation_map("selu", [-step, step], 1.0))[0] / (2 * step)
    assert slope == pytest.approx(0.97068, abs=5e-6)


def test_correlations_of_the_identity_and_of_biases():
    c = np.linspace(-1, 1, 9)
    np.testing.assert_allclose(snstat.correlation_map("identity", c, 2.0), c, atol=1e-15)
    # A bias shared by both inputs gives c' = (q c + b²)/(q + b²).
    np.testing.assert_allclose(
        snstat.correlation_map("identity", c, 2.0, bias_std=1.0), (2 * c + 1) / 3, atol=1e-15
    )
    assert math.isnan(snstat.correlation_map("tanh", 0.5, 0.0))


@given(
    st.sampled_from([n for n, a in ACTIVATIONS.items() if a.odd]),
    st.floats(0, 1),
    st.floats(1e-3, 1e2),
)
def test_correlations_of_odd_functions_are_odd(name, correlation, q):
    plus = snstat.correlation_map(name, correlation, q)
    minus = snstat.correlation_map(name, -correlation, q)
    assert plus == pytest.approx(-minus, abs=1e-12)


@given(st.sampled_from(sorted(ACTIVATIONS)), st.floats(1e-3, 1e2))
def test_correlation_maps_are_convex_from_0_to_1(name, q):
    images = snstat.correlation_map(name, np.linspace(0, 1, 9), q)
    # Second differences of values accurate to 1e-13.
    assert (np.diff(images, 2) > -1e-12).all()
    assert images[-1] == pytest.approx(1.0, abs=1e-15)


@pytest.mark.parametrize(
    ("call", "name", "value"),
    [
        (lambda: snstat.unit_map("selu", math.nan, 1.0), "mean", math.nan),
        (lambda: snstat.unit_map("selu", 0.0, [1.0, -2.0]), "variance", -2.0),
        (lambda: snstat.unit_map("selu", "x", 1.0), "mean", math.nan),
        (
            lambda: snstat.unit_map("selu", 0.0, 1.0, weight_square_sum=-1.0),
            "weight_square_sum",
            -1.0,
        ),
        (lambda: snstat.unit_map("selu", 1e200, 1.0, weight_sum=1.0), "mean of the", 1e200),
        (lambda: snstat.ensemble_map("selu", 1e200, 1.0), "variance of the", math.inf),
        (lambda: snstat.ensemble_map("selu", 0.0, 1.0, weight_gain=-1.0), "weight_gain", -1.0),
        (lambda: snstat.ensemble_map("selu", 0.0, 1.0, bias_std=-1.0), "bias_std", -1.0),
        (lambda: snstat.correlation_map("selu", 1.1, 1.0), "correlation", 1.1),
        (lambda: snstat.correlation_map("selu", 0.1, -1.0), "second_moment", -1.0),
        (lambda: snstat.gradient_growth("selu", math.inf), "second_moment", math.inf),
    ],
)
def test_bad_values_are_named(call, name, value):
    with pytest.raises(InvalidValueError) as caught:
        call()
    assert caught.value.name.startswith(name)
    assert caught.value.value == value or math.isnan(value)


# Functions, and the bounds of their arguments.
BOUNDED = [
    (
        snstat.unit_map,
        {"mean": None, "variance": 0.0, "weight_sum": None, "weight_square_sum": 0.0},
    ),
    (snstat.ensemble_map, {"mean": None, "variance": 0.0, "weight_gain": 0.0, "bias_std": 0.0}),
    (
        snstat.correlation_map,
        {"correlation": -1.0, "second_moment": 0.0, "weight_gain": 0.0, "bias_std": 0.0},
    ),
    (snstat.gradient_growth, {"second_moment": 0.0, "weight_gain": 0.0}),
]


@pytest.mark.parametrize(("function", "bounds"), BOUNDED)
def test_arguments_have_their_least_values(function, bounds):
    valid = dict.fromkeys(bounds, 0.5)
    for name, least in bounds.items():
        at, below = (-1e3, math.nan) if least is None else (least, least - 1e-9)
        function("tanh", **valid | {name: at})
        with pytest.raises(InvalidValueError) as caught:
            function("tanh", **valid | {name: below})
        assert caught.value.name == name


def test_correlations_are_at_most_1():
    assert snstat.correlation_map("tanh", 1.0, 2.0) == pytest.approx(1.0, abs=1e-15)
    with pytest.raises(InvalidValueError):
        snstat.correlation_map("tanh", 1.0 + 1e-9, 2.0)


def test_unknown_activations_suggest_the_nearest():
    with pytest.raises(UnknownNameError, match="did you mean 'selu'"):
        snstat.unit_map("sellu", 0.0, 1.0)


@pytest.mark.parametrize(
    "call",
    [
        lambda: snstat.ensemble_map("selu", [0.0, 1.0], [1.0, 2.0, 3.0]),
        lambda: snstat.unit_map("selu", [0.0, 1.0], 1.0, weight_sum=[0.0] * 3),
        lambda: snstat.correlation_map("selu", [0.0, 1.0], [1.0] * 3),
        lambda: snstat.gradient_growth("selu", [1.0, 2.0], weight_gain=[1.0] * 3),
        lambda: snstat.ensemble_map("selu", [[1.0], [1.0, 2.0]], 1.0),
        lambda: snstat.ensemble_map("selu", np.ma.masked_array([1.0, 2.0], [True, False]), 1.0),
        lambda: snstat.ensemble_map("selu", [np.ma.masked, 2.0], 1.0),
        lambda: snstat.ensemble_map("selu", np.ma.masked, 1.0),
        lambda: snstat.fixed_points("selu", weight_gain=np.ma.masked),
    ],
)
def test_arrays_that_do_not_broadcast_are_refused_in_one_line(call):
    with pytest.raises(InvalidValueError) as caught:
        call()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("offset", [1.0, 100.0])
def test_a_variance_lost_to_cancellation_is_missing(offset):
    """Of φ = c + ε x, the variance ε² is known while it is not below 1e-12 c²."""
    for factor, known in ((0.5, False), (2.0, True)):
        step = offset * math.sqrt(factor * 1e-12)
        pair = (lambda x, c=offset, e=step: c + e * x, lambda x, e=step: np.full_like(x, e))
        mean, variance = snstat.unit_map(pair, 0.0, 1.0)
        assert mean == pytest.approx(offset, rel=1e-12)
        # Rounding of E φ², 1e-16, relative to ε²/c².
        assert math.isnan(variance) or variance == pytest.approx(step**2, rel=1e-3)
        assert math.isnan(variance) != known
