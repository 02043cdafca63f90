from __future__ import annotations

import json
import math
from pathlib import Path

import mpmath as mp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from snstat.activation import ACTIVATIONS, resolve
from snstat.gaussian.centred import centred_moments, second_moments
from snstat.gaussian.expectations import (
    derivative_mean,
    derivative_second_moment,
    jacobian,
    kurtosis,
    moments,
    second_moment,
)
from tests.gaussian import oracle
from tests.gaussian.make_reference import DIGITS

REFERENCE = [
    (name, mean, variance, *map(mp.mpf, values))
    for name, mean, variance, *values in json.loads(
        Path(__file__).with_name("reference.json").read_text(encoding="utf-8")
    )
]
ODD = [name for name, entry in ACTIVATIONS.items() if entry.odd]


def tolerances(mean, variance):
    """Return the promised accuracy: of the mean relative to rms, of the variance, and its floor /
    mean²."""
    if abs(mean) <= 10 and 1e-2 <= variance <= 50:
        return 1e-12, 1e-12, 0.0
    return 1e-10, 1e-10, 1e-30


@pytest.mark.parametrize("name", oracle.FUNCTIONS)
def test_moments_have_the_promised_accuracy(name):
    rows = [row for row in REFERENCE if row[0] == name]
    assert len(rows) >= 40, f"run python -m tests.gaussian.make_reference {name}"
    means, variances = moments(resolve(name), [r[1] for r in rows], [r[2] for r in rows])
    seconds = second_moment(resolve(name), [r[1] for r in rows], [r[2] for r in rows])
    for row, got_mean, got_variance, got_second in zip(
        rows, means, variances, seconds, strict=True
    ):
        _, mean, variance, true_mean, true_variance, true_second = row
        of_mean, of_variance, floor = tolerances(mean, variance)
        # Below 1e-290 doubles lose digits. The oracle resolves the variance relative to the squared
        # mean only to its own DIGITS.
        tiny = mp.mpf("1e-290") + mp.mpf(10) ** (2 - 2 * DIGITS) * true_mean**2
        bound = of_variance * true_variance + floor * true_mean**2 + tiny
        assert abs(mp.mpf(float(got_mean)) - true_mean) <= of_mean * mp.sqrt(true_second) + tiny, (
            row
        )
        assert abs(mp.mpf(float(got_variance)) - true_variance) <= bound, row
        # E[φ²] is a sum of squares: 2·(error of the mean)/rms covers it.
        assert abs(mp.mpf(float(got_second)) - true_second) <= 3 * of_mean * true_second + tiny, row


def test_the_reference_file_matches_the_oracle():
    # A random sample of rows; 30 digits suffice where nothing cancels.
    random = np.random.default_rng(3)
    usable = [row for row in REFERENCE if row[4] > 1e-12 * row[5] and row[5] > 1e-20]
    with mp.workdps(30):
        for index in random.choice(len(usable), 4, replace=False):
            name, mean, variance, *expected = usable[index]
            for got, known in zip(oracle.moments(name, mean, variance), expected, strict=True):
                assert abs(got - known) <= mp.mpf("1e-14") * (abs(known) + mp.mpf("1e-12"))


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_derivatives_and_jacobian_against_mpmath(name):
    derivative, function = oracle.DERIVATIVES[name], oracle.FUNCTIONS[name]
    mean, variance = -0.7, 1.3
    with mp.workdps(30):
        nodes = oracle.nodes(mean, variance)
        slopes = [(derivative(x), z, w) for x, z, w in nodes]
        values = [function(x) for x, _, _ in nodes]
        std = mp.sqrt(mp.mpf(variance))
        first = mp.fsum(s * w for s, _, w in slopes)
        square = mp.fsum(s * s * w for s, _, w in slopes)
        tilt = mp.fsum(s * z * w for s, z, w in slopes) / (2 * std)
        centre = mp.fsum(v * w for v, (_, _, w) in zip(values, slopes, strict=True))
        cross = mp.fsum((v - centre) * s * w for v, (s, _, w) in zip(values, slopes, strict=True))
        tilted = mp.fsum(
            (v - centre) * s * z * w for v, (s, z, w) in zip(values, slopes, strict=True)
        )
        fourth = mp.fsum((v - centre) ** 4 * w for v, (_, _, w) in zip(values, slopes, strict=True))
        second = mp.fsum((v - centre) ** 2 * w for v, (_, _, w) in zip(values, slopes, strict=True))
        expected = [[first, tilt], [2 * cross, tilted / std]]
    entry = ACTIVATIONS[name]
    # A thousand terms of order 1, each rounded: 1e-13 is far above √1000 ulp.
    assert float(derivative_mean(entry, mean, variance)) == pytest.approx(float(first), rel=1e-13)
    assert float(derivative_second_moment(entry, mean, variance)) == pytest.approx(
        float(square), rel=1e-13
    )
    assert float(kurtosis(entry, mean, variance)) == pytest.approx(
        float(fourth / second**2), rel=1e-12
    )
    np.testing.assert_allclose(
        jacobian(entry, mean, variance), np.array(expected, dtype=float), rtol=1e-12, atol=1e-13
    )


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_jacobian_equals_the_derivative_of_the_moments(name):
    entry, step = ACTIVATIONS[name], 1e-5
    for mean, variance in ((0.0, 1.0), (0.4, 0.2), (-2.0, 7.0)):
        by_mean = (
            np.array(moments(entry, mean + step, variance))
            - np.array(moments(entry, mean - step, variance))
        ) / (2 * step)
        by_variance = (
            np.array(moments(entry, mean, variance + step))
            - np.array(moments(entry, mean, variance - step))
        ) / (2 * step)
        # The error of central differences is h² times a third derivative, plus rounding 1e-16/h =
        # 1e-11.
        np.testing.assert_allclose(
            jacobian(entry, mean, variance), np.stack([by_mean, by_variance], axis=1), atol=3e-8
        )


