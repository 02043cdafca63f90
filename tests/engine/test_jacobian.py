"""Jacobians of every kind against differences, of stacks against products of matrices, and what has
to hold of one sample in many columns."""

from __future__ import annotations

import math

import numpy as np
import pytest

from snstat.engine.general import jacobian
from snstat.engine.general.draw import LayerDraw
from snstat.engine.general.jacobian import jacobians, singular_values
from snstat.engine.general.repeated import MOST_COLUMNS, Repeated, columns_for
from snstat.engine.general.sampler import General, Walk
from snstat.engine.general.single import require_single
from snstat.errors import LayerError
from snstat.experiment.inputs import DrawnInputs
from snstat.layers.add import Add
from snstat.layers.attention import Attention
from snstat.layers.block import Block
from snstat.layers.dense import Dense
from snstat.layers.draw import Pass
from snstat.layers.dropout import Dropout
from snstat.layers.entry import Entry
from snstat.layers.initialisers import INITIALISERS
from snstat.layers.registry import KINDS
from snstat.layers.scale import Scale
from snstat.layers.shape import Shape
from snstat.network.network import Network
from tests.layers.kinds import TOKENS, fed, grids_of, layer_of
from tests.layers.kinds import shape_of as input_of
from tests.layers.untold import Untold

SEED = 3
# The kinds whose samples depend on each other in train mode.
MIXING = {"batch_norm"}
# Tokens have no small changes.
OF_KINDS = [(name, grid) for name in KINDS if name not in TOKENS for grid in grids_of(name)]


def inputs_of(network):
    return DrawnInputs("normal", network.input.units, 1, 0.1, 1.0)


def sampler_of(network, *, columns=64, whole=True, dtype="float64", train=True, trials=2, source=0):
    return Repeated(
        network, inputs_of(network), trials, SEED, dtype,
        train=train, depth=network.depth, columns=columns, whole=whole, source=source,
    )  # fmt: skip


def shape_of(network):
    return network.block.shape([network.input])


def at_the_end(network, trial=1, **options):
    """Return the Jacobian of the last layer."""
    sampler = sampler_of(network, **options)
    (found,) = jacobians(sampler, trial, [network.depth], [shape_of(network)])
    return found.values * math.exp(0.5 * found.log)


class Moved(General):
    """A sampler of one sample whose input is given."""

    x = None

    def first(self, number):  # noqa: ARG002
        return self.x


def by_differences(network, trial=1, step=1e-6):
    """Return the Jacobian by central differences of an ordinary run of one sample."""
    sampler = Moved(network, inputs_of(network), 2, SEED, "float64", train=True)
    start = General.first(sampler, trial)

    def last(x):
        sampler.x = x
        walk = Walk(sampler, trial, {0: x})
        for _ in range(network.depth):
            walk.step()
        return walk.values[network.depth].ravel().copy()

    columns = []
    for unit in range(start.size):
        move = np.zeros(start.size)
        move[unit] = step
        move = move.reshape(start.shape)
        columns.append((last(start + move) - last(start - move)) / (2.0 * step))
    return np.array(columns).T


@pytest.mark.parametrize(("name", "grid"), OF_KINDS)
def test_the_jacobian_of_a_kind_is_that_of_differences(name, grid):
    """Rounding of a difference is 1e-16/1e-6; kinks are further away than 1e-6 for this seed. Few
    columns, and segments that are sampled again, give the same."""
    network = Network(input_of(name, grid), fed(name))
    if name in MIXING:
        network = Network(network.input, network.block.evaluated())
    expected = by_differences(network)
    for columns, whole in ((64, True), (3, True), (7, False)):
        found = at_the_end(network, columns=columns, whole=whole)
        np.testing.assert_allclose(found, expected, atol=1e-8 * max(1.0, np.abs(expected).max()))


