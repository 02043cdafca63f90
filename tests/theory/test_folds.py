"""Turns of a stream that grows, which are not followed one by one, against those that are."""

from __future__ import annotations

from dataclasses import fields
from types import SimpleNamespace

import numpy as np
import pytest

from snstat.experiment.inputs import DrawnInputs
from snstat.layers import container, folded
from snstat.layers.block import Block
from snstat.layers.conv import Conv
from snstat.layers.dense import Dense
from snstat.layers.dropout import Dropout
from snstat.layers.entry import Entry
from snstat.layers.folded import RoughError, Stretch
from snstat.layers.law import GAUSSIAN
from snstat.layers.layer_norm import LayerNorm
from snstat.layers.residual_block import Residual
from snstat.layers.rms_norm import RmsNorm
from snstat.layers.shape import Shape
from snstat.layers.signal import Signal, Slope
from snstat.layers.spread import Spread
from snstat.network.network import Network
from snstat.theory import folds
from snstat.theory.profiles import profiles
from snstat.theory.walk import walk

# Fewer turns than usual are followed first, and few are enough for a stretch.
FIRST, FEWEST = 48, 96
WIDTH, TIMES = 64, FIRST + FEWEST + 30
# Moments, which are told to 1e-12, and differences to first order in 1/width, of which fewer digits
# are; 1e-9 of the largest in their column.
EXACT = ("mean", "second_moment", "gap", "over_units", "kurtosis", "log_gradient")
EXACTLY, NEARLY = 1e-12, 1e-9


@pytest.fixture(autouse=True)
def few_turns(monkeypatch):
    monkeypatch.setattr(container, "FIRST", FIRST)
    monkeypatch.setattr(folded, "FEWEST", FEWEST)


def chain(*layers, times=None):
    return Block(tuple(Entry(layer) for layer in layers), times)


def ffn(scale=1.0, activation="gelu", norm=LayerNorm):
    branch = (norm(), Dense(2 * WIDTH, activation), Dropout(0.1), Dense(WIDTH))
    return Residual(branch, scale)


NETWORKS = {
    "two branches": lambda n: chain(
        Dense(WIDTH), chain(ffn(), ffn(0.5, "relu"), times=n), LayerNorm(), Dense(3)
    ),
    # Of a law whose kurtosis changes, and a mean that stays.
    "inputs": lambda n: chain(chain(ffn(norm=RmsNorm), times=n), RmsNorm()),
    "in a block": lambda n: chain(chain(ffn(), chain(ffn(activation="tanh"), times=n)), Dense(4)),
}


def walked(network, batch=8, mean=0.2):
    inputs = DrawnInputs("uniform", WIDTH, batch, mean, 1.0).moments()
    return walk(network, batch, inputs)


def one_by_one(monkeypatch, network):
    with monkeypatch.context() as patch:
        patch.setattr(container, "FIRST", 10**9)
        return walked(network)


def assert_alike(found, known):
    for field in fields(known)[1:]:
        mine, theirs = getattr(found, field.name), getattr(known, field.name)
        if field.name in ("ends", "own"):
            assert mine == theirs
            continue
        there = np.isfinite(theirs)
        np.testing.assert_array_equal(np.isnan(mine), np.isnan(theirs), field.name)
        if not there.any():
            continue
        exact = field.name in EXACT
        size = np.maximum(np.abs(theirs[there]), 1.0) if exact else np.abs(theirs[there]).max()
        limit = EXACTLY if exact else NEARLY
        assert np.all(np.abs(mine[there] - theirs[there]) <= limit * size), field.name


@pytest.mark.parametrize("name", NETWORKS)
def test_what_is_not_followed_equals_what_is(name, monkeypatch):
    network = Network(Shape(WIDTH), NETWORKS[name](TIMES))
    known, turns, followed = one_by_one(monkeypatch, network), folds._turns, []
    monkeypatch.setattr(folds, "_turns", lambda *of: followed.append(1) or turns(*of))
    found = walked(network)
    assert_alike(found, known)
    # Turns are followed one by one where first order in 1/width is not known, and nowhere else.
    assert bool(followed) == np.isnan(found.variance[-2])


def test_means_of_two_branches_make_products_with_that_of_the_stream(monkeypatch):
    """Each adds to the mean that the one before it has left."""
    branches = (
        Residual((RmsNorm(), Dense(WIDTH, "relu")), 0.01),
        Residual((RmsNorm(), Dense(WIDTH, "sigmoid")), 0.02),
    )
    network = Network(Shape(WIDTH), chain(Dense(WIDTH), chain(*branches, times=TIMES)))
    assert_alike(walked(network), one_by_one(monkeypatch, network))


