"""Theory of any network, against the fast theory of uniform stacks."""

from __future__ import annotations

import math
import tracemalloc
from dataclasses import fields

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from snstat.experiment.data import DataInputs, check_data
from snstat.experiment.inputs import DrawnInputs
from snstat.layers.activation import Activation
from snstat.layers.batch_norm import BatchNorm
from snstat.layers.block import Block
from snstat.layers.conv import Conv
from snstat.layers.dense import Dense
from snstat.layers.entry import Entry
from snstat.layers.global_mean_pool import GlobalMeanPool
from snstat.layers.law import OTHER
from snstat.layers.shape import Shape
from snstat.layers.signal import Signal
from snstat.network.network import Network
from snstat.network.stack import Stack
from snstat.theory import start
from snstat.theory.finite_width import finite_width
from snstat.theory.predict import predict
from snstat.theory.walk import walk
from tests.network.stacks import stacks

# Relative to the size of each number, with what underflows counted as 0.
CLOSE, NOTHING = 1e-13, 1e-290
# Of a sum, for each of its terms.
ROUNDING = 2.0**-53


def drawn(width, batch=8, mean=0.0, std=1.0):
    return DrawnInputs("normal", width, batch, mean, std).moments()


def assert_alike(stack, batch, inputs):
    found = walk(Network.of(stack), batch, inputs)
    theory = predict(stack, batch, inputs)
    second = theory.statistics["second_moment"]
    gap = theory.pairs().gap
    logs = theory.log_gradient
    terms = max(CLOSE, stack.depth * ROUNDING)
    pairs = [
        (found.mean, theory.statistics["mean"], CLOSE * np.sqrt(second) + math.sqrt(NOTHING)),
        (found.second_moment, second, CLOSE * second + NOTHING),
        (found.gap[1:], gap[1:], CLOSE * np.abs(gap[1:]) + NOTHING),
        (found.log_gradient, logs, terms * np.maximum(np.abs(logs), 1.0)),
    ]
    # Of a size that overflows, theory of stacks knows less: no mean, no gradient.
    for mine, theirs, allowed in pairs:
        large = np.isnan(second)[-len(mine) :]
        there = np.isfinite(theirs)
        assert np.array_equal(mine[~there & ~large], theirs[~there & ~large], equal_nan=True)
        assert (np.abs(mine[there] - theirs[there]) <= allowed[there]).all()


@given(stacks(), st.sampled_from([1, 8]), st.sampled_from([(0.0, 1.0), (0.7, 2.0), (0.0, 0.0)]))
def test_the_walk_is_the_theory_of_stacks(stack, batch, law):
    assert_alike(stack, batch, drawn(stack.width_of(0), batch, *law))


@pytest.mark.parametrize(
    "stack",
    [
        Stack.build("selu", 300, 64),
        Stack.build("tanh", 500, 64, weight_gain=1.5, bias_std=0.1),
        Stack.build("gelu", 600, 64),
        Stack.build("relu", 2000, 64, weight_gain=3.0),  # overflows
        Stack.build("relu", 2000, 64, weight_gain=0.5),  # underflows
        Stack.build("relu", 50, 64, weight_gain=0.0),
        Stack.build("tanh", widths="30,60*100,20*300,5", last="linear"),
        Stack.build("leaky_relu:0.2", 400, 32, last="sigmoid"),
    ],
    ids=lambda stack: f"{stack.activation}-{stack.depth}",
)
def test_the_walk_is_the_theory_of_deep_stacks(stack):
    assert_alike(stack, 8, drawn(stack.width_of(0)))


@pytest.mark.parametrize("batch", [1, 8])
@pytest.mark.parametrize(
    "stack",
    [
        Stack.build("selu", 300, 64),
        Stack.build("relu", 20, 50, init="he_uniform", input_width=30),
        Stack.build("tanh", 30, 40, init="torch_default"),
        Stack.build("gelu", 12, 128, init="orthogonal", bias_std=0.2),
        Stack.build("tanh", widths="30,60*20,20*50,5", last="linear"),
        Stack.build("relu", 10, 8, weight_gain=0.0),
    ],
    ids=lambda stack: f"{stack.activation}-{stack.init}",
)
def test_fluctuations_are_those_of_stacks(stack, batch):
    """Tolerance: states differ by rounding, which derivatives of expectations multiply."""
    inputs = drawn(stack.width_of(0), batch, 0.3)
    theory = predict(stack, batch, inputs)
    known = finite_width(stack, batch, inputs, theory)
    found = walk(Network.of(stack), batch, inputs)
    second = theory.statistics["second_moment"]
    there = np.isfinite(known.expected["second_moment"])
    there[0] = False
    assert there[1:3].all()  # with uniform biases, no more is known
    assert np.sqrt(found.variance[there]) == pytest.approx(known.fluctuation[there], rel=1e-9)
    expected, residual = (second * part for part in (1.0 + found.bias, found.residual))
    assert expected[there] == pytest.approx(known.expected["second_moment"][there], rel=1e-11)
    assert residual[there] == pytest.approx(known.residual["second_moment"][there], rel=1e-8)


