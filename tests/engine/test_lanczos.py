"""The Lanczos method against numpy's decompositions: products of every kind with the Jacobian, the
largest values with their errors, averages, and bounds of shares."""

from __future__ import annotations

import math

import numpy as np
import pytest

from snstat.engine.general.lanczos import STARTS, Ritz, ritz_values, sizes
from snstat.engine.general.products import Products
from snstat.engine.general.repeated import Repeated
from snstat.engine.general.sampler import Walk
from snstat.engine.general.tangents import Tangents
from snstat.layers.activation import Activation
from snstat.layers.add import Add
from snstat.layers.batch_norm import BatchNorm
from snstat.layers.block import Block
from snstat.layers.conv import Conv
from snstat.layers.dense import Dense
from snstat.layers.entry import Entry
from snstat.layers.multiply import Multiply
from snstat.layers.scale import Scale
from snstat.layers.shape import Shape
from snstat.network.network import Network
from snstat.results import Lanczos
from tests.engine.test_jacobian import (
    MASKED,
    MIXING,
    NORMED,
    OF_KINDS,
    SEED,
    at_the_end,
    inputs_of,
    normed,
    sampler_of,
    shape_of,
)
from tests.layers.kinds import fed
from tests.layers.kinds import shape_of as input_of


class Matrix:
    """Products with a matrix that is there."""

    stopped = False

    def __init__(self, values):
        self.values = values

    def pulled(self, rows):
        with np.errstate(invalid="ignore"):
            return rows @ self.values

    def pushed(self, rows):
        with np.errstate(invalid="ignore"):
            return rows @ self.values.T


def drawn(rows, columns, layers=3):
    """A product of random matrices, whose singular values are spread over decades."""
    random = np.random.default_rng(7)
    found = np.eye(columns)
    for fan_out in [columns] * (layers - 1) + [rows]:
        found = random.normal(size=(fan_out, len(found))) @ found / math.sqrt(len(found))
    return found


def ritz(matrix, steps=5):
    return ritz_values(Matrix(matrix), matrix.shape, steps, np.random.default_rng(1))


def starts_of(matrix):
    """How much the starts that `ritz` draws have of each singular vector of the smaller side."""
    small = matrix if len(matrix) <= matrix.shape[1] else matrix.T
    random = np.random.default_rng(1)
    count = sizes(*matrix.shape, 5)[0]
    block = np.linalg.qr(random.standard_normal((len(small), count)))[0]
    left, values, _ = np.linalg.svd(small)
    return values, (left.T @ block) ** 2  # (values, starts)


def products_of(network, *, whole=True, copies=4, trial=1, source=0, batch=1):
    options = {"train": True, "depth": network.depth, "copies": copies, "whole": whole}
    options["source"] = source
    made = [
        kind(network, inputs_of(network, batch), trial + 1, SEED, "float64", **options)
        for kind in (Repeated, Tangents)
    ]
    return Products(*made, trial, shape_of(network))


def require_products(network, *, allowed, trial=1, **options):
    """Compare products from both sides with the Jacobian."""
    jacobian = at_the_end(network, trial, trials=trial + 1, **options)
    random = np.random.default_rng(0)
    for whole in (True, False):
        products = products_of(network, whole=whole, trial=trial, **options)
        left, right = (random.normal(size=(4, units)) for units in jacobian.shape)
        size = np.abs(jacobian).max() or 1.0
        found = products.pulled(left)  # which sets the scale
        assert np.abs(found).max() == pytest.approx(1.0 if jacobian.any() else 0.0, rel=1e-12)
        scale = math.exp(0.5 * products.log)
        np.testing.assert_allclose(scale * found, left @ jacobian, atol=1e-13 * size)
        found = scale * products.pushed(right)
        np.testing.assert_allclose(found, right @ jacobian.T, atol=allowed * size)


@pytest.mark.parametrize(("name", "grid"), OF_KINDS)
def test_products_from_both_sides_are_those_of_the_jacobian(name, grid):
    """Differences of float64 are off by 2^25 rounding errors, 7e-9, for each of a few operations;
    the sum over up to 175 units adds another factor of ten."""
    network = Network(input_of(name, grid), fed(name))
    if name in MIXING:
        network = Network(network.input, network.block.evaluated())
    require_products(network, allowed=3e-7)


@pytest.mark.parametrize(("name", "grid"), OF_KINDS)
def test_products_of_one_sample_of_a_batch_are_those_of_its_jacobian(name, grid):
    """As above; the norms around the kind are two operations more."""
    require_products(normed(name, grid), allowed=3e-7, batch=3)


@pytest.mark.parametrize("batch", [1, 2, 4])
def test_products_of_few_samples_of_a_convolution(batch):
    parts = (
        Entry(Conv(channels=3, kernel=3, activation="relu")),
        Entry(BatchNorm()),
        Entry(Conv(channels=2, kernel=2)),
    )
    require_products(Network(Shape(2, (4, 3)), Block(parts)), allowed=3e-7, batch=batch)


