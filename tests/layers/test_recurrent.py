"""Recurrent kinds, against loops over samples, times and units; theory of Elman networks."""

from __future__ import annotations

import math
from functools import partial

import numpy as np
import pytest
from scipy.special import expit

from snstat.errors import InvalidValueError
from snstat.layers import recurrent
from snstat.layers.block import Block
from snstat.layers.conv import Conv
from snstat.layers.dense import Dense
from snstat.layers.elman import Elman
from snstat.layers.entry import Entry
from snstat.layers.gru import Gru
from snstat.layers.initialisers import INITIALISERS
from snstat.layers.law import GAUSSIAN, OTHER, ZERO
from snstat.layers.lstm import Lstm
from snstat.layers.no_theory import NoTheory
from snstat.layers.shape import Shape
from snstat.layers.signal import Signal, Slope
from tests.layers.plain_draw import PlainDraw
from tests.layers.plain_theory import compared_alone

KINDS = pytest.mark.parametrize("kind", [Elman, Lstm, Gru])
CHANNELS, WIDTH, BATCH, TIMES = 3, 4, 2, 5


class Recorded(PlainDraw):
    """A Draw that keeps its matrices and biases."""

    def __init__(self, seed):
        super().__init__(seed)
        self.found = []

    def matrix(self, weights):
        self.found.append(super().matrix(weights))
        return self.found[-1]


def elman(x, h, _, gates):
    (z,) = gates(x, h)
    return np.tanh(z[0] + z[1]), None


def lstm(x, h, c, gates):
    i, f, g, o = (own + other for own, other in gates(x, h))
    c = expit(f) * c + expit(i) * np.tanh(g)
    return expit(o) * np.tanh(c), c


def biased(x, h, c, gates):
    """The step of an LSTM with a forget bias of 1.25."""

    def moved(x, h):
        i, (f, own), *others = gates(x, h)
        return [i, (f + 1.25, own), *others]

    return lstm(x, h, c, moved)


def gru(x, h, _, gates):
    r, z, n = gates(x, h)
    reset, kept = expit(sum(r)), expit(sum(z))
    return (1.0 - kept) * np.tanh(n[0] + reset * n[1]) + kept * h, None


Remembering = partial(Lstm, forget_bias=1.25)
CELLS = {Elman: elman, Lstm: lstm, Gru: gru, Remembering: biased}
ALL_CELLS = pytest.mark.parametrize("kind", CELLS)


@pytest.mark.parametrize("output", ["sequence", "last"])
@ALL_CELLS
def test_values_are_those_of_a_loop_over_time(kind, output):
    """By the formulas of PyTorch's documentation, one sample and one time after the other."""
    x = np.random.default_rng(0).normal(size=(CHANNELS, BATCH, TIMES))
    draw = Recorded(1)
    layer = kind(width=WIDTH, output=output, bias_std=0.5, weight_gain=1.5)
    found = layer.sample([x], draw)
    count = len(draw.found) // 2

    def gates(x, h):
        """Return U x + b and W h + c of every gate."""
        rows = zip(draw.found[:count], draw.found[count:], strict=True)
        return [(u @ x + b, w @ h + c) for (u, b), (w, c) in rows]

    expected = np.zeros((WIDTH, BATCH, TIMES))
    for sample in range(BATCH):
        h = c = np.zeros(WIDTH)
        for now in range(TIMES):
            h, c = CELLS[kind](x[:, sample, now], h, c, gates)
            expected[:, sample, now] = h
    if output == "last":
        expected = expected[..., -1]
    np.testing.assert_allclose(found.values, expected, rtol=1e-13, atol=1e-15)
    shape = layer.shape([Shape(CHANNELS, (TIMES,))])
    assert found.values.shape == (shape.channels, BATCH, *shape.grid)


