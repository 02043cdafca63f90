"""Expectations of softmax weights: two tokens by quadrature over their difference, more by
simulation, and where closed forms are known."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.special import expit

from snstat.gaussian.softmax import pair_moments, row_moments, row_products

VARIANCES = (0.01, 0.5, 2.0, 9.0, 30.0)
SAMPLES = 200_000


def nodes(deviation):
    """Return nodes and weights for expectations over N(0, deviation²), which a trapezoidal rule
    with steps much smaller than a score gives to rounding."""
    x = np.linspace(-9.0, 9.0, 40 * math.ceil(9.0 * max(deviation, 1.0)) + 1)
    weights = np.exp(-0.5 * x * x)
    return deviation * x, weights / weights.sum()


def one(tokens):
    return np.array([float(tokens)])


@pytest.mark.parametrize("variance", VARIANCES)
def test_a_row_of_two_tokens_is_a_sigmoid(variance):
    """A = (σ(x), σ(−x)) with x ~ N(0, 2τ), and M = A A' (1, −1; −1, 1)."""
    x, weights = nodes(math.sqrt(2.0 * variance))
    a, b = expit(x), expit(-x)
    found = row_moments(one(2), variance)
    assert found.square[0] == pytest.approx(weights @ (a * a + b * b), rel=1e-11)
    assert found.slope[0] == pytest.approx(weights @ (4.0 * (a * b) ** 2), rel=1e-9)
    along = weights @ (2.0 * (a * b * x) ** 2) / variance
    # A difference of terms of order 1.
    assert found.along[0] == pytest.approx(along, rel=1e-9, abs=1e-11)
    assert found.both[0] == pytest.approx(weights @ (a * a + b * b) ** 2, rel=1e-11)
    assert found.fourth[0] == pytest.approx(weights @ (a**4 + b**4), rel=1e-11)


@pytest.mark.parametrize("cosine", [-0.9, -0.3, 0.0, 0.5, 0.99])
@pytest.mark.parametrize("variances", [(0.3, 0.3), (1.0, 2.5), (6.0, 0.2)])
def test_a_pair_of_rows_of_two_tokens_is_a_pair_of_sigmoids(variances, cosine):
    """Over x and x', which have a common part and parts of their own. The derivative by the second
    variance is a central difference, whose error is of second order."""
    deviations = [math.sqrt(2.0 * own) for own in variances]

    def exact(second):
        x, weights = nodes(deviations[0])
        z, others = nodes(1.0)
        y = second * (cosine * x[:, None] / deviations[0] + math.sqrt(1.0 - cosine**2) * z)
        a, b = expit(x)[:, None], expit(y)
        product = a * b + (1.0 - a) * (1.0 - b)
        slope = 4.0 * a * (1.0 - a) * b * (1.0 - b)
        return tuple(weights @ own @ others for own in (product, slope))

    total = cosine * math.sqrt(variances[0] * variances[1])
    found = pair_moments(one(2), variances, total, slopes=True)
    product, slope = exact(deviations[1])
    assert found.product[0] == pytest.approx(product, rel=1e-8)
    assert found.slope[0] == pytest.approx(slope, rel=1e-7)
    step = 1e-3 * variances[1]
    ends = []
    for moved in (variances[1] + step, variances[1] - step):
        # The covariance stays, so that the cosine moves.
        second = (variances[0], moved)
        ends.append(pair_moments(one(2), second, total, slopes=False).product[0])
    numeric = (ends[0] - ends[1]) / (2.0 * step)
    assert found.bend[0] == pytest.approx(numeric, rel=1e-4, abs=1e-6)
    assert np.isnan(pair_moments(one(2), variances, total, slopes=False).slope).all()


def simulated(tokens, variances, cosine):
    """Return means and standard errors of what row and pair moments are means of."""
    random = np.random.default_rng(tokens)
    common, *own = random.normal(size=(3, SAMPLES, tokens))
    rest = math.sqrt(1.0 - cosine)
    xi = [math.sqrt(cosine) * common + rest * part for part in own]
    rows = []
    for part, variance in zip(xi, variances, strict=True):
        scores = np.exp(math.sqrt(variance) * part)
        rows.append(scores / scores.sum(1, keepdims=True))
    a, b = rows
    square, other, product = (a * a).sum(1), (b * b).sum(1), (a * b).sum(1)
    turned = a * (xi[0] - (a * xi[0]).sum(1, keepdims=True))
    found = {
        "square": square,
        "slope": square - 2.0 * (a**3).sum(1) + square**2,
        "along": (turned**2).sum(1),
        "both": square**2,
        "fourth": (a**4).sum(1),
        "product": product,
        "slope of two": product - (a * a * b).sum(1) - (a * b * b).sum(1) + product**2,
        "bend": product * other - (a * b * b).sum(1),
    }
    return {name: (own.mean(), own.std(ddof=1) / math.sqrt(SAMPLES)) for name, own in found.items()}


