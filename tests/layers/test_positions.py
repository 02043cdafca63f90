"""Encodings of positions, against plain loops and simulations."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import norm

from snstat.engine.general.sampler import General, Walk
from snstat.errors import InvalidValueError
from snstat.experiment.inputs import DrawnInputs
from snstat.layers.activation import Activation
from snstat.layers.add import Add
from snstat.layers.block import Block
from snstat.layers.conv import Conv
from snstat.layers.dense import Dense
from snstat.layers.entry import Entry
from snstat.layers.law import GAUSSIAN, OTHER, ZERO
from snstat.layers.no_theory import NoTheory
from snstat.layers.positions import Positions, places
from snstat.layers.scale import Scale
from snstat.layers.shape import Shape
from snstat.layers.signal import PLACE, Signal, Slope
from snstat.layers.squares import diagonal
from snstat.network.network import Network
from tests.layers.plain_draw import PlainDraw
from tests.layers.plain_theory import PLACES, TRIALS, Row, inputs, signal, statistics

SIZES = pytest.mark.parametrize("channels", [1, 2, 7, 8])


def encoding(channels, times):
    """Return the encoding of arXiv:1706.03762, channel by channel: (channels, times)."""
    found = np.empty((channels, times))
    for i in range(channels):
        for t in range(times):
            angle = t / 10000.0 ** (2 * (i // 2) / channels)
            found[i, t] = math.cos(angle) if i % 2 else math.sin(angle)
    return found


@SIZES
def test_sinusoids_are_those_of_a_loop(channels):
    """An angle has the rounding of a power and a product of up to 40."""
    x = np.random.default_rng(0).normal(size=(channels, 3, 41))
    found = Positions().sample([x], PlainDraw())
    expected = x + encoding(channels, 41)[:, None]
    np.testing.assert_allclose(found.values, expected, rtol=0.0, atol=41 * 2e-15)
    (back,) = found.pull(x)
    assert np.array_equal(back, x)


@SIZES
@pytest.mark.parametrize("pairs", [True, False], ids=["pairs", "alone"])
def test_theory_of_sinusoids_is_an_average_over_channels(channels, pairs):
    """Of constant units m, so that E[x_s] E[e_t] is seen, and of what varies around them."""
    random, times = np.random.default_rng(1), 6
    root = random.normal(size=(2, times, times))
    gap, shared = (own @ own.T for own in root)
    m = random.normal(size=times)
    given = Signal(Shape(channels, (times,)), m, gap + shared + np.outer(m, m), gap, GAUSSIAN)
    step = Positions().moments([given if pairs else given.alone], 3)
    e = encoding(channels, times)
    both = np.mean([np.outer(m + own, m + own) for own in e], axis=0)
    wanted = [m + e.mean(0), gap + shared + both, gap]
    if not pairs:
        wanted[1:] = map(diagonal, wanted[1:])
    for found, expected in zip(
        (step.signal.mean, step.signal.same, step.signal.gap), wanted, strict=True
    ):
        np.testing.assert_allclose(found, expected, rtol=1e-13, atol=1e-13)
    assert step.signal.law == OTHER
    one = np.ones_like(step.signal.same)
    assert step.pull(Slope(one, one))[0].same is one


def test_an_even_number_of_channels_has_mean_square_one_half():
    silent = Signal(Shape(6, (9,)), np.zeros(9), np.zeros((9, 9)), np.zeros((9, 9)), ZERO)
    found = Positions().moments([silent], 2).signal
    assert np.array_equal(np.diagonal(found.same), np.full(9, 0.5))
    lag = sum(math.cos(3 * 10000.0 ** (-2 * j / 6)) for j in range(3)) / 6
    assert found.same[1, 4] == pytest.approx(lag, rel=1e-14)


@pytest.mark.parametrize(
    "layers",
    [(Positions(),), (Activation("relu"), Positions()), (Positions(), Scale(-1.5), Dense(7))],
    ids=["alone", "relu", "dense"],
)
def test_theory_is_what_plain_simulations_show(layers):
    """At any width: it is exact in expectation. One of all numbers fails by chance in a thousand
    runs."""
    width, (same, cross) = 7, PLACES
    x = inputs(same, cross)
    row = Row(width, lambda _: Block(tuple(map(Entry, layers))))
    theory = row.theory(signal(x, same, cross, (2,)))
    alone = len(theory) == 2 * 7
    found = statistics(row, x, TRIALS, 5, alone=alone)
    off = found.mean(0) - theory
    # Gradients of positions stay; those of a dense layer and the rest vary between trials.
    noise = found.std(0, ddof=1) / math.sqrt(TRIALS)
    z = norm.isf(0.0005 / (3 * len(theory)))
    assert np.all(np.abs(off) <= z * noise + 1e-12), off / noise


@pytest.mark.parametrize("std", [1.0, 0.02])
def test_normal_encodings_are_one_draw_a_trial_for_all_samples(std):
    """A part of the numbers: 4096 of them have mean and mean square within 5 standard errors."""
    network = Network(Shape(64, (64,)), Block((Entry(Scale(0.0)), Entry(Positions("normal", std)))))
    sampler = General(
        network, DrawnInputs("normal", 4096, 3, 0.0, 1.0), 2, 0, "float32", train=True
    )
    found = []
    for trial in range(2):
        walk = Walk(sampler, trial, {0: sampler.first(trial)})
        walk.step()
        walk.step()
        found.append(walk.values[2])
        assert np.array_equal(found[-1], found[-1][:, :1].repeat(3, 1))
    e = np.array(found)[:, :, 0].astype(np.float64) / std
    assert abs(np.corrcoef(*e.reshape(2, -1))[0, 1]) < 5.0 / 64.0
    assert abs(e[0].mean()) < 5.0 / 64.0
    assert abs((e[0] ** 2).mean() - 1.0) < 5.0 * math.sqrt(2.0) / 64.0


@pytest.mark.parametrize("std", [1.0, 0.5])
def test_normal_encodings_keep_gaussian_units_gaussian(std):
    same, cross = PLACES
    given = Signal(Shape(4, (2,)), np.zeros(2), same, same - cross, GAUSSIAN)
    found = Positions("normal", std).moments([given], 3).signal
    assert found.law == GAUSSIAN
    assert np.array_equal(found.same, same + std**2 * np.eye(2))
    assert np.array_equal(found.gap, given.gap)
    assert len(found.fresh) == len(given.fresh) + 1
    other = Signal(Shape(4, (2,)), np.zeros(2), same, same - cross, OTHER)
    assert Positions("normal").moments([other], 3).signal.law == OTHER


def test_what_depends_on_the_place_of_units_is_not_known():
    """The same sinusoids twice are not independent, and neither are groups of channels alike."""
    x, (same, cross) = inputs(*PLACES), PLACES
    given = signal(x, same, cross, (2,))
    once = Positions().moments([given], 3).signal
    assert PLACE in once.fresh
    assert isinstance(Positions().moments([once], 3), NoTheory)
    assert Positions("normal").moments([once], 3) is not None
    other = Positions().moments([signal(x, same, cross, (2,))], 3).signal
    assert isinstance(Add().moments([once, other], 3), NoTheory)
    assert isinstance(Activation("relu").moments([once], 3), NoTheory)
    assert isinstance(Conv(channels=4, kernel=1, groups=2).moments([once], 3), NoTheory)
    assert Conv(channels=4, kernel=1).moments([once], 3) is not None


def test_encodings_that_are_drawn_are_parameters():
    assert Positions("normal").parameters([Shape(5, (7,))]) == 35
    assert Positions().parameters([Shape(5, (7,))]) == 0


@pytest.mark.parametrize("shape", [Shape(4), Shape(4, (3, 2))], ids=str)
def test_only_time_has_positions(shape):
    with pytest.raises(InvalidValueError, match="grid"):
        Positions().shape([shape])


@pytest.mark.peers
@pytest.mark.parametrize("channels", [5, 6])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_sinusoids_are_those_of_the_tutorial_of_pytorch(channels, dtype):
    from tests.peers.comparison import compare

    layers = Entry(Positions()), Entry(Dense(channels))
    compare(Network(Shape(channels, (7,)), Block(layers)), dtype, train=True)


@pytest.mark.parametrize(("own", "channels"), [(4, 8), (6, 4), (6, 12), (5, 8), (8, 6)])
def test_channels_that_stand_for_others_keep_sines_and_cosines_together(own, channels):
    """Frequencies are evenly spaced, from the first one on."""
    expected = []
    for pair in range(channels // 2):
        frequency = math.floor(pair / (channels / 2) * (own // 2) + 1e-9)
        expected += [2 * frequency, 2 * frequency + 1]
    assert places(own, channels).tolist() == expected


def test_encodings_of_no_size_change_nothing():
    same, cross = PLACES
    given = Signal(Shape(4, (2,)), np.zeros(2), same, same - cross, ZERO)
    assert Positions("normal", 0.0).moments([given], 3).signal is given


def test_sinusoids_have_no_size_of_their_own():
    with pytest.raises(InvalidValueError, match=r"std is 0\.5, but must be left out"):
        Positions(std=0.5)