@pytest.mark.parametrize("output", ["sequence", "last"])
@KINDS
def test_long_sequences_are_the_same_segment_by_segment(kind, output, monkeypatch):
    """Values and gradients, of five times in segments of two and of one."""
    x = np.random.default_rng(0).normal(size=(CHANNELS, BATCH, TIMES))
    layer = kind(width=WIDTH, output=output, bias_std=0.5)
    whole = layer.sample([x], PlainDraw(1))
    h = np.random.default_rng(1).normal(size=whole.values.shape)
    for segment in (2, 1):
        monkeypatch.setattr(recurrent, "SEGMENT", segment)
        found = layer.sample([x], PlainDraw(1))
        np.testing.assert_allclose(found.values, whole.values, rtol=1e-14, atol=1e-15)
        np.testing.assert_allclose(found.pull(h)[0], whole.pull(h)[0], rtol=1e-14, atol=1e-15)


@pytest.mark.parametrize("output", ["sequence", "last"])
@ALL_CELLS
def test_gradients_are_those_of_central_differences(kind, output):
    """Every input by itself. Tolerance: the error of a difference is of second order."""
    random, step = np.random.default_rng(0), 1e-5
    x = random.normal(size=(CHANNELS, BATCH, TIMES))
    layer = kind(width=WIDTH, output=output, bias_std=0.5, weight_gain=1.5)
    found = layer.sample([x], PlainDraw(1))
    slope = random.normal(size=found.values.shape)
    (back,) = found.pull(slope)
    for place in np.ndindex(x.shape):
        moved = np.zeros_like(x)
        moved[place] = step
        ahead, behind = (
            layer.sample([x + sign * moved], PlainDraw(1)).values for sign in (1.0, -1.0)
        )
        numeric = np.sum(slope * (ahead - behind)) / (2.0 * step)
        assert back[place] == pytest.approx(numeric, abs=1e-8)


@KINDS
def test_the_pull_back_may_be_asked_again(kind):
    """What it keeps is not overwritten."""
    x = np.random.default_rng(0).normal(size=(CHANNELS, BATCH, TIMES))
    found = kind(width=WIDTH).sample([x], PlainDraw(1))
    slope = np.ones_like(found.values)
    first, second = (found.pull(slope)[0] for _ in range(2))
    np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize(("kind", "gates"), [(Elman, 1), (Lstm, 4), (Gru, 3)])
def test_weights_are_those_of_pytorch(kind, gates):
    """Each gate has U and W with biases both; torch_default is ±1/√width for all of them, and a
    gain holds for the fan-in of each matrix."""
    shape = Shape(48, (TIMES,))
    drawn = kind(width=12, init="torch_default").matrices([shape])
    assert [own.fan_in for own in drawn] == [48] * gates + [12] * gates
    for own in drawn:
        assert own.distribution == own.bias_distribution == "uniform"
        assert own.square_gain / own.fan_in == pytest.approx(1.0 / 36.0, rel=1e-14)
        assert own.bias_std**2 == pytest.approx(1.0 / 36.0, rel=1e-14)
    layer = kind(width=12, init="torch_default", weight_gain=1.5, bias_std=0.25)
    for own in layer.matrices([shape]):
        assert own.square_gain == pytest.approx(2.25, rel=1e-14)
        assert own.bias_std == 0.25
    for init in INITIALISERS:
        if init != "torch_default":
            fans = [Dense(12, "tanh", init=init).at(fan_in) for fan_in in (48, 12)]
            for own in kind(width=12, init=init).matrices([shape]):
                expected = fans[own.fan_in == 12]
                assert own.square_gain == expected.square_gain
    assert layer.parameters([shape]) == gates * 12 * (48 + 1 + 12 + 1)


