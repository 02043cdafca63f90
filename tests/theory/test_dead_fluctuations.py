"""Covariances of the entries of a Gram matrix, by loops over its samples."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from itertools import product

import numpy as np
import pytest

from snstat.experiment.inputs import DrawnInputs
from snstat.layers.weights import Weights
from snstat.network.stack import Stack
from snstat.theory import dead_fluctuations
from snstat.theory.dead_fluctuations import _carry, _cumulants, _fresh, _shape, _wishart
from snstat.theory.finite_width import finite_width
from snstat.theory.predict import predict

# The seven covariances of entries, and the five fourth moments, of samples a to d.
ENTRIES = ("aa,aa", "aa,bb", "aa,ab", "aa,bc", "ab,ab", "ab,ac", "ab,cd")
FOURTH = ("aaaa", "aaab", "aabb", "aabc", "abcd")


def kind(i, j, k, l):  # noqa: E741  # samples
    """Return which of the covariances is that of the entries (i, j) and (k, l)."""
    alike = (i == j) + (k == l)
    if alike == 2:
        return "aa,aa" if i == k else "aa,bb"
    if alike == 1:
        single, pair = (i, (k, l)) if i == j else (k, (i, j))
        return "aa,ab" if single in pair else "aa,bc"
    return ("ab,cd", "ab,ac", "ab,ab")[len({i, j} & {k, l})]


def places(text):
    return tuple("abcd".index(letter) for letter in text.replace(",", ""))


def whole(v):
    """Return the covariances of all entries of four samples, (4, 4, 4, 4)."""
    found = np.empty((4,) * 4)
    for place in product(range(4), repeat=4):
        found[place] = v[ENTRIES.index(kind(*place))]
    return found


def test_averages_follow_the_entries_that_they_depend_on():
    """φ_a² responds to the entry aa, and φ_aφ_b to aa, bb and, in both places of it, ab."""
    v, (own, other, cross) = np.array([2.0, 0.5, 0.7, 0.3, 1.1, 0.4, 0.2]), (1.3, -0.4, 0.9)
    response = np.zeros((4,) * 4)
    for a, b in product(range(4), repeat=2):
        if a == b:
            response[a, a, a, a] = own
        else:
            response[a, b, a, a] = response[a, b, b, b] = other
            response[a, b, a, b] = cross
    carried = np.einsum("abij,cdkl,ijkl->abcd", response, response, whole(v))
    expected = [carried[places(text)] for text in ENTRIES]
    np.testing.assert_allclose(_carry(v, (own, other, cross)), expected, rtol=1e-12)


def test_products_of_gaussians():
    """Cov(x_i x_j, x_k x_l) = K_ik K_jl + K_il K_jk."""
    k = np.full((4, 4), 0.3) + 0.5 * np.eye(4)
    exact = np.einsum("ik,jl->ijkl", k, k) + np.einsum("il,jk->ijkl", k, k)
    expected = [exact[places(text)] for text in ENTRIES]
    np.testing.assert_allclose(_wishart(0.8, 0.3), expected, rtol=1e-12)


def test_fourth_cumulants_are_sums_over_pairings():
    v = np.array([2.0, 0.5, 0.7, 0.3, 1.1, 0.4, 0.2])
    full = whole(v)
    pairings = full + full.transpose(0, 2, 1, 3) + full.transpose(0, 3, 2, 1)
    expected = [pairings[places(text)] for text in FOURTH]
    np.testing.assert_allclose(_cumulants(v), expected, rtol=1e-12)


@pytest.mark.parametrize("cosine", [0.0, 0.4, 1.0])
def test_single_units_have_the_covariances_of_products(cosine):
    """Those of four samples less the products of those of two, 1 for equal samples."""
    fourth = {(4,): 3.0, (3, 1): 1.2, (2, 2): 1.7, (2, 1, 1): 0.9, (1, 1, 1, 1): 0.6}
    expected = []
    for text in ENTRIES:
        first, second = text.split(",")
        counts = tuple(sorted(Counter(first + second).values(), reverse=True))
        means = [1.0 if one[0] == one[1] else cosine for one in (first, second)]
        expected.append(fourth[counts] - means[0] * means[1])
    np.testing.assert_allclose(_fresh(np.array([*fourth.values()]), cosine), expected, rtol=1e-12)


@pytest.mark.parametrize("gain", [1.5, 2.5])
def test_layers_are_equal_only_where_covariances_have_settled(gain, monkeypatch):
    """They still move where second moments do not any more. A walk through all layers finds the
    same."""
    stack = Stack.build("hard_tanh", 60, 64, weight_gain=gain)
    moments = DrawnInputs("normal", 64, 4, 0.0, 1.0).moments()
    prediction, found = predict(stack, 4, moments), []
    for _ in range(2):
        dead = finite_width(stack, 4, moments, prediction, backward=False).expected["dead_fraction"]
        found.append(dead[1:])
        # The last layer in which second moments move.
        monkeypatch.setattr(dead_fluctuations, "last_motion", lambda _moments, _first, end: end)
    assert np.isfinite(found[1]).all()
    np.testing.assert_allclose(found[0], found[1], rtol=1e-10)


@pytest.mark.parametrize(
    ("activation", "width", "options", "mean"),
    [
        ("relu", 48, {}, 0.0),
        ("relu", 48, {}, 1.0),
        ("relu", 48, {"init": "orthogonal"}, 1.0),
        ("hard_tanh", 24, {"init": "orthogonal", "weight_gain": 2.5}, 0.0),
    ],
    ids=["zero", "mean", "orthogonal", "hard_tanh"],
)
def test_the_dead_fraction_is_that_of_plain_networks(activation, width, options, mean):
    """Shares of units that do not respond to three samples, of 40,000 networks, within 4.5 standard
    errors. The change from infinite width is 14 of them and more."""
    depth, batch, count = 4, 3, 40_000
    moments = DrawnInputs("normal", width, batch, mean, 1.0).moments()
    stack = Stack.build(activation, depth, width, **options)
    prediction = predict(stack, batch, moments)
    theory = finite_width(stack, batch, moments, prediction, backward=False)
    generator = np.random.default_rng(0)
    x = mean + generator.standard_normal((count, batch, width), dtype=np.float32)
    low, high = (0.0, np.inf) if activation == "relu" else (-1.0, 1.0)
    for layer in range(1, depth + 1):
        z = generator.standard_normal((count, batch, width), dtype=np.float32)
        if "init" in options:  # orthogonal weights take samples to a random frame
            frame, rest = np.linalg.qr(z.swapaxes(1, 2))
            frame *= np.sign(np.diagonal(rest, axis1=1, axis2=2))[:, None]
            z = np.sqrt(width) * frame.swapaxes(1, 2)
        # Pre-activations are Gaussian over units, given the Gram matrix of what is below.
        gram = stack.layer(layer).gain ** 2 / width * np.einsum("nbi,nci->nbc", x, x)
        x = np.linalg.cholesky(gram) @ z
        dead = ((x <= low) | (x >= high)).all(axis=1).mean(axis=1)
        np.clip(x, low, high, out=x)
        error = dead.std() / count**0.5
        assert abs(dead.mean() - theory.expected["dead_fraction"][layer]) < 4.5 * error


def test_the_dead_fraction_is_that_of_plain_networks_with_uniform_weights_and_biases():
    """As above, with matrices that are drawn: few inputs, a share of biases, and weights with a
    fourth cumulant, each of which moves it by 6 standard errors and more."""
    depth, batch, count = 3, 3, 40_000
    options = {"input_width": 16, "init": "lecun_uniform", "weight_gain": 1.5, "bias_std": 0.7}
    stack = Stack.build("hard_tanh", depth, 32, **options)
    moments = DrawnInputs("normal", 16, batch, 1.0, 1.0).moments()
    prediction = predict(stack, batch, moments)
    theory = finite_width(stack, batch, moments, prediction, backward=False)
    generator = np.random.default_rng(0)
    x = 1.0 + generator.standard_normal((count, batch, 16), dtype=np.float32)
    for layer in range(1, depth + 1):
        fan_in = x.shape[2]
        bound = np.float32(1.5 * np.sqrt(3.0 / fan_in))
        weights = bound * (2.0 * generator.random((count, fan_in, 32), dtype=np.float32) - 1.0)
        x = x @ weights + np.float32(0.7) * generator.standard_normal((count, 1, 32), np.float32)
        dead = (np.abs(x) >= 1.0).all(axis=1).mean(axis=1)
        np.clip(x, -1.0, 1.0, out=x)
        error = dead.std() / count**0.5
        assert abs(dead.mean() - theory.expected["dead_fraction"][layer]) < 4.5 * error


@pytest.mark.parametrize("init", ["orthogonal", "lecun_uniform", "lecun_normal"])
def test_uniform_biases_have_one_fourth_cumulant_of_any_samples(init):
    """All samples have the same bias: that of a uniform number is −6/5 of its squared variance."""
    share, products = 0.6, np.array([3.0, 1.2, 1.7, 0.9, 0.6])
    normal = replace(Weights.of(init, 20, 30, weight_gain=1.3), bias_std=0.4)
    uniform = replace(normal, bias_distribution="uniform")
    found, plain = (_shape(layer, share, 0.3, products) for layer in (uniform, normal))
    np.testing.assert_allclose(found - plain, np.full(5, -1.2 * (1.0 - share) ** 2), rtol=1e-12)