def test_several_stretches_follow_each_other(monkeypatch):
    monkeypatch.setattr(folded, "FEWEST", 40)
    monkeypatch.setattr(folded, "_RATIO", 1.6)
    network = Network(Shape(WIDTH), NETWORKS["two branches"](TIMES))
    found, known = walked(network), one_by_one(monkeypatch, network)
    assert_alike(found, known)
    start = Signal.of_one(Shape(WIDTH), (0.0, 1.0, 0.7), GAUSSIAN)
    ends = [
        (f.stretch.first, f.stretch.end)
        for f in chain(ffn(), times=TIMES).moments([start], 2).folds
    ]
    assert ends == [(48, 77), (77, 124), (124, 174)]


def test_blocks_on_a_grid_are_followed_turn_by_turn():
    conv = Conv(channels=WIDTH, kernel=3, activation="relu")
    network = Network(Shape(WIDTH, (8,)), chain(conv, times=TIMES))
    inputs = DrawnInputs("normal", 8 * WIDTH, 4, 0.0, 1.0).moments()
    found = walk(network, 4, inputs).second_moment
    # Zeros beyond the border take a part of the signal in each layer, in the limit the same one.
    rates = found[1:] / found[:-1]
    assert rates[-1] == pytest.approx(rates[-2], rel=1e-6)
    assert 0.5 < rates[-1] < 1.0


def test_where_first_order_ends_within_a_stretch_is_told(monkeypatch):
    """At the layer of the turn, with the reason."""
    branches = Residual((Dense(4),), 0.01), Residual((RmsNorm(), Dense(4)), 0.3)
    network = Network(Shape(4), chain(chain(*branches, times=TIMES), Dense(3)))
    inputs = DrawnInputs("uniform", 4, 8, 0.2, 1.0).moments()
    found = walk(network, 8, inputs)
    monkeypatch.setattr(container, "FIRST", 10**9)
    known = walk(network, 8, inputs)
    (end,) = [end for end in known.ends if end.of == "width"]
    assert 5 * FIRST < end.layer < 5 * TIMES
    assert_alike(found, known)


def test_where_it_is_not_smooth_all_turns_are_made(monkeypatch):
    """From the states that are known of all, with no nodes. The sum around them needs to know how
    they answer to what it adds."""
    branch = chain(ffn(), times=TIMES), Dense(WIDTH)
    network = Network(Shape(WIDTH), chain(Dense(WIDTH), Residual(branch, 0.1)))
    known = one_by_one(monkeypatch, network)

    def rough(*_):
        raise RoughError

    for name in ("_spread_out", "_back", "_onward"):
        monkeypatch.setattr(folds, name, rough)
    assert np.isfinite(known.variance).all()
    assert_alike(walked(network), known)


def test_a_shortcut_with_a_factor_is_followed_turn_by_turn():
    """q ← 0.999² q + 1 settles at 1/(1 − 0.999²), and does not grow by 1 for ever."""
    block = chain(Residual((RmsNorm(epsilon=0.0), Dense(WIDTH)), skip=0.999), times=TIMES)
    found = walked(Network(Shape(WIDTH), block), mean=0.0).second_moment[3::3]
    expected, q = [], 1.0
    for _ in range(TIMES):
        q = 0.999**2 * q + 1.0
        expected.append(q)
    assert found == pytest.approx(expected, rel=1e-12)


def test_gradients_that_are_not_known(monkeypatch):
    """Behind the stream nothing is known of an activation, and before it of no gradient."""
    lost = chain(Dense(WIDTH, "gelu"), Dense(WIDTH), Dense(WIDTH, "tanh"), Dense(WIDTH))
    unknown = Residual((Dense(WIDTH, "tanh"), Dropout(0.2), Dense(WIDTH, "relu"), LayerNorm()))
    for end in (lost, unknown):
        network = Network(Shape(WIDTH), chain(chain(ffn(), times=TIMES), end))
        assert_alike(walked(network), one_by_one(monkeypatch, network))


def test_steps_of_any_turn_can_be_asked_for():
    """As what is not the walk does: it pulls gradients back, and asks for spreads."""
    start = Signal.of_one(Shape(WIDTH), (0.0, 1.0, 0.7), GAUSSIAN)
    step = chain(ffn(), times=TIMES).moments([start], 2)
    assert len(step.turns) == FIRST
    (fold,) = step.folds
    middle = (fold.stretch.first + fold.stretch.end) // 2
    (turn,) = fold.at(middle)
    row = fold.states[middle - fold.stretch.first + 1]
    assert turn.signal.same[0, 0] == pytest.approx(row[1], rel=1e-14)
    assert turn.signal.gap[0, 0] == pytest.approx(row[2], rel=1e-12)
    one = np.ones((1, 1))
    (after,) = step.pull(Slope(one, one))
    assert np.isfinite(turn.pull(after)[0].log)
    back = Slope(one, one)
    for number in reversed(range(TIMES)):
        (own,) = step.steps_at(number)
        (back,) = own.pull(back)
    assert after.log == pytest.approx(back.log, rel=1e-12)
    assert after.gap == pytest.approx(back.gap, rel=1e-12)