@pytest.mark.parametrize("init", INITIALISERS)
def test_the_forget_bias_is_added_whatever_init_draws(init):
    """Without inputs and with an open forget gate, c stays what it is: a huge bias keeps i g of
    the first time, and −10 leaves less than e^−10 of it."""
    x = np.zeros((CHANNELS, BATCH, 2))
    x[..., 0] = 1.0
    found = {}
    for bias in (-10.0, 0.0, 10.0):
        layer = Lstm(width=WIDTH, init=init, bias_std=0.0, forget_bias=bias)
        draw = Recorded(3)
        found[bias] = layer.sample([x], draw).values
        (u, _), _, (g, _), _, *_ = draw.found
        kept = expit(u @ x[:, 0, 0]) * np.tanh(g @ x[:, 0, 0])
        now = np.array([own @ found[bias][:, 0, 0] for own, _ in draw.found[4:]])
        after = expit(now[1] + bias) * kept + expit(now[0]) * np.tanh(now[2])
        expected = expit(now[3]) * np.tanh(after)
        np.testing.assert_allclose(found[bias][:, 0, 1], expected, rtol=1e-12)
    np.testing.assert_array_equal(found[0.0][..., 0], found[10.0][..., 0])
    with pytest.raises(InvalidValueError, match="forget_bias is 11"):
        Lstm(width=4, forget_bias=11.0)


@KINDS
def test_what_does_not_fit_is_refused(kind):
    for shape in (Shape(4), Shape(4, (3, 2))):
        with pytest.raises(InvalidValueError, match="grid"):
            kind(width=4).shape([shape])
    with pytest.raises(InvalidValueError, match="one input"):
        kind(width=4, weights="standardized").shape([Shape(1, (3,))])
    with pytest.raises(InvalidValueError, match="one input"):
        kind(width=1, weights="standardized").shape([Shape(4, (3,))])
    with pytest.raises(InvalidValueError, match="one of last, sequence"):
        kind(width=4, output="first")


@KINDS
def test_the_last_units_keep_what_all_have(kind):
    shape, layer = Shape(4, (9,)), kind(width=6, output="last")
    assert layer.arrays * 6 + layer.beside([shape]) == layer.arrays * 6 * 9
    assert kind(width=6).beside([shape]) == 0


def test_theory_of_memories_is_null():
    for kind in (Lstm, Gru):
        assert isinstance(kind(width=4).moments([start()], 2), NoTheory)


def start(times=TIMES, channels=CHANNELS):
    """Return a signal whose second moment is another at each time."""
    same = np.linspace(1.0, 2.0, times)
    return Signal(Shape(channels, (times,)), np.zeros(times), same, 0.5 * same, OTHER)


@pytest.mark.parametrize("output", ["sequence", "last"])
def test_theory_of_a_linear_elman_network_is_a_sum_over_times(output):
    """q_t = Σ_s G^(2(t−s)) (G² E[x_s²] + 2b²), and back E[δ_s²] = G² (width/channels) Σ_t≥s
    G^(2(t−s)) of what is read at t."""
    gain, bias = 0.81, 0.09
    layer = Elman(width=8, activation="identity", output=output, weight_gain=0.9, bias_std=0.3)
    state = start()
    step = layer.moments([state], 2)
    powers = np.array([[gain ** (t - s) if s <= t else 0.0 for s in range(5)] for t in range(5)])
    same = powers @ (gain * state.same + 2.0 * bias)
    gap = powers @ (gain * state.gap)
    read = np.linspace(0.5, 3.0, 5) if output == "sequence" else np.array([0, 0, 0, 0, 1.0])
    if output == "last":
        same, gap, slope = same[-1:, None], gap[-1:, None], np.ones((1, 1))
    else:
        slope = read
    np.testing.assert_allclose(step.signal.same, same, rtol=1e-13)
    np.testing.assert_allclose(step.signal.gap, gap, rtol=1e-13)
    assert step.signal.law == GAUSSIAN
    assert step.signal.shape == layer.shape([state.shape])
    (back,) = step.pull(Slope(slope, 0.5 * slope, 1.5))
    expected = 8 / CHANNELS * gain * powers.T @ read
    scale = math.exp(back.log - 1.5)
    np.testing.assert_allclose(scale * back.same, expected, rtol=1e-13)
    np.testing.assert_allclose(scale * back.gap, 0.5 * expected, rtol=1e-13)