@pytest.mark.parametrize("init", [name for name in INITIALISERS if name != "torch_default"])
def test_the_singular_values_of_a_stack_are_those_of_the_product_of_its_matrices(init):
    """Numpy decomposes a product of D W that is built from the matrices and pre-activations."""
    network = Network(Shape(12), Block((Entry(Dense(9, "tanh", init=init), name="a"),), times=3))
    sampler = General(network, inputs_of(network), 2, SEED, "float64", train=True)
    x, product = sampler.first(1), np.eye(12)
    for number, row in enumerate(network.rows(), 1):
        (weights,) = row.layer.matrices(row.before)
        matrix, _ = LayerDraw(sampler.workshop, 1, number).matrix(weights)
        z = matrix @ x
        product = (1.0 - np.tanh(z) ** 2) * matrix @ product
        x = np.tanh(z)
    (found,) = jacobians(sampler_of(network), 1, [3], [Shape(9)])
    expected = np.linalg.svd(product, compute_uv=False)
    np.testing.assert_allclose(singular_values(found), expected, rtol=0, atol=1e-13 * expected[0])


def test_several_layers_are_pulled_back_from_at_once():
    network = Network(Shape(6), Block((Entry(Dense(8, "gelu")), Entry(Dense(4)), Entry(Dense(7)))))
    shapes = [Shape(8), Shape(7)]
    found = jacobians(sampler_of(network, columns=3), 0, [1, 3], shapes)
    first = Network(Shape(6), Block(network.block.entries[:1]))
    np.testing.assert_allclose(found[0].values, at_the_end(first, trial=0), rtol=1e-13)
    np.testing.assert_allclose(found[1].values, at_the_end(network, trial=0), rtol=1e-13)
    assert [own.values.shape for own in found] == [(8, 6), (7, 6)]


@pytest.mark.parametrize("whole", [True, False])
def test_the_jacobian_by_a_layer_makes_the_chain_rule_hold(whole):
    layers = [Dense(5, "tanh"), Dense(7, "relu"), Dense(4, "selu"), Dense(6, "tanh")]
    network = Network(Shape(3), Block(tuple(map(Entry, layers)), 2))
    sampler = sampler_of(network, whole=whole)
    shapes = [row.after for row in network.rows([3, 8])]
    first, all_of_it = jacobians(sampler, 1, [3, 8], shapes)
    (rest,) = jacobians(sampler_of(network, whole=whole, source=3), 1, [8], shapes[1:])
    scale = math.exp(0.5 * (first.log + rest.log - all_of_it.log))
    np.testing.assert_allclose(
        scale * rest.values @ first.values, all_of_it.values, rtol=1e-12, atol=1e-14
    )


def test_what_goes_past_a_layer_is_no_part_of_its_jacobian():
    """x1 + W x1 + x0 is 1 + W by x1."""
    entries = Entry(Dense(4)), Entry(Dense(4)), Entry(Add(), (0, 1, 2))
    network = Network(Shape(4), Block(entries))
    (alone,) = jacobians(sampler_of(network, source=1), 1, [2], [Shape(4)])
    own = at_the_end(network, source=1)
    np.testing.assert_allclose(
        own, np.eye(4) + math.exp(0.5 * alone.log) * alone.values, rtol=1e-13, atol=1e-15
    )
    # The second layer has another input of its own beside.
    beside = Network(Shape(4), Block((Entry(Dense(4)), Entry(Scale(2.0), (0,)))))
    assert not at_the_end(beside, source=1).any()


def test_all_columns_have_one_mask():
    """That of a run of one sample: a diagonal of 0 and 1/(1 − rate)."""
    network = Network(Shape(200), Block((Entry(Dropout(0.25)),)))
    found = at_the_end(network)
    assert np.count_nonzero(found - np.diag(np.diag(found))) == 0
    np.testing.assert_allclose(found, by_differences(network), atol=1e-9)
    # 150 are kept; six standard deviations of √(200·3/16).
    assert abs(np.count_nonzero(found) - 150) < 37


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("factor", [1e-3, 1e3])
def test_scales_beyond_the_dtype_are_carried_as_logarithms(dtype, factor):
    """Sixty layers change gradients by 1e±180; the product with its inverse is that of none."""
    shrinking = tuple(Entry(Scale(factor)) for _ in range(60))
    network = Network(Shape(3), Block(shrinking))
    sampler = sampler_of(network, dtype=dtype, columns=2)
    (found,) = jacobians(sampler, 0, [60], [Shape(3)])
    # Each factor is rounded to the dtype once, and logarithms of 400 lose three digits.
    tolerance = 60 * float(np.finfo(dtype).eps) + 1e-12
    assert found.log / 2 + math.log(found.values[0, 0]) == pytest.approx(
        60 * math.log(factor), abs=tolerance
    )
    values = singular_values(found)
    np.testing.assert_allclose(values, factor**60, rtol=tolerance)


