"""Residuals, sums, products and concatenations: theory against plain samples and closed forms."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from snstat.errors import InvalidValueError, LayerError
from snstat.experiment.inputs import DrawnInputs
from snstat.layers.activation import Activation
from snstat.layers.add import Add
from snstat.layers.block import Block
from snstat.layers.concat import Concat
from snstat.layers.dense import Dense
from snstat.layers.entry import Entry
from snstat.layers.folded import alike
from snstat.layers.group_norm import GroupNorm
from snstat.layers.higher import Higher
from snstat.layers.highway import Highway
from snstat.layers.law import GAUSSIAN, OTHER, ZERO
from snstat.layers.multiply import Multiply
from snstat.layers.no_theory import NoTheory
from snstat.layers.residual_block import Residual
from snstat.layers.rms_norm import RmsNorm
from snstat.layers.scale import Scale
from snstat.layers.shape import Shape
from snstat.layers.signal import SQUARES, Signal, Slope, unknown
from snstat.network.network import Network
from snstat.theory.walk import walk
from tests.layers.plain_draw import PlainDraw

LINEAR = Dense(8, init="lecun_normal")
HE = (Dense(8, "relu"), LINEAR)


def started(mean=0.0, same=1.0, gap=1.0, law=GAUSSIAN, channels=8):
    return Signal.of_one(Shape(channels), (mean, same, gap), law)


def numbers(signal):
    return float(signal.mean[0]), float(signal.same[0, 0]), float(signal.gap[0, 0])


def theory(*layers, times=1, width=8):
    network = Network(Shape(width), Block(layers, times))
    return walk(network, 4, DrawnInputs("normal", width, 4, 0.0, 1.0).moments())


def simulated(layer, inputs, trials):
    """Return mean, E[x²], E[x²] − E[xx'], E[δ²] and E[δδ'] of the first input, and their standard
    errors, over `trials` networks. Read-outs of two samples have the correlation ½."""
    rows = []
    for seed in range(trials):
        found = layer.sample(inputs, PlainDraw(seed))
        x, random = found.values, np.random.default_rng(10**6 + seed)
        slope = (random.normal(size=x.shape) + random.normal(size=(len(x), 1))) / math.sqrt(2.0)
        back = found.pull(slope)[0]
        mean, same, across = x[:, 0].mean(), np.mean(x[:, 0] ** 2), np.mean(x[:, 0] * x[:, 1])
        products = np.mean(back**2), np.mean(back[:, 0] * back[:, 1])
        rows.append((mean, same, same - across, *products))
    rows = np.array(rows)
    return rows.mean(0), rows.std(0, ddof=1) / math.sqrt(trials)


def pair(width, correlation, mean=0.0, seed=0):
    """Return two samples (width, 2) with exactly this mean, E[x²] = 1 + mean² and correlation."""
    q, _ = np.linalg.qr(
        np.column_stack([np.ones(width), np.random.default_rng(seed).normal(size=(width, 2))])
    )
    one, two = q[:, 1:].T * math.sqrt(width)
    other = correlation * one + math.sqrt(1.0 - correlation**2) * two
    return mean + np.column_stack([one, other])


def test_he_branches_double_the_signal_and_its_gradient():
    found = theory(Residual(HE), times=5)
    assert found.second_moment[3::3] == pytest.approx([2.0**n for n in range(1, 6)], rel=1e-12)
    sums = np.concatenate([found.log_gradient[:1], found.log_gradient[3::3]])
    assert np.diff(sums) == pytest.approx([-math.log(2.0)] * 5, rel=1e-12)


@pytest.mark.parametrize("length", [1, 10, 1000])
def test_scaled_branches_are_bounded_by_e(length):
    found = theory(Residual(HE, 1.0 / math.sqrt(length)), times=length)
    assert found.second_moment[-1] == pytest.approx((1.0 + 1.0 / length) ** length, rel=1e-10)
    assert found.log_gradient[0] == pytest.approx(length * math.log1p(1.0 / length), rel=1e-10)


def test_long_chains_carry_few_draws():
    """Sums depend on all weights before them; one draw stands for these between repetitions."""
    block = Block((Residual(HE, 0.001),), 300)
    step = block.moments([started()], 4)
    assert len(step.signal.fresh) == 2
    assert max(len(inner.signal.fresh) for inner in step.turns[-1]) == 2


WIDE = 400
RELU = Dense(WIDE, "relu")


@pytest.mark.parametrize(
    "layer",
    [
        Residual((RELU, Dense(WIDE)), 0.7),
        Residual((RELU,), 0.7),  # whose means add
        Residual((RELU,), 0.7, skip=-1.5),
        Residual((RELU,), skip=0.0),
        Residual((Dense(WIDE, "tanh"),), 2.0, (Dense(WIDE, bias_std=0.5), Scale(3.0))),
        Block((RELU, Entry(RELU, (0,)), Entry(Add(), (0, 1, 2)))),
        Block((RELU, Entry(Dense(WIDE, "sigmoid"), (0,)), Entry(Multiply(), (1, 2)))),
        Block((RELU, Entry(Multiply(), (0, 1)))),
        Block((RELU, Entry(Concat(), (0, 1)), Entry(Dense(WIDE)))),
        Block((Entry(Dense(100, "tanh")), Entry(Concat(), (0, 1)))),
        Highway("relu", bias_std=0.3),
        Highway("tanh", weight_gain=2.0, transfer_bias=1.0),
        Block((Entry(Scale(2.0)), Entry(Add(), (0, 0)))),
    ],
)  # fmt: skip
def test_theory_is_that_of_plain_samples(layer):
    """Tolerance: 5 standard errors, and 4/n for the terms of order 1/width."""
    inputs = pair(WIDE, 0.4, 0.5)
    step = layer.moments([started(0.5, 1.25, 0.6, OTHER, WIDE)], 2)
    assert step.signal.known
    one = np.ones((1, 1))
    back = step.pull(Slope(one, 0.5 * one))[0]
    products = back.same[0, 0], back.same[0, 0] - back.gap[0, 0]
    expected = (*numbers(step.signal), *(math.exp(back.log) * float(part) for part in products))
    found, error = simulated(layer, [inputs], 60)
    size = np.array([math.sqrt(expected[1]), *expected[1:2] * 2, *expected[3:4] * 2])
    assert (np.abs(found - expected) < 5.0 * error + 4.0 / WIDE * size).all()


def test_sums_with_shared_draws_are_unknown():
    signal = started()
    phi = Activation("relu").moments([signal], 4).signal
    assert isinstance(Add().moments([signal, phi], 4), NoTheory)
    assert isinstance(Multiply().moments([signal, phi], 4), NoTheory)
    assert isinstance(Multiply().moments([signal, signal], 4), NoTheory)
    assert Concat().moments([signal, phi], 4) is not None
    assert np.isnan(theory(LINEAR, Residual((Activation("relu"),))).second_moment[-1])
    # Not even after a container, in which one draw stands for all.
    inside = Residual((Block((Activation("relu"),)),))
    assert np.isnan(theory(LINEAR, Residual((LINEAR,)), inside).second_moment[-1])


def test_concatenations_share_the_places_of_their_units():
    one, two = (Concat().moments([started(), started(2.0, 5.0, 1.0)], 4).signal for _ in range(2))
    assert isinstance(Add().moments([one, two], 4), NoTheory)
    within = Block((Entry(Scale(2.0)),)).moments([one], 4).signal
    assert isinstance(Add().moments([within, two], 4), NoTheory)
    assert Add().moments([one, started(channels=16)], 4) is not None


def test_a_signal_added_to_itself_is_multiplied():
    signal = started(0.5, 2.0, 0.75)
    step = Add().moments([signal, signal, signal], 4)
    assert numbers(step.signal) == (1.5, 18.0, 6.75)
    assert step.signal.law == GAUSSIAN
    one = np.ones((1, 1))
    back = [part.same[0, 0] * math.exp(part.log) for part in step.pull(Slope(one, one))]
    assert sum(back) == pytest.approx(9.0, rel=1e-15)


def test_laws_of_sums():
    def law(*laws):
        return Add().moments([started(law=own) for own in laws], 4).signal.law

    assert law(GAUSSIAN, GAUSSIAN) == GAUSSIAN
    assert law(GAUSSIAN, OTHER) == OTHER
    zero = started(0.0, 0.0, 0.0, ZERO)
    assert Add().moments([zero, started()], 4).signal.law == GAUSSIAN
    assert Add().moments([zero, zero], 4).signal.law == ZERO
    # The sum of Gaussians feeds an activation; with a scale of 0 the branch is nothing.
    assert np.isfinite(theory(LINEAR, Residual(HE), Activation("tanh")).second_moment).all()
    off = theory(LINEAR, Residual((Activation("relu"),), 0.0))
    assert off.second_moment[1] == off.second_moment[3]
    # So is the shortcut with a skip of 0: what comes after it has the law of the branch.
    alone = theory(LINEAR, Residual(HE, skip=0.0), Activation("tanh"))
    plain = theory(LINEAR, Block(HE), Activation("tanh"))
    np.testing.assert_allclose(alone.second_moment[-1], plain.second_moment[-1], rtol=1e-12)
    np.testing.assert_allclose(alone.log_gradient[0], plain.log_gradient[0], rtol=1e-12)


def test_deep_norm():
    """norm(αx + βf(x)) of arXiv:2203.00555, f of He weights: squared gradients are multiplied by
    (α² + β²χ)/(α² + β²q) = 1 on the way back, χ = q = 1; the sum is of α² + β²."""
    alpha, beta = 2.0**0.75, 0.5
    found = theory(Residual(HE, beta, skip=alpha), RmsNorm(epsilon=0.0), times=4)
    np.testing.assert_allclose(found.second_moment[3::4], alpha**2 + beta**2, rtol=1e-12)
    np.testing.assert_allclose(found.log_gradient[0], 0.0, atol=1e-12)


def test_rows_of_a_residual_end_with_its_sum():
    inner = Residual((Entry(LINEAR, (), "first"), Entry(LINEAR)), 0.5, (LINEAR,))
    network = Network(Shape(8), Block((Entry(LINEAR), Entry(inner, (), "res"))))
    names = [row.name for row in network.rows()]
    assert names == ["0", "res.first", "res.1", "res.shortcut.0", "res"]
    assert [row.number for row in network.rows()] == [1, 2, 3, 4, 5]
    assert network.depth == 5
    assert [row.layer.kind for row in network.rows()][-1] == "residual"
    assert network.uniform() is None
    assert Network(Shape(8), Block((Residual((LINEAR,)),))).uniform() is None
    assert [row.name for row in Network(Shape(8), Block((inner,), 2)).rows()][3:6] == [
        "0.0",
        "1.0.first",
        "1.0.1",
    ]


def test_a_residual_is_turned():
    inner = Residual((Entry(LINEAR), Entry(Residual((LINEAR,)))), 0.5, (LINEAR,))
    assert inner.turned("scale", 0.1) == Residual(
        (Entry(LINEAR), Entry(Residual((LINEAR,), 0.1))), 0.1, (LINEAR,)
    )
    assert inner.turned("skip", 0.1) == Residual(
        (Entry(LINEAR), Entry(Residual((LINEAR,), skip=0.1))), 0.5, (LINEAR,), skip=0.1
    )
    changed = Dense(8, init="lecun_normal", bias_std=0.5)
    assert inner.turned("bias_std", 0.5) == Residual(
        (changed, Residual((changed,))), 0.5, (changed,)
    )
    assert Residual((Activation("relu"),)).turned("bias_std", 0.5) is None


def test_what_does_not_fit_is_refused():
    with pytest.raises(LayerError, match=r"layer 0: shape of the branch is '\(4\)', .*\(8\)"):
        Network(Shape(8), Block((Residual((Dense(4),)),)))
    with pytest.raises(LayerError, match=r"layer 0\.0: inputs"):
        Network(Shape(8), Block((Residual((Add(),)),)))
    with pytest.raises(InvalidValueError, match="same grid"):
        Concat().shape([Shape(8, (2,)), Shape(8)])
    assert Concat().shape([Shape(8, (2,)), Shape(4, (2,))]) == Shape(12, (2,))
    with pytest.raises(InvalidValueError, match="one layer or more"):
        Residual(())


def test_a_layer_of_a_branch_is_not_called_as_the_shortcut_is():
    with pytest.raises(InvalidValueError, match="name is 'shortcut', but must be another name"):
        Residual((Entry(Dense(5), (), "shortcut"),))


def test_a_part_of_which_nothing_is_known_is_one_number():
    """On a grid, one NaN stands for all positions."""
    grid = Shape(5, (2,))
    x = Signal(grid, np.zeros(2), np.eye(2), np.eye(2), GAUSSIAN)
    found = Concat().moments([x, unknown(grid, [x], "").signal], 4).signal
    assert not found.known


@pytest.mark.parametrize("layer", [Dense(5, weight_std=0.1), Highway("tanh", weight_std=0.1)])
def test_a_gain_replaces_a_standard_deviation(layer):
    turned = layer.turned("weight_gain", 2.0)
    assert (turned.weight_gain, turned.weight_std) == (2.0, None)
    assert layer.turned("no_such", 1.0) is None


def test_groups_of_a_concatenation_are_not_alike():
    """Each group has a norm of its own, which the average over all units does not tell."""
    given = [Signal.of_one(Shape(64), (0.0, 1.0, 0.5), GAUSSIAN)]
    parts = Entry(Dense(64, "relu"), (0,)), Entry(Dense(64, weight_gain=0.3), (0,))
    for groups, between, known in ((2, (), False), (1, (), True), (2, (Scale(2.0),), False)):
        layers = *parts, Entry(Concat(), (1, 2)), *map(Entry, between)
        net = Block((*layers, Entry(GroupNorm(groups=groups))))
        assert net.moments(given, 4).signal.known is known
    fresh = Block((*parts, Entry(Concat(), (1, 2)), Entry(Dense(64)), Entry(GroupNorm(groups=2))))
    assert fresh.moments(given, 4).signal.known


@pytest.mark.parametrize("layer", [Add(), Multiply(), Concat()])
def test_where_one_signal_has_no_pairs_of_positions_all_have_none(layer):
    """Moments at each position are those with all pairs."""
    mean, shape = np.array([0.2, -0.3, 0.5]), Shape(8, (3,))
    same = np.outer(mean, mean) + np.array([[1.0, 0.3, 0.2], [0.3, 0.8, 0.1], [0.2, 0.1, 1.3]])
    one, two = (Signal(shape, mean, same, 0.5 * np.eye(3), OTHER) for _ in range(2))
    whole = layer.moments([one, two], 4).signal
    for given in ([one, two.alone], [one.alone, two]):
        found = layer.moments(given, 4).signal
        np.testing.assert_allclose(found.mean, whole.mean, rtol=1e-14)
        np.testing.assert_allclose(found.same, np.diagonal(whole.same), rtol=1e-14)
        np.testing.assert_allclose(found.gap, np.diagonal(whole.gap), rtol=1e-14)


def test_signals_that_differ_in_their_moments_alone_are_alike():
    signal = started()
    assert alike(signal, started(0.5, 2.0, 0.3))
    for other in (
        started(law=OTHER),
        started(channels=9),
        replace(signal, varies=SQUARES),
        replace(signal, higher=Higher.unknown(1)),
    ):
        assert not alike(signal, other)
        assert not alike(other, signal)
    on_grid = Signal(Shape(8, (1,)), signal.mean, signal.same, signal.gap, GAUSSIAN)
    assert not alike(on_grid, on_grid)