def test_profiles_are_of_all_turns():
    network = Network(Shape(WIDTH), chain(chain(ffn(), times=TIMES), Dense(3)))
    inputs = DrawnInputs("normal", WIDTH, 4, 0.0, 1.0).moments()
    numbers = [5 * FIRST, 5 * (TIMES - 7), network.depth - 1, network.depth]
    found = profiles(network, 4, inputs, numbers)
    known = walk(network, 4, inputs).second_moment
    assert sorted(found) == numbers
    for number in numbers:
        assert found[number].second_moment == pytest.approx(known[number], rel=1e-12)


def test_depth_costs_little(monkeypatch):
    calls, moments = [], LayerNorm.moments
    monkeypatch.setattr(LayerNorm, "moments", lambda *args: calls.append(1) or moments(*args))
    start = Signal.of_one(Shape(WIDTH), (0.0, 1.0, 1.0), GAUSSIAN)
    step = chain(ffn(), times=10**5).moments([start], 2)
    assert len(calls) < 1500
    # Each branch adds E gelu²(z)/0.9 at N(0, 1), with weights that keep it.
    # The ε of a norm takes less and less of a stream of thousands.
    assert step.signal.same[0, 0] == pytest.approx(1.0 + 1e5 * 0.42522148257 / 0.9, rel=1e-7)


def test_a_sum_over_many_turns_is_that_of_a_loop():
    """y ← y + (1/y, z/y) of two numbers, and one that each turn renews."""

    def advance(numbers, states):
        y, z, _ = states.T
        return np.stack([1.0 / y, z / y**2, np.log(numbers) + 1.0 / y], axis=1)

    stretch = Stretch.of(128, 1000)
    start = np.array([16.0, 0.5, 7.0])
    found = stretch.followed(start, advance, renewed=(2,))
    state = start.copy()
    for turn in range(128, 1000):
        np.testing.assert_allclose(found[turn - 128], state, rtol=1e-12)
        more = advance([turn], state[None])[0]
        state = np.array([state[0] + more[0], state[1] + more[1], more[2]])
    np.testing.assert_allclose(found[-1], state, rtol=1e-12)


def test_polynomials_are_refused_where_they_miss():
    stretch, turns = Stretch.of(128, 1200), np.arange(128, 1200)
    nodes = np.array(stretch.nodes)
    smooth = np.stack([nodes**-1.5, np.log(nodes), np.full(len(nodes), np.nan)], axis=1)
    found = stretch.of_nodes(smooth)
    np.testing.assert_allclose(found[:, 0], turns**-1.5, rtol=1e-12)
    np.testing.assert_allclose(found[:, 1], np.log(turns), rtol=1e-13)
    assert np.isnan(found[:, 2]).all()
    for other in (np.sin(nodes / 7.0), np.abs(nodes - 600.0), np.where(nodes > 600, np.nan, 1.0)):
        with pytest.raises(RoughError):
            stretch.of_nodes(other[:, None])
        with pytest.raises(RoughError):
            stretch.of_nodes(1e-12 * other[:, None])

    # Known at some nodes, whichever, as that they are 0: a polynomial through 0 would do.
    for known in ([0], [1], [-1], range(1, len(nodes)), range(len(nodes) - 1)):
        values = np.full(len(nodes), np.nan)
        values[list(known)] = 0.0
        with pytest.raises(RoughError):
            stretch.of_nodes(values[:, None])

    def noise(numbers, states):
        return np.sin(np.array(numbers) * 1.0)[:, None] + 0.0 * states

    with pytest.raises(RoughError):
        stretch.followed(np.ones(1), noise)


def test_a_stretch_leaves_no_few_turns_over():
    stretch = Stretch.of(FIRST, 10 * FIRST + FEWEST - 1)
    assert (stretch.first, stretch.end) == (FIRST, 10 * FIRST + FEWEST - 1)
    assert Stretch.of(FIRST, 10**6).end == 10 * FIRST
    assert stretch.nodes[0] == FIRST
    assert stretch.nodes[-1] == stretch.end - 1


@pytest.mark.parametrize("detailed", [(False, False, False), (True, False, False)])
def test_turns_that_are_made_one_by_one_multiply_their_responses(monkeypatch, detailed):
    """And depend on units as soon as one of them does."""

    def rough(*_):
        raise folds.RoughError

    monkeypatch.setattr(folds, "_onward", rough)
    fold = SimpleNamespace(stretch=SimpleNamespace(first=4, end=7), at=lambda turn: turn)
    responses = (0.5, 3.0, 0.25)

    def onward(turn, steps, before, out):  # noqa: ARG001  # as a fold calls it
        return before._replace(responses=(responses[turn - 4],), detailed=detailed[turn - 4])

    after = folds.onward_through(fold, onward, Spread(0.1, 0.1, 0.0, 0.0, 3.0), np.zeros((2, 6)))
    assert after.responses == (0.5 * 3.0 * 0.25,)
    assert after.detailed == any(detailed)