def test_a_linear_layer_and_its_activation_fluctuate_as_one():
    joint = Block((Entry(Dense(20, "relu")),), 5)
    linear = Dense(20, init="he_normal")
    apart = Block((Entry(linear), Entry(Activation("relu"))), 5)
    one, two = (walk(Network(Shape(20), block), 4, drawn(20)) for block in (joint, apart))
    assert two.variance[::2] == pytest.approx(one.variance, rel=1e-12)
    assert two.bias[::2] == pytest.approx(one.bias, rel=1e-12)


def test_a_repeated_block_costs_as_little_as_its_first_turns(monkeypatch):
    calls = []
    moments = Dense.moments
    monkeypatch.setattr(Dense, "moments", lambda *args: calls.append(1) or moments(*args))
    stack = Stack.build("tanh", 100_000, 64, weight_gain=2.0)
    assert_alike(stack, 8, drawn(64))
    assert len(calls) < 200


def test_what_follows_a_layer_without_theory_is_unknown():
    layers = (Dense(8, "relu"), Activation("tanh"), Dense(8, "relu"))
    found = walk(Network(Shape(8), Block(tuple(map(Entry, layers)))), 4, drawn(8))
    assert np.isfinite(found.second_moment).tolist() == [True, True, False, False]
    assert np.isnan(found.log_gradient).tolist() == [True, True, False, False]
    assert np.isfinite(found.variance).tolist() == [True, True, False, False]


def test_a_skipped_layer_has_no_gradient():
    """The second layer starts from the input, so the first has no part in the output."""
    layer = Dense(8, "tanh")
    network = Network(Shape(8), Block((Entry(layer), Entry(layer, (0,)))))
    found = walk(network, 4, drawn(8))
    alone = predict(Stack.build("tanh", 1, 8), 4, drawn(8))
    assert found.second_moment[1] == found.second_moment[2]
    assert found.log_gradient.tolist() == [
        pytest.approx(alone.log_gradient[0], rel=1e-14),
        -math.inf,
        0.0,
    ]


def test_nested_blocks_are_their_layers_in_a_row():
    inner = Block((Entry(Dense(8, "tanh", weight_gain=2.0)), Entry(Dense(8, "selu"))), 12)
    nested = Network(Shape(8), Block((Entry(inner), Entry(Dense(8, "gelu"))), 15))
    flat = Network(Shape(8), Block(tuple(Entry(row.layer) for row in nested.rows())))
    one, other = (walk(network, 8, drawn(8, std=2.0)) for network in (nested, flat))
    assert one.gap == pytest.approx(other.gap, rel=1e-12)
    assert one.second_moment == pytest.approx(other.second_moment, rel=1e-12)
    assert one.log_gradient == pytest.approx(other.log_gradient, rel=1e-12, abs=1e-12)


# Samples of SELU are as far apart as rounding tells after a thousand layers. Then more turns are
# left than a turn has layers, or fewer, or none. Rounding does not add up in a state that attracts.
@pytest.mark.parametrize(("length", "times"), [(3, 900), (40, 90), (40, 40), (40, 20)])
def test_turns_that_are_left_out_are_those_in_a_row(length, times):
    inner = tuple(Entry(Dense(8 + place % 3, "selu")) for place in range(length))
    block, last = Block(inner, times), Entry(Dense(5, "tanh"))
    repeated = Network(Shape(8), Block((Entry(block), last)))
    flat = Network(Shape(8), Block((*inner * times, last)))
    one, other = (walk(network, 8, drawn(8, std=2.0)) for network in (repeated, flat))
    for field in fields(one)[1:]:  # the first is the shape of the input
        found, expected = getattr(one, field.name), getattr(other, field.name)
        if field.name == "own":
            assert found == expected == {}
            continue
        np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12, err_msg=field.name)