# A residual around the layer that the Jacobian is by, a second input, and a sum of both.
PARTS = (
    Entry(Dense(6, "tanh")),
    Entry(Dense(6, "selu"), (), "source"),
    Entry(Dense(6, "tanh"), (0,)),
    Entry(Add(), (2, 3)),
    Entry(Multiply(), (1, 4)),
    Entry(Dense(6, "tanh")),
)


@pytest.mark.parametrize("source", [1, 2, 3, 4])
def test_products_with_the_jacobian_by_a_layer(source):
    """What does not depend on it stays as it is."""
    network = Network(Shape(4), Block(PARTS))
    jacobian = at_the_end(network, source=source)
    products = products_of(network, copies=6, source=source)
    pulled = products.pulled(np.eye(6))
    scale = math.exp(0.5 * products.log)
    size = np.abs(jacobian).max()
    assert size > 0
    np.testing.assert_allclose(scale * pulled, jacobian, atol=1e-12 * size)
    np.testing.assert_allclose(scale * products.pushed(np.eye(6)), jacobian.T, atol=1e-7 * size)


@pytest.mark.parametrize("grid", [(3,), (3, 2)])
@pytest.mark.parametrize("source", [1, 2, 3])
def test_products_with_the_jacobian_by_a_layer_on_a_grid(source, grid):
    """What does not depend on it has the shape of its grid too."""
    conv = Conv(channels=2, kernel=2, activation="tanh")
    entries = Entry(conv), Entry(conv, (0,)), Entry(Add(), (0, 2)), Entry(Multiply(), (1, 3))
    require_products(Network(Shape(2, grid), Block(entries)), allowed=3e-7, source=source)


@pytest.mark.parametrize("source", [0, 1, 2, 3, 4])
def test_products_with_the_jacobian_by_a_layer_between_batch_norms(source):
    """What is before that layer stays as it is."""
    require_products(Network(Shape(5), Block(NORMED)), allowed=3e-7, batch=3, source=source)


def test_products_of_a_kind_of_your_own_that_mixes_samples():
    """All copies have the masks of one."""
    require_products(MASKED, allowed=3e-7, batch=3)


def test_what_reaches_a_sample_through_the_others_alone_moves_them_little():
    """Of one unit of ReLU, which does not respond to the first sample in about half of the trials:
    it then depends on its input through the statistics of the second batch norm alone.
    With three others that respond, that is about a hundredth of what the layers before have, beside
    which rounding is 3e-7."""
    parts = Dense(2), BatchNorm(), Dense(1, "relu"), BatchNorm(), Dense(3, "tanh")
    network = Network(Shape(3), Block(tuple(map(Entry, parts))))
    dead = 0
    for trial in range(8):
        sampler = sampler_of(network, batch=6, trials=8, copies=1)
        walk = Walk(sampler, trial, {0: sampler.first(trial)})
        for _ in range(3):
            walk.step()
        values = walk.values[3][0]
        if values[0] == 0.0 and np.count_nonzero(values) > 2:
            dead += 1
            require_products(network, allowed=3e-5, batch=6, trial=trial)
    assert dead > 1


def test_a_sample_that_is_small_in_its_batch_moves_as_far_as_the_batch_is_wide(monkeypatch):
    """By 3e-8 of its own size it would move by less than the norm's rounding of the others."""
    one_batch = Repeated.one_batch

    def with_small_sample(sampler, number):
        return one_batch(sampler, number) * [1e-7, 1.0, 1.0]

    monkeypatch.setattr(Repeated, "one_batch", with_small_sample)
    require_products(Network(Shape(5), Block(NORMED[1:])), allowed=3e-7, batch=3)


def test_a_kink_beside_the_sample_has_the_slope_that_the_way_back_takes():
    """Functions of users need not be the derivative of each other, nor continuous."""

    def sign(x):
        return np.sign(x)

    def through(x):
        return np.where(np.abs(x) < 1.0, 1.0, 0.5)

    entries = (Entry(Dense(6)), Entry(Activation((sign, through))))
    network = Network(Shape(6), Block(entries))
    jacobian = at_the_end(network)
    products = products_of(network, copies=6)
    scale = math.exp(0.5 * products.log) if products.pulled(np.eye(6)) is not None else 1.0
    np.testing.assert_allclose(scale * products.pushed(np.eye(6)), jacobian.T, atol=1e-7)


def test_products_with_a_jacobian_of_zeros_are_zeros():
    require_products(Network(Shape(4), Block((Entry(Dense(5)), Entry(Scale(0.0))))), allowed=0.0)


def test_scales_beyond_a_float_are_carried_as_logarithms():
    network = Network(Shape(3), Block(tuple(Entry(Scale(1e-3)) for _ in range(120))))
    products = products_of(network, copies=3)
    found = ritz_values(products, (3, 3), 1, np.random.default_rng(0))
    assert 0.5 * products.log / math.log(10.0) < -300
    logs = np.log10(found.values) + 0.5 * products.log / math.log(10.0)
    np.testing.assert_allclose(logs, -360.0, atol=1e-5)


