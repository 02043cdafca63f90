"""Jacobians of every kind against differences, of stacks against products of matrices, and what has
to hold of one sample in many columns."""

from __future__ import annotations

import math

import numpy as np
import pytest

from snstat.engine.general import jacobian
from snstat.engine.general.draw import LayerDraw
from snstat.engine.general.jacobian import jacobians, singular_values
from snstat.engine.general.repeated import MOST_COLUMNS, Repeated, copies_for
from snstat.engine.general.sampler import General, Walk
from snstat.engine.general.single import require_single
from snstat.errors import LayerError
from snstat.experiment.inputs import DrawnInputs
from snstat.layers.add import Add
from snstat.layers.attention import Attention
from snstat.layers.batch_norm import BatchNorm
from snstat.layers.block import Block
from snstat.layers.conv import Conv
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


def inputs_of(network, batch=1):
    return DrawnInputs("normal", network.input.units, batch, 0.1, 1.0)


def sampler_of(
    network, *, copies=64, whole=True, dtype="float64", train=True, trials=2, source=0, batch=1
):
    return Repeated(
        network, inputs_of(network, batch), trials, SEED, dtype,
        train=train, depth=network.depth, copies=copies, whole=whole, source=source,
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


def by_differences(network, trial=1, step=1e-6, batch=1):
    """Return the Jacobian of the first sample by itself, by central differences of ordinary runs of
    a batch."""
    sampler = Moved(network, inputs_of(network, batch), 2, SEED, "float64", train=True)
    start = General.first(sampler, trial)

    def last(x):
        sampler.x = x
        walk = Walk(sampler, trial, {0: x})
        for _ in range(network.depth):
            walk.step()
        return walk.values[network.depth][:, 0].ravel().copy()

    columns = []
    for unit in range(start[:, 0].size):
        move = np.zeros(start[:, 0].size)
        move[unit] = step
        moves = np.zeros(start.shape)
        moves[:, 0] = move.reshape(start[:, 0].shape)
        columns.append((last(start + moves) - last(start - moves)) / (2.0 * step))
    return np.array(columns).T


@pytest.mark.parametrize(("name", "grid"), OF_KINDS)
def test_the_jacobian_of_a_kind_is_that_of_differences(name, grid):
    """Rounding of a difference is 1e-16/1e-6; kinks are further away than 1e-6 for this seed. Few
    copies, and segments that are sampled again, give the same."""
    network = Network(input_of(name, grid), fed(name))
    if name in MIXING:
        network = Network(network.input, network.block.evaluated())
    expected = by_differences(network)
    for copies, whole in ((64, True), (3, True), (7, False)):
        found = at_the_end(network, copies=copies, whole=whole)
        np.testing.assert_allclose(found, expected, atol=1e-8 * max(1.0, np.abs(expected).max()))


def normed(name, grid):
    """Return a kind between batch norms, so that samples depend on each other on its both sides."""
    parts = Entry(BatchNorm()), Entry(fed(name)), Entry(BatchNorm())
    return Network(input_of(name, grid), Block(parts))


@pytest.mark.parametrize(("name", "grid"), OF_KINDS)
def test_the_jacobian_of_one_sample_of_a_batch_is_that_of_differences(name, grid):
    """The others stay where they are. The third derivative of two norms of three samples adds up to
    1e3 times 1e-12 to the error of a difference."""
    network = normed(name, grid)
    expected = by_differences(network, batch=3)
    for copies, whole in ((64, True), (3, True), (7, False)):
        found = at_the_end(network, copies=copies, whole=whole, batch=3)
        np.testing.assert_allclose(found, expected, atol=1e-8 * max(1.0, np.abs(expected).max()))


@pytest.mark.parametrize("batch", [1, 2, 4])
def test_a_convolution_before_a_batch_norm_of_few_samples(batch):
    """Of all positions: one sample has a variance as well."""
    parts = (
        Entry(Conv(channels=3, kernel=3, activation="tanh")),
        Entry(BatchNorm()),
        Entry(Conv(channels=2, kernel=2)),
    )
    network = Network(Shape(2, (4, 3)), Block(parts))
    found = at_the_end(network, batch=batch, copies=5)
    expected = by_differences(network, batch=batch)
    assert np.abs(expected).max() > 0.1
    np.testing.assert_allclose(found, expected, atol=1e-8)


def test_a_batch_norm_of_few_samples_has_the_jacobian_of_its_formula():
    """Numpy differentiates (x − m)/s: δ_ij times (1 − 1/B − y²/B)/s, of the first sample alone. Of
    two samples it is ε's alone."""
    network, epsilon = Network(Shape(5), Block((Entry(BatchNorm()),))), 1e-5
    for batch in (2, 3, 4):
        x = sampler_of(network, batch=batch).one_batch(1)
        s = np.sqrt(x.var(axis=1) + epsilon)
        y = (x[:, 0] - x.mean(axis=1)) / s
        expected = np.diag((1.0 - 1.0 / batch - y**2 / batch) / s)
        found = at_the_end(network, batch=batch)
        # 1 − 1/B − y²/B loses all but ε of its digits of two samples.
        np.testing.assert_allclose(found, expected, rtol=1e-13, atol=1e-14 / s.min())


# Batch norm before and behind the layer that the Jacobian is by.
NORMED = (
    *(Entry(Dense(5, "tanh")), Entry(BatchNorm())),
    *(Entry(Dense(6, "relu")), Entry(BatchNorm()), Entry(Dense(4, "tanh"))),
)


@pytest.mark.parametrize("source", [1, 2, 3, 4])
def test_the_jacobian_by_a_layer_between_batch_norms(source):
    """Differences of runs that begin there, of the first of three samples."""
    network = Network(Shape(5), Block(NORMED))
    sampler = General(network, inputs_of(network, 3), 2, SEED, "float64", train=True)
    walk = Walk(sampler, 1, {0: sampler.first(1)})
    for _ in range(source):
        walk.step()
    start = walk.values[source]

    def last(move):
        moved = start.copy()
        moved[:, 0] += move
        walk = Walk(sampler, 1, {source: moved}, source + 1)
        for _ in range(source, network.depth):
            walk.step()
        return walk.values[network.depth][:, 0]

    moves = 1e-6 * np.eye(len(start))
    expected = np.array([(last(move) - last(-move)) / 2e-6 for move in moves]).T
    for copies, whole in ((8, True), (3, False)):
        found = at_the_end(network, batch=3, source=source, copies=copies, whole=whole)
        np.testing.assert_allclose(found, expected, atol=1e-8 * np.abs(expected).max())


def test_a_batch_draws_the_masks_of_a_run():
    """Dropout of a run of four samples, in all copies of them."""
    network = Network(Shape(40), Block((Entry(Dropout(0.5)), Entry(BatchNorm()))))
    found = at_the_end(network, batch=4, copies=3)
    np.testing.assert_allclose(found, by_differences(network, batch=4), atol=1e-8)
    assert 0 < np.count_nonzero(found) < 40


class Masked(Untold):
    """A kind that mixes samples, and draws: x minus its mean over the batch, some of it 0."""

    kind = "masked"
    mixes = True

    def shape(self, inputs):
        return inputs[0]

    def sample(self, inputs, draw):
        (x,) = inputs
        mask = draw.kept(x.shape, 0.3, x.dtype)

        def pull(slope):
            own = mask * slope
            return (own - own.mean(axis=1, keepdims=True),)

        return Pass(mask * (x - x.mean(axis=1, keepdims=True)), pull)


MASKED = Network(Shape(9), Block((Entry(Dense(9, "tanh")), Entry(Masked()), Entry(Dense(8)))))


def test_a_kind_of_your_own_that_mixes_samples_draws_the_same_for_all_copies():
    found = at_the_end(MASKED, batch=3, copies=2)
    np.testing.assert_allclose(found, by_differences(MASKED, batch=3), atol=1e-8)
    single(MASKED)


def test_without_layers_that_mix_samples_a_batch_changes_nothing_but_the_input():
    network = Network(Shape(6), Block((Entry(Dense(5)), Entry(Dense(4)))))
    np.testing.assert_allclose(at_the_end(network, batch=3, copies=2), at_the_end(network))


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
    found = jacobians(sampler_of(network, copies=3), 0, [1, 3], shapes)
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
    sampler = sampler_of(network, dtype=dtype, copies=2)
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
def test_a_kind_says_whether_it_mixes_samples(name, grid):
    shape = input_of(name, grid)
    first = Entry(Dense(shape.channels, "tanh"), name="first")
    network = Network(shape, Block((first, *fed(name).entries)))
    single(network)
    assert any(row.layer.mixes for row in network.rows()) == (name in MIXING)


class Quiet(BatchNorm):
    """A batch norm that does not say that it mixes samples."""

    mixes = False


def test_a_kind_that_mixes_samples_and_does_not_say_so_is_refused_by_name():
    first = Entry(Dense(5, "tanh"), name="first")
    for others in ((), (Entry(BatchNorm()),)):
        network = Network(Shape(5), Block((first, *others, Entry(Quiet()))))
        with pytest.raises(LayerError, match=r"layer \d: layer is 'batch_norm'.*eval mode"):
            single(network)
        single(network, train=False)


class Noisy(Untold):
    """Numbers that differ between samples, which no kind may draw for a Jacobian."""

    kind = "noisy"

    def shape(self, inputs):
        return inputs[0]

    def sample(self, inputs, draw):
        noise = draw.uniform(inputs[0].shape)
        return Pass(inputs[0] * noise, lambda slope: (slope * noise,))


def test_a_kind_whose_draws_differ_between_samples_is_refused():
    for others in ((), (Entry(BatchNorm()),)):
        with pytest.raises(LayerError, match="draws the same numbers for all samples"):
            single(Network(Shape(5), Block((*others, Entry(Noisy())))))


def test_a_network_that_is_not_finite_is_not_said_to_mix():
    layers = tuple(Entry(Dense(5, "relu_squared", weight_gain=1e60)) for _ in range(9))
    single(Network(Shape(5), Block(layers)))


def test_columns_are_as_many_as_fit():
    network = Network(Shape(64), Block((Entry(Dense(64, "relu")),), 4))
    copies, whole, needed = copies_for(network, 4, 64, "float64", 1)
    assert (copies, whole) == (64, True)
    # What is kept of four layers, and what a layer needs meanwhile.
    kept = sum(row.layer.kept * 64 for row in network.rows())
    assert needed == 64 * 8 * (kept + 10 * 64)
    assert copies_for(network, 4, 10**6, "float64", 1)[0] == MOST_COLUMNS
    # Attention keeps how much every token reads of every other, which is more than its output.
    tokens = Shape(8, (32,))
    reads = copies_for(Network(tokens, Attention(heads=4)), 1, 8 * 32, "float64", 1)[2]
    assert reads > 8 * 8 * 32 * (4 * 32 * 32)
    deep = Network(Shape(64), Block((Entry(Dense(64, "relu")),), 100_000))
    copies, whole, needed = copies_for(deep, 100_000, 64, "float64", 2)
    assert (copies, whole) == (64, False)
    # Segments of √depth: at most three times as much as 100,000/316 layers, for each trial.
    assert needed < 2 * 64 * 8 * (3 * 64 * layer_of("dense").kept * 320 + 10 * 64)


def test_copies_of_a_batch_are_as_many_as_fit():
    """512 columns at once, and 64 where memory is short; they need what their columns need."""
    network = Network(Shape(64), Block((Entry(Dense(64, "relu")), Entry(BatchNorm())), 4))
    one = copies_for(network, 8, 512, "float64", 1)
    for batch, copies in ((8, 64), (100, 5), (512, 1)):
        found = copies_for(network, 8, 512, "float64", 1, batch=batch)
        assert found[:2] == (copies, True)
        assert found[2] == one[2] * batch * copies / 512
    assert copies_for(network, 8, 512, "float64", 1, batch=10_000)[0] == 1
    # A block of starts goes together.
    assert copies_for(network, 8, 16, "float64", 1, batch=10_000, least=16)[0] == 16
    deep = Network(Shape(64), Block((Entry(Dense(64, "relu")),), 100_000))
    assert copies_for(deep, 100_000, 64, "float64", 1, batch=8)[:2] == (64, False)