def test_all_turns_of_a_kind_without_first_order_are_unknown(monkeypatch):
    """As many as a block has, whatever lay in memory before. What comes before it is known."""
    filled = np.full  # memory that is not 0
    monkeypatch.setattr(np, "empty", lambda shape, dtype=float: filled(shape, 7, dtype))
    block = Block((Entry(Dense(8, "tanh")), Entry(BatchNorm())), 30)
    found = walk(Network(Shape(8), Block((Entry(block), Entry(Dense(5))))), 8, drawn(8))
    assert np.isfinite(found.variance[:2]).all()
    assert np.isnan(found.variance[2:]).all()
    assert len(found.variance) == 62


def test_samples_that_differ_in_norm_have_no_theory():
    data = check_data(np.diag([1.0, 2.0, 3.0]), "array", 3)
    assert isinstance(data, DataInputs)
    found = walk(Network.of(Stack.build("relu", 3, 3)), 3, data.moments())
    assert np.isnan(found.second_moment).all()


@pytest.mark.parametrize("grid", [(5,), (256, 256)])
def test_a_layer_at_every_position_has_the_theory_of_vectors(grid):
    """There are 2^32 pairs on the larger grid, whose moments would not fit into memory."""
    layers = Block((Entry(Dense(3, "tanh", weight_gain=1.3)), Entry(Dense(3))), 2)
    alone, found = (walk(Network(Shape(3, own), layers), 8, drawn(3)) for own in ((), grid))
    for name in ("mean", "second_moment", "gap", "over_units", "log_gradient"):
        assert getattr(found, name) == pytest.approx(getattr(alone, name), rel=1e-12, abs=1e-15)


def test_positions_of_data_are_not_known():
    data = check_data(np.random.default_rng(0).normal(size=(8, 15)), "array", 8)
    layers = Block((Entry(Dense(3)),))
    found = walk(Network(Shape(3, (5,)), layers), 8, data.moments())
    assert np.isnan(found.second_moment).all()


def test_statistics_of_positions_are_averages_over_their_pairs():
    """By loops, of layers whose border has less; of inputs with a mean, in closed form."""
    layers = Block(tuple(Entry(Conv(channels=4, kernel=3, activation="relu")) for _ in range(2)))
    found = walk(Network(Shape(4, (5,)), layers), 8, drawn(4, mean=0.5, std=2.0))
    assert found.over_positions[0] == pytest.approx(4.0 * (1.0 - 1.0 / 5.0), rel=1e-14)
    assert found.position_cosine[0] == pytest.approx(0.25 / 4.25, rel=1e-14)
    same = np.diag(np.full(5, 4.0)) + 0.25
    signal = Signal(Shape(4, (5,)), np.full(5, 0.5), same, np.diag(np.full(5, 4.0)), OTHER)
    for number, entry in enumerate(layers.entries, 1):
        signal = entry.layer.moments([signal], 8).signal
        products = {(u, v): signal.same[u, v] for u in range(5) for v in range(5)}
        spread = sum(products[u, u] for u in range(5)) / 5 - sum(products.values()) / 25
        cosines = [
            product / math.sqrt(products[u, u] * products[v, v])
            for (u, v), product in products.items()
            if u != v
        ]
        assert found.over_positions[number] == pytest.approx(spread, rel=1e-12)
        assert found.position_cosine[number] == pytest.approx(np.mean(cosines), rel=1e-12)


def test_positions_that_are_zero_have_no_angle():
    still = Block((Entry(Conv(channels=4, kernel=1, weight_gain=0.0)),))
    found = walk(Network(Shape(4, (5,)), still), 8, drawn(4))
    assert found.over_positions[1] == 0
    assert np.isnan(found.position_cosine[1])