@pytest.mark.parametrize("tokens", [3, 5, 40])
@pytest.mark.parametrize("variances", [(0.5, 0.5), (2.0, 4.0)])
@pytest.mark.parametrize("cosine", [0.4, 0.9])
def test_moments_are_what_simulations_tend_to(tokens, variances, cosine):
    """96 numbers within 4.5 standard errors of the mean."""
    row = row_moments(one(tokens), variances[0])
    covariance = cosine * math.sqrt(variances[0] * variances[1])
    pair = pair_moments(one(tokens), variances, covariance, slopes=True)
    expected = (*row, *pair)
    seen = simulated(tokens, variances, cosine)
    for (name, (mean, error)), theory in zip(seen.items(), expected, strict=True):
        assert abs(mean - theory[0]) <= 4.5 * error, name


@pytest.mark.parametrize("variance", VARIANCES[:-1])
def test_equal_rows_are_one_row_and_independent_ones_are_products(variance):
    """E ΣAA' is then 1/T, and E tr MM' is (1 − E ΣA²)(1 − E ΣA'²)/(T − 1)."""
    tokens = np.array([1.0, 2.0, 3.0, 17.0, 1000.0])
    row, other = row_moments(tokens, variance), row_moments(tokens, 0.3)
    same = pair_moments(tokens, (variance, variance), variance, slopes=True)
    np.testing.assert_allclose(same.product, row.square, rtol=1e-7)
    np.testing.assert_allclose(same.slope, row.slope, rtol=1e-5, atol=1e-12)
    apart = pair_moments(tokens, (variance, 0.3), 0.0, slopes=True)
    np.testing.assert_allclose(apart.product, 1.0 / tokens, rtol=1e-8)
    product = (1.0 - row.square) * (1.0 - other.square) / np.maximum(tokens - 1.0, 1.0)
    np.testing.assert_allclose(apart.slope, product, rtol=1e-7, atol=1e-12)


def test_equal_scores_have_equal_weights_and_one_token_has_all():
    tokens = np.array([1.0, 2.0, 50.0])
    pair = pair_moments(tokens, (0.0, 0.0), 0.0, slopes=True)
    for own in (row_moments(tokens, 0.0), pair):
        np.testing.assert_allclose(own[0], 1.0 / tokens, rtol=1e-9)
        np.testing.assert_allclose(own[1], (tokens - 1.0) / tokens**2, rtol=1e-9, atol=1e-15)
    assert row_moments(tokens, 3.0).square[0] == 1.0
    assert row_moments(tokens, 3.0).slope[0] == row_moments(tokens, 3.0).along[0] == 0.0


def test_numbers_of_tokens_are_independent_of_those_beside_them():
    """Together they share the places of one integral."""
    tokens = np.array([2.0, 3.0, 9.0, 4096.0])
    together = row_moments(tokens, 2.0)
    both = pair_moments(tokens, (2.0, 1.0), 0.7, slopes=True)
    for place, count in enumerate(tokens):
        alone = row_moments(one(count), 2.0)
        pair = pair_moments(one(count), (2.0, 1.0), 0.7, slopes=True)
        for own, all_of_them in zip((*alone, *pair), (*together, *both), strict=True):
            assert own[0] == pytest.approx(all_of_them[place], rel=1e-7, abs=1e-12)


@pytest.mark.parametrize("covariance", [0.0, 0.5, -0.7])
def test_rows_that_read_different_numbers_of_tokens(covariance):
    """Against draws, within 5 standard errors, and where both read as many, against those."""
    variances = 1.2, 0.7
    root = np.linalg.cholesky([[1.2, covariance], [covariance, 0.7]])
    scores = np.random.default_rng(4).normal(size=(SAMPLES, 5, 2)) @ root.T
    found = row_products(5, variances, covariance)
    assert not np.tril(found, -1).any()
    for first, second in zip(*np.triu_indices(5), strict=True):
        rows = []
        for count, row in ((first, 0), (second, 1)):
            weights = np.exp(scores[:, : count + 1, row])
            rows.append(weights / weights.sum(1, keepdims=True))
        product = (rows[0] * rows[1][:, : first + 1]).sum(1)
        error = 5.0 * product.std() / math.sqrt(SAMPLES)
        assert abs(product.mean() - found[first, second]) <= error + 1e-12
        if first == second:
            alike = pair_moments(one(first + 1), variances, covariance, slopes=False).product
            assert found[first, first] == pytest.approx(alike[0], rel=1e-9)