def test_two_times_of_theory_are_two_layers():
    """With an input at the first time only, the second one is a dense layer after a dense layer."""
    keys = {"activation": "tanh", "weight_gain": 1.4}
    same = np.array([1.5, 0.0])
    state = Signal(Shape(6, (2,)), np.zeros(2), same, 0.4 * same, OTHER)
    found = Elman(width=6, output="last", **keys).moments([state], 2)
    plain = Block((Entry(Dense(6, **keys)), Entry(Dense(6, **keys))))
    expected = plain.moments([Signal.of_one(Shape(6), (0.0, 1.5, 0.6), OTHER)], 2)
    np.testing.assert_allclose(found.signal.same, expected.signal.same, rtol=1e-13)
    np.testing.assert_allclose(found.signal.gap, expected.signal.gap, rtol=1e-13)
    one = np.ones((1, 1))
    (back,), (other,) = found.pull(Slope(one, one)), expected.pull(Slope(one, one))
    assert math.exp(back.log) * back.same[0] == pytest.approx(
        math.exp(other.log) * other.same[0, 0], rel=1e-13
    )


def test_silence_and_one_time():
    """Zeros stay zeros without biases; a grid of one position has one pair."""
    zeros = np.zeros(3)
    silent = Signal(Shape(4, (3,)), zeros, zeros, zeros, ZERO)
    assert Elman(width=4).moments([silent], 2).signal.law == ZERO
    assert Elman(width=4, bias_std=0.1).moments([silent], 2).signal.law == OTHER
    one = np.ones((1, 1))
    state = Signal(Shape(4, (1,)), np.zeros(1), one, 0.5 * one, OTHER)
    found = Elman(width=4).moments([state], 2)
    expected = Dense(4, "tanh").moments([state], 2)
    np.testing.assert_allclose(found.signal.same, expected.signal.same, rtol=1e-14)
    assert found.pull(Slope(one, one))[0].same.shape == (1, 1)


@pytest.mark.parametrize("pairs", [True, False])
def test_theory_goes_on_through_layers_on_grids(pairs):
    """Elman layers between convolutions and dense layers."""
    ones = np.ones(4)
    same = np.eye(4) if pairs else ones
    state = Signal(Shape(5, (4,)), 0.0 * ones, same, 0.5 * same, OTHER)
    body = Block(
        tuple(
            map(
                Entry,
                [Elman(width=5), Conv(channels=5, kernel=2), Elman(width=6), Dense(4, "relu")],
            )
        )
    )
    step = body.moments([state], 3)
    assert step.signal.known
    slope = np.ones(4)
    (back,) = step.pull(Slope(slope, slope))
    assert back.same.shape == (4,)
    assert np.all((back.same > 0.0) & (back.same < math.inf))


@pytest.mark.parametrize("output", ["sequence", "last"])
@pytest.mark.parametrize("keys", [{"init": "torch_default"}, {"activation": "relu"}], ids=str)
def test_theory_is_what_plain_simulations_tend_to(keys, output):
    def build(width):
        # Biases of torch_default depend on the width, these do not.
        return Elman(width=width, output=output, bias_std=0.3, **keys)

    compared_alone(build, (TIMES,), 4 * 4 * TIMES, squares=start().same, shared=0.5)


@pytest.mark.parametrize("output", ["sequence", "last"])
@pytest.mark.parametrize("pairs", [True, False])
def test_pairs_of_times_end_where_there_were_some_and_there_are_several_times(pairs, output):
    before = start()
    if pairs:
        before = Signal(before.shape, before.mean, np.diag(before.same), np.diag(before.gap), OTHER)
    step = Elman(width=4, output=output).moments([before], 2)
    assert bool(step.why_pairs) == (pairs and output == "sequence")