def test_a_jacobian_that_is_not_finite_has_no_singular_values():
    values = np.eye(3)
    values[0, 0] = math.inf
    assert np.isnan(singular_values(jacobian.Jacobian(values, 0.0))).all()
    assert np.isnan(singular_values(jacobian.Jacobian(np.eye(3), 3000.0))).all()


@pytest.mark.parametrize("shape", [(9, 5), (5, 9), (6, 6)])
def test_units_that_do_not_respond_have_singular_values_of_zero(shape):
    values = np.random.default_rng(0).standard_normal(shape)
    values[[0, 2, 3]] = 0.0
    found = singular_values(jacobian.Jacobian(values, 2.0 * math.log(3.0)))
    expected = 3.0 * np.linalg.svd(values, compute_uv=False)
    # Rounding of numpy's own zeros is 1e-16 of the largest.
    np.testing.assert_allclose(found, expected, rtol=1e-13, atol=1e-14)
    assert found.shape == (min(shape),)
    assert (np.diff(found) <= 0).all()


def test_what_the_input_does_not_reach_has_a_jacobian_of_zeros():
    network = Network(Shape(4), Block((Entry(Dense(5)), Entry(Scale(0.0)))))
    assert not at_the_end(network).any()


def test_a_stop_ends_the_way_back():
    network = Network(Shape(4), Block((Entry(Dense(5)),)))
    for whole in (True, False):
        sampler = sampler_of(network, whole=whole)
        sampler.stop[0] = 1
        assert jacobians(sampler, 0, [1], [Shape(5)]) is None


def single(network, *, train=True):
    require_single(network, inputs_of(network), SEED, "float64", train=train, depth=network.depth)


@pytest.mark.parametrize(("name", "grid"), OF_KINDS)
def test_a_kind_that_mixes_samples_is_refused_by_name(name, grid):
    shape = input_of(name, grid)
    first = Entry(Dense(shape.channels, "tanh"), name="first")
    network = Network(shape, Block((first, *fed(name).entries)))
    if name not in MIXING:
        single(network)
        return
    with pytest.raises(LayerError, match="layer 1: layer is 'batch_norm'"):
        single(network)
    single(network, train=False)


class Noisy(Untold):
    """Numbers that differ between samples, which no kind may draw for a Jacobian."""

    kind = "noisy"

    def shape(self, inputs):
        return inputs[0]

    def sample(self, inputs, draw):
        noise = draw.uniform(inputs[0].shape)
        return Pass(inputs[0] + noise, lambda slope: (slope,))


def test_a_kind_whose_draws_differ_between_samples_is_refused():
    with pytest.raises(LayerError, match="draws the same numbers for all samples"):
        single(Network(Shape(5), Block((Entry(Noisy()),))))


def test_a_network_that_is_not_finite_is_not_said_to_mix():
    layers = tuple(Entry(Dense(5, "relu_squared", weight_gain=1e60)) for _ in range(9))
    single(Network(Shape(5), Block(layers)))


def test_columns_are_as_many_as_fit():
    network = Network(Shape(64), Block((Entry(Dense(64, "relu")),), 4))
    columns, whole, needed = columns_for(network, 4, 64, "float64", 1)
    assert (columns, whole) == (64, True)
    # What is kept of four layers, and what a layer needs meanwhile.
    kept = sum(row.layer.kept * 64 for row in network.rows())
    assert needed == 64 * 8 * (kept + 10 * 64)
    assert columns_for(network, 4, 10**6, "float64", 1)[0] == MOST_COLUMNS
    # Attention keeps how much every token reads of every other, which is more than its output.
    tokens = Shape(8, (32,))
    reads = columns_for(Network(tokens, Attention(heads=4)), 1, 8 * 32, "float64", 1)[2]
    assert reads > 8 * 8 * 32 * (4 * 32 * 32)
    deep = Network(Shape(64), Block((Entry(Dense(64, "relu")),), 100_000))
    columns, whole, needed = columns_for(deep, 100_000, 64, "float64", 2)
    assert (columns, whole) == (64, False)
    # Segments of √depth: at most three times as much as 100,000/316 layers, for each trial.
    assert needed < 2 * 64 * 8 * (3 * 64 * layer_of("dense").kept * 320 + 10 * 64)