@pytest.mark.parametrize("grid", [(4,), (2, 3), (7,)])
def test_pairs_of_positions_are_followed_where_a_layer_needs_them(grid, monkeypatch):
    """Of independent positions, averages of ReLU have the mean and a share of the variance."""
    monkeypatch.setattr(start, "MOST_PAIRED", 6)
    count = math.prod(grid)
    layers = Block((Entry(Dense(4, "relu", weight_gain=2.0)), Entry(GlobalMeanPool())))
    found = walk(Network(Shape(3, grid), layers), 8, drawn(3))
    if count > 6:
        assert np.isnan(found.second_moment[2])
        return
    # q is 4: E[φ] = √(q/2π) and E[φ²] = q/2; two samples have the mean alone in common.
    mean, square = math.sqrt(2.0 / math.pi), 2.0
    assert found.mean[2] == pytest.approx(mean, rel=1e-14)
    expected = square / count + (1.0 - 1.0 / count) * mean**2
    assert found.second_moment[2] == pytest.approx(expected, rel=1e-12)
    assert found.gap[2] == pytest.approx((square - mean**2) / count, rel=1e-12)
    # Every position has 1/count of the gradient, half of the units have a slope, of 2²·4/3.
    growth = np.exp(found.log_gradient[:2] - found.log_gradient[2])
    assert growth == pytest.approx([0.5 * 4.0 * 4.0 / 3.0 * 3.0 / 4.0 / count, 1.0 / count])


@pytest.mark.parametrize(("counted", "most"), [(100, 16 * 3 + 1), (3, 16 * 4)])
def test_pairs_of_positions_of_many_layers_are_not_followed(counted, most, monkeypatch):
    """Their moments would fill the memory. Those after a pool are fewer, if layers are counted."""
    monkeypatch.setattr(start, "MOST_COUNTED", counted)
    layers = Block((Entry(Block((Entry(Dense(2)),), 3)), Entry(GlobalMeanPool())))
    for allowed in (most, most - 1):
        monkeypatch.setattr(start, "MOST_PAIRS", allowed)
        found = walk(Network(Shape(2, (4,)), layers), 8, drawn(2))
        assert np.isfinite(found.second_moment[3])
        assert np.isfinite(found.second_moment[4]) == (allowed == most)


def test_many_positions_fill_no_memory_with_their_pairs():
    """The products of squares of 224² positions would be 20 GB; kurtosis behind few channels, which
    needs them, is empty."""
    layers = Block((Entry(Conv(channels=64, kernel=3)), Entry(Activation("relu"))))
    tracemalloc.start()
    try:
        found = walk(Network(Shape(3, (224, 224)), layers), 8, drawn(3))
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 2**27
    assert np.isfinite(found.second_moment).all()
    assert np.isnan(found.kurtosis[1])
    few = walk(Network(Shape(3, (8, 8)), layers), 8, drawn(3))
    assert few.kurtosis[1] > 3.0


def test_the_average_over_positions_is_that_of_each():
    """Zero padding leaves the border less, and means differ between positions."""
    layers = Block(tuple(Entry(Conv(channels=4, kernel=3, activation="relu")) for _ in range(3)))
    found = walk(Network(Shape(4, (6,)), layers), 8, drawn(4))
    signal = Signal(Shape(4, (6,)), *np.multiply.outer((0.0, 1.0, 1.0), np.ones(6)), OTHER)
    for number, entry in enumerate(layers.entries, 1):
        signal = entry.layer.moments([signal], 8).signal
        assert found.second_moment[number] == pytest.approx(signal.same.mean(), rel=1e-14)
        apart = (signal.same - signal.mean**2).mean()
        assert found.over_units[number] == pytest.approx(apart, rel=1e-14)
        assert apart < found.second_moment[number] - found.mean[number] ** 2


@pytest.mark.parametrize(
    ("positions", "convs", "pool", "why"),
    [
        (512, 1, False, ""),
        (513, 1, False, "no layer needs so many pairs"),
        (512, 2, False, "no layer needs so many pairs"),
        (4096, 1, True, ""),
        (4095, 2, True, ""),
        (4096, 2, True, "more than 33,554,432 pairs of positions in all layers together"),
        (4097, 1, True, "more than 4,096 positions"),
    ],
)
def test_pairs_of_positions_are_followed_as_far_as_the_documents_say(positions, convs, pool, why):
    """2¹⁸ = 512² pairs everywhere, and 2²⁵ = 2 · 4096² where a layer needs them: it has one."""
    layers = [Entry(Conv(channels=2, kernel=3))] * convs + [Entry(GlobalMeanPool())] * pool
    network = Network(Shape(2, (positions,)), Block(tuple(layers)))
    assert start.why_no_pairs(network) == why