@pytest.mark.parametrize("shape", [(90, 120), (120, 90), (100, 100)])
def test_the_largest_values_are_those_of_numpy_within_their_errors(shape):
    matrix = drawn(*shape)
    found, exact = ritz(matrix), np.linalg.svd(matrix, compute_uv=False)
    assert found.values.shape == (5 * STARTS,)
    assert (np.diff(found.values) <= 0).all()
    apart = np.abs(found.values[:, None] - exact).min(axis=1)
    assert (apart <= found.errors).all()
    assert found.errors[0] < 1e-4 * exact[0]
    np.testing.assert_allclose(found.values[:3], exact[:3], rtol=1e-7)


@pytest.mark.parametrize("shape", [(90, 120), (120, 90)])
def test_moments_are_those_of_the_starts(shape):
    """A quadrature of five steps is exact for σ² to the power of 9, of each start too."""
    matrix = drawn(*shape)
    found = ritz(matrix)
    exact, parts = starts_of(matrix)
    for power in (0, 1, 2, 5, 9):
        scale = exact[0] ** (2 * power)
        expected = parts.T @ (exact ** (2 * power) / scale)
        own = (found.masses * (found.nodes ** (2 * power) / scale)).sum(axis=1)
        np.testing.assert_allclose(own, expected, rtol=1e-9)
        both = found.weights @ (found.values ** (2 * power) / scale)
        assert both == pytest.approx(expected.mean(), rel=1e-9)


def test_shares_lie_between_their_bounds():
    """Of the starts, at every bound; one may be far from a node."""
    matrix = drawn(150, 150)
    found, (exact, parts) = ritz(matrix), starts_of(matrix)
    told = Lanczos(150, *(np.array([part]) for part in found[1:]))
    bounds = np.geomspace(1e-3, 1.1, 200) * exact[0]
    low, high = told.shares(bounds[None])
    true = (parts.mean(axis=1)[:, None] * (exact[:, None] <= bounds)).sum(axis=0)
    assert (low[0] <= true + 1e-9).all()
    assert (true <= high[0] + 1e-9).all()
    # They say something: at the median too.
    assert np.min(high - low) < 0.1
    own = (found.weights[:, None] * (found.values[:, None] <= bounds)).sum(axis=0)
    assert (low[0] <= own + 1e-9).all()
    assert (own <= high[0] + 1e-9).all()


def test_as_many_products_as_units_find_all_values():
    matrix = drawn(48, 60)
    exact = np.linalg.svd(matrix, compute_uv=False)
    found = ritz(matrix, steps=9)
    np.testing.assert_allclose(found.values, exact, atol=1e-7 * exact[0])


@pytest.mark.parametrize("rank", [0, 1, 20])
def test_few_dimensions_are_exhausted(rank):
    """After the second step nothing new comes; the rest of the space has singular value 0."""
    random = np.random.default_rng(2)
    matrix = random.normal(size=(90, rank)) @ random.normal(size=(rank, 100))
    exact = np.linalg.svd(matrix, compute_uv=False)
    found = ritz(matrix)
    np.testing.assert_allclose(found.values[:20], exact[:20], atol=1e-6 * (exact[0] or 1.0))
    assert (found.values[rank:] <= 1e-6 * exact[0]).all()
    assert found.weights.sum() == pytest.approx(1.0)
    np.testing.assert_allclose(found.masses.sum(axis=1), 1.0)
    parts = starts_of(matrix)[1]
    zero = found.weights[found.values <= 1e-6 * exact[0]].sum()
    assert zero == pytest.approx(parts[rank:].mean(axis=1).sum(), abs=1e-9)


@pytest.mark.parametrize("shape", [(1, 40), (40, 1), (2, 40), (40, 2)])
def test_errors_are_at_least_the_rounding_of_the_largest_value(shape):
    """Of one unit, and of two whose values are a million apart. Squares of values have the rounding
    of the largest square, and so half of the digits."""
    matrix = drawn(*shape, layers=1)
    matrix *= np.geomspace(1.0, 1e-6, min(shape)).reshape((-1, 1) if shape[0] < 3 else (1, -1))
    found, exact = ritz(matrix), np.linalg.svd(matrix, compute_uv=False)
    assert found.values.shape == exact.shape
    assert (np.abs(found.values - exact) <= found.errors).all()
    assert (found.errors >= math.sqrt(np.finfo(float).eps) * exact[0]).all()
    assert found.errors[0] <= 1e-6 * exact[0]


def test_what_is_not_finite_has_no_values():
    found = ritz(np.full((90, 90), math.inf))
    assert np.isnan(found.values).all()
    whole = Ritz(*(np.ones(3),) * 3, np.ones((3, 1)), np.ones((3, 1)))
    assert np.isnan(whole.scaled(800.0).values).all()
    np.testing.assert_allclose(whole.scaled(2.0).nodes, math.exp(2.0))


def test_a_stop_ends_all_products():
    network = Network(Shape(4), Block((Entry(Dense(5)),)))
    for whole in (True, False):
        products = products_of(network, whole=whole)
        products.tangents.stop[0] = products.sampler.stop[0] = 1
        assert not products.pushed(np.ones((4, 4))).any()
        assert ritz_values(products, (5, 4), 1, np.random.default_rng(0)) is None
