"""Pairs of Gaussians of different size, against an integral over the plane."""

from __future__ import annotations

import math

import numpy as np
import pytest

from snstat.activation import resolve
from snstat.gaussian import position_pairs
from snstat.gaussian.pairs import pair_gap, pair_slope
from snstat.gaussian.position_pairs import LARGEST_ERROR, products, slope_products, square_products

RANGE, PANELS, POINTS = 9.0, 36, 10
NODES, WEIGHTS = np.polynomial.legendre.leggauss(POINTS)
SQUARES = np.array([0.5, 1.3, 2.0])
GRID = np.linspace(-RANGE, RANGE, PANELS + 1)
# Closed form, smooth, a kink at 0, kinks that lie at another z for each size, a pole of width 1e-3.
NAMES = ("relu", "leaky_relu:0.2", "tanh", "gelu", "selu", "relu_squared", "hard_tanh", "relu6")


def panels(edges):
    """Return nodes between the edges, and weights of the normal density."""
    half = np.diff(edges)[:, None] / 2.0
    node = ((edges[1:] + edges[:-1])[:, None] / 2.0 + half * NODES).ravel()
    density = np.exp(-0.5 * node * node) / math.sqrt(2.0 * math.pi)
    return node, (half * WEIGHTS).ravel() * density


def split(kinks):
    """Return nodes and weights of panels that end at the kinks, too."""
    return panels(np.union1d(GRID, kinks[np.abs(kinks) < RANGE]))


def plane(function, kinks, first, second, correlation):
    """Return E[f(z₁)f(z₂)] for Gaussians of these variances."""
    free, scale, total = math.sqrt(1.0 - correlation**2), math.sqrt(second), 0.0
    outer = split(kinks / math.sqrt(first))
    for x, weight, value in zip(*outer, function(math.sqrt(first) * outer[0]), strict=True):
        y, own = split((kinks / scale - correlation * x) / free)
        total += weight * value * (own @ function(scale * (correlation * x + free * y)))
    return total


def squares_of(function, kinks):
    """Return E[f(z)²] of every size."""
    found = []
    for q in SQUARES:
        z, weight = split(kinks / math.sqrt(q))
        found.append(weight @ function(math.sqrt(q) * z) ** 2)
    return np.array(found)


def covariances(correlation):
    """Return those of all pairs of sizes; a size is wholly correlated with itself."""
    root = np.sqrt(SQUARES)
    found = correlation * np.outer(root, root)
    np.fill_diagonal(found, SQUARES)
    return found


@pytest.mark.parametrize("correlation", [-0.6, 0.0, 0.3, 0.9])
@pytest.mark.parametrize("name", NAMES)
def test_products_are_integrals_over_the_plane(name, correlation):
    entry = resolve(name)
    kinks, covariance = np.array(entry.kinks, float), covariances(correlation)
    for function, of in (
        (entry.function, products),
        (entry.derivative, slope_products),
        (lambda x: entry.function(x) ** 2, square_products),
    ):
        squares = squares_of(function, kinks)
        found = of(entry, SQUARES, covariance, squares)
        np.testing.assert_array_equal(found, found.T)
        expected = plane(function, kinks, SQUARES[0], SQUARES[2], correlation)
        # The series ends where 1e-4 of the largest error is left.
        assert found[0, 2] == pytest.approx(expected, abs=1e-4 * LARGEST_ERROR * squares.max())


@pytest.mark.parametrize("name", ["relu", "selu", "tanh", "erf", "sine:2", "hard_swish"])
def test_products_of_equal_size_are_those_of_samples(name):
    """By the closed forms and the quadrature of pairs of samples."""
    entry, q, correlation = resolve(name), 1.7, 0.4
    kinks = np.array(entry.kinks, float)
    z, weight = split(kinks / math.sqrt(q))
    squares = [weight @ f(math.sqrt(q) * z) ** 2 for f in (entry.function, entry.derivative)]
    sizes, covariance = np.full(2, q), q * np.array([[1.0, correlation], [correlation, 1.0]])
    found = products(entry, sizes, covariance, np.full(2, squares[0]))[0, 1]
    expected = squares[0] - pair_gap(entry, q, 1.0 - correlation)
    assert found == pytest.approx(expected, abs=1e-4 * LARGEST_ERROR * squares[0])
    found = slope_products(entry, sizes, covariance, np.full(2, squares[1]))[0, 1]
    expected = pair_slope(entry, q, 1.0 - correlation)
    assert found == pytest.approx(expected, abs=1e-4 * LARGEST_ERROR * squares[1])


def test_what_is_not_known_is_not_a_number():
    """A step, nearly aligned, has more terms than are taken; a fast sine has finer waves than
    nodes."""
    step, aligned = resolve("hard_tanh"), covariances(0.9999)
    squares = squares_of(step.derivative, np.array(step.kinks))
    found = slope_products(step, SQUARES, aligned, squares)
    assert np.isnan(found[0, 2])
    assert np.diagonal(found) == pytest.approx(squares, rel=LARGEST_ERROR)
    sine, sizes = resolve("sine:30"), np.full(2, 1e6)
    assert np.isnan(products(sine, sizes, 0.5e6 * (1.0 + np.eye(2)), np.full(2, 0.5))).all()


def test_silent_positions_have_the_products_of_zero():
    sizes = np.array([0.0, 2.0])
    covariance = np.diag(sizes)
    assert (products(resolve("relu"), sizes, covariance, sizes / 2.0)[0] == 0).all()
    found = products(resolve("sigmoid"), sizes, covariance, np.array([0.25, 0.293]))
    assert np.isnan(found[1]).all()  # not the square of 2
    found = products(resolve("sigmoid"), sizes[:1], covariance[:1, :1], np.array([0.25]))
    assert found[0, 0] == pytest.approx(0.25, rel=1e-12)


@pytest.mark.parametrize("name", ["relu", "tanh"])
def test_tiles_of_pairs_are_those_of_all_pairs_at_once(name, monkeypatch):
    """Tiles of two positions, the last of one, against one tile. Both round alike but for the
    order of the last term."""
    activation, random = resolve(name), np.random.default_rng(3)
    root = random.normal(size=(7, 9))
    covariance = root @ root.T / 9.0
    q = np.diagonal(covariance).copy()
    found = []
    for tile in (256, 2):
        monkeypatch.setattr(position_pairs, "_TILE", tile)
        squares = {}
        for each, function in ((products, "function"), (slope_products, "derivative")):
            nodes, weight = split(np.zeros(1))
            own = getattr(activation, function)(np.sqrt(q)[:, None] * nodes)
            squares[function] = own**2 @ weight
            found.append(each(activation, q, covariance, squares[function]))
    for one, other in zip(found[:2], found[2:], strict=True):
        assert np.isfinite(one).all()
        np.testing.assert_allclose(other, one, rtol=1e-14, atol=1e-15)
        np.testing.assert_array_equal(other, other.T)