def test_jacobian_at_zero_variance_is_the_limit():
    # ReLU at 0: E φ = √(v/2π) has slope ∞ in v, Var φ = v(1/2 − 1/2π).
    expected = [[0.5, math.inf], [0.0, 0.5 - 0.5 / math.pi]]
    np.testing.assert_allclose(jacobian(ACTIVATIONS["relu"], 0.0, 0.0), expected, rtol=1e-14)
    # Smooth functions: ∂E φ/∂v = φ''/2, where softplus has φ'' = σ(1 − σ) = 1/4 at 0; limit at std
    # 1e-6.
    expected = [[0.5, 0.125], [0.0, 0.25]]
    np.testing.assert_allclose(jacobian(ACTIVATIONS["softplus"], 0.0, 0.0), expected, rtol=1e-8)
    assert jacobian(ACTIVATIONS["relu"], [1.0, -1.0], 0.0)[:, 0, 0].tolist() == [1.0, 0.0]


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_zero_variance_is_exact(name):
    entry = ACTIVATIONS[name]
    means = np.array([-50.0, -1.0, 0.0, 0.3, 50.0])
    got_mean, got_variance = moments(entry, means, 0.0)
    np.testing.assert_allclose(got_mean, entry(means), rtol=4e-16, atol=1e-300)
    assert got_variance.tolist() == [0.0] * 5
    assert math.isnan(kurtosis(entry, 0.3, 0.0))


@given(
    st.sampled_from(sorted(ACTIVATIONS)),
    st.floats(-1e100, 1e100),
    st.floats(0, 1e200),
)
def test_moments_are_never_nan_and_variances_never_negative(name, mean, variance):
    got_mean, got_variance = moments(ACTIVATIONS[name], mean, variance)
    assert np.isfinite(got_mean)
    assert got_variance >= 0


@given(st.sampled_from(ODD), st.floats(1e-12, 1e8))
def test_odd_functions_have_mean_zero(name, variance):
    mean, spread = moments(ACTIVATIONS[name], 0.0, variance)
    # Nodes are symmetric; a thousand rounded terms leave at most 1e-14 of the rms.
    assert abs(mean) <= 1e-14 * math.sqrt(spread)


@given(
    st.sampled_from(["relu", "leaky_relu", "identity"]),
    st.floats(-5, 5),
    st.floats(1e-3, 1e3),
    st.floats(1e-3, 1e3),
)
def test_the_relu_family_is_homogeneous(name, mean, variance, factor):
    entry = ACTIVATIONS[name]
    plain_mean, plain_variance = moments(entry, mean, variance)
    big_mean, big_variance = moments(entry, mean * factor, variance * factor**2)
    rms = math.sqrt(second_moment(entry, mean, variance))
    assert big_mean == pytest.approx(factor * plain_mean, rel=1e-12, abs=1e-12 * factor * rms)
    # Rounding of mean·factor moves the kink by |mean|/std·1e-16 in z, and a density in the far tail
    # changes by z² times that: at most 5/0.03 = 160 standard deviations.
    assert big_variance == pytest.approx(factor**2 * plain_variance, rel=1e-10, abs=1e-290)


@given(st.floats(-4, 4), st.floats(1e-4, 1e4))
def test_erf_matches_its_closed_form(mean, variance):
    # E erf(z) = erf(m/√(1 + 2v)) (Williams 1997).
    got, _ = moments(ACTIVATIONS["erf"], mean, variance)
    assert got == pytest.approx(math.erf(mean / math.sqrt(1 + 2 * variance)), abs=2e-15, rel=1e-13)


def test_arguments_broadcast_and_scalars_stay_scalars():
    mean, variance = moments(ACTIVATIONS["selu"], np.zeros((3, 1)), [1.0, 2.0])
    assert mean.shape == variance.shape == (3, 2)
    assert mean[0, 0] == mean[2, 0]
    assert isinstance(float(moments(ACTIVATIONS["selu"], 0.0, 1.0)[0]), float)
    assert jacobian(ACTIVATIONS["selu"], np.zeros((3, 1)), [1.0, 2.0]).shape == (3, 2, 2, 2)
    # More elements than one chunk, in mixed groups.
    many = np.linspace(-20, 20, 700)
    np.testing.assert_allclose(
        moments(ACTIVATIONS["tanh"], many, 0.04)[1][::99],
        [float(moments(ACTIVATIONS["tanh"], m, 0.04)[1]) for m in many[::99]],
        rtol=1e-12,
    )


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_second_moments_of_many_points_match_single_points(name):
    q = np.geomspace(1e-12, 1e12, 49)
    expected = [centred_moments(ACTIVATIONS[name], float(point)).second_moment for point in q]
    # The nodes are the same; sums of a few hundred positive terms in another order.
    np.testing.assert_allclose(second_moments(ACTIVATIONS[name], q), expected, rtol=1e-14)
