"""Theory of layers: maps of the signal, and of gradients on the way back."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from snstat.errors import LayerError
from snstat.layers.activation import Activation
from snstat.layers.block import Block
from snstat.layers.dense import Dense
from snstat.layers.entry import Entry
from snstat.layers.law import GAUSSIAN, OTHER, ZERO
from snstat.layers.no_theory import NoTheory
from snstat.layers.shape import Shape
from snstat.layers.signal import Signal, Slope
from snstat.theory.chain import Chain
from tests.network.stacks import stacks

VECTOR = Shape(30)


def signal(mean=0.0, same=1.0, gap=0.5, law=OTHER, shape=VECTOR):
    return Signal.of_one(shape, (mean, same, gap), law)


def slope(same=1.0, gap=1.0):
    return Slope(np.array([[same]]), np.array([[gap]]))


def size(found):
    """Return E[δ²] and the gap of a slope."""
    scale = math.exp(found.log)
    return scale * float(found.same[0, 0]), scale * float(found.gap[0, 0])


def chain(*layers, times=None):
    return Block(tuple(Entry(layer) for layer in layers), times)


@given(stacks(), st.sampled_from([0.5, 0.0, 1.25]))
def test_a_dense_layer_moves_the_signal_as_the_fast_chain_does(stack, gap):
    """To the last bit: both are the same map."""
    state = signal(0.3, 1.25, gap, shape=Shape(stack.input_width))
    for layer in stack.layers():
        kind = Dense(
            layer.fan_out,
            layer.activation,
            init=stack.init,
            weight_gain=stack.weight_gain,
            weight_std=stack.weight_std,
            bias_std=stack.bias_std,
        )
        assert kind.at(layer.fan_in) == layer
        alone = Chain(layer, float(state.same[0, 0]), state.law == ZERO)
        (one,), _ = alone.until(1)
        (two,) = alone.pairs(float(state.gap[0, 0])).until(1)
        step = kind.moments([state], 4)
        assert step is not None
        state = step.signal
        found = float(state.mean[0]), float(state.same[0, 0]), float(state.gap[0, 0])
        assert found[1:] == (one.second_moment, two.gap)
        assert found[0] == pytest.approx(one.moments.mean, abs=2e-15 * math.sqrt(found[1]))
        assert (state.law == ZERO) == one.silent
        (back,) = step.pull(slope())
        growth = one.growth * layer.fan_out / layer.fan_in
        assert size(back) == pytest.approx((growth, growth), rel=1e-14)


def test_the_map_of_the_weights_holds_for_any_law():
    layer = Dense(60, init="lecun_normal", weight_gain=1.5, bias_std=0.5)
    step = layer.moments([signal(0.7, 2.0, 0.5)], 4)
    assert step is not None
    after = step.signal
    assert (after.shape, after.law) == (Shape(60), GAUSSIAN)
    assert (after.mean[0], after.same[0, 0], after.gap[0, 0]) == (0.0, 4.75, 1.125)
    assert size(step.pull(slope(1.0, 0.25))[0]) == pytest.approx((4.5, 1.125), rel=1e-15)


def test_positions_pass_the_weights_each_with_each():
    same = np.array([[2.0, 1.0], [1.0, 3.0]])
    state = Signal(Shape(30, (2,)), np.zeros(2), same, 0.5 * same, OTHER, frozenset())
    step = Dense(60, weight_gain=2.0, bias_std=1.0).moments([state], 4)
    assert step is not None
    assert np.array_equal(step.signal.same, 4.0 * same + 1.0)
    assert np.array_equal(step.signal.gap, 2.0 * same)
    assert step.signal.shape == Shape(60, (2,))
    after = Activation("relu").moments([step.signal], 4)
    assert after is not None
    assert np.diagonal(after.signal.same) == pytest.approx(np.diagonal(step.signal.same) / 2.0)


@pytest.mark.parametrize("correlation", [-0.9, 0.0, 0.4, 1.0])
def test_the_slopes_of_two_samples_are_those_of_arc_cosine_kernels(correlation):
    """Cho & Saul (2009): E[φφ'] and E[φ'φ'] of ReLU."""
    q, angle = 1.7, math.acos(correlation)
    step = Activation("relu").moments([signal(0.0, q, q * (1.0 - correlation), GAUSSIAN)], 4)
    assert step is not None
    product = q / (2.0 * math.pi) * (math.sin(angle) + (math.pi - angle) * correlation)
    state = step.signal
    assert state.same[0, 0] - state.gap[0, 0] == pytest.approx(product, abs=1e-15)
    # g = 3 and h = 2 before: the product of two samples' gradients is 2 E[φ'φ'].
    same, gap = size(step.pull(slope(3.0, 1.0))[0])
    assert same == pytest.approx(1.5, rel=1e-15)
    assert same - gap == pytest.approx(2.0 * (math.pi - angle) / (2.0 * math.pi), rel=1e-14)


def arc_cosine(first, second, covariance):
    """Return E[φφ] and E[φ'φ'] of ReLU (Cho & Saul 2009) for two variances and the covariance."""
    size = math.sqrt(first * second)
    angle = math.acos(min(covariance / size, 1.0))
    product = size * (math.sin(angle) + (math.pi - angle) * math.cos(angle)) / (2.0 * math.pi)
    return product, (math.pi - angle) / (2.0 * math.pi)


@pytest.mark.parametrize("activation", ["relu", "erf"])
def test_pairs_of_positions_of_one_sample_and_of_two_have_their_own_angles(activation):
    same = np.array([[2.0, 0.6, -0.3], [0.6, 1.0, 0.2], [-0.3, 0.2, 0.5]])
    gap = np.array([[1.5, 0.4, 0.0], [0.4, 0.3, 0.1], [0.0, 0.1, 0.2]])
    kernel = {"relu": arc_cosine, "erf": arc_sine}[activation]
    before = Signal(Shape(4, (3,)), np.zeros(3), same, gap, GAUSSIAN, frozenset())
    step = Activation(activation).moments([before], 4)
    after, two = step.signal, same - gap
    g = np.array([[1.0, 0.5, 0.1], [0.5, 2.0, 0.3], [0.1, 0.3, 1.0]])
    h = g * [[0.7, 0.2, 0.9], [0.2, 0.1, 0.4], [0.9, 0.4, 0.6]]
    (back,) = step.pull(Slope(g, g - h))
    scale = math.exp(back.log)
    for u, v in np.ndindex(3, 3):
        one, other = (kernel(same[u, u], same[v, v], own[u, v]) for own in (same, two))
        assert after.same[u, v] == pytest.approx(one[0], rel=1e-9, abs=1e-9)
        assert after.same[u, v] - after.gap[u, v] == pytest.approx(other[0], rel=1e-9, abs=1e-9)
        assert scale * back.same[u, v] == pytest.approx(g[u, v] * one[1], rel=1e-9, abs=1e-9)
        product = scale * (back.same - back.gap)[u, v]
        assert product == pytest.approx(h[u, v] * other[1], rel=1e-9, abs=1e-9)


def arc_sine(first, second, covariance):
    """Return E[φφ] and E[φ'φ'] of erf (Williams 1997)."""
    spread = (1.0 + 2.0 * first) * (1.0 + 2.0 * second)
    product = 2.0 / math.pi * math.asin(2.0 * covariance / math.sqrt(spread))
    return product, 4.0 / math.pi / math.sqrt(spread - 4.0 * covariance**2)


def test_what_is_not_known_is_none():
    assert isinstance(Activation("relu").moments([signal(law=OTHER)], 4), NoTheory)
    assert isinstance(Activation("relu").moments([signal(0.5, law=GAUSSIAN)], 4), NoTheory)
    unknown = chain(Dense(4, "relu"), Activation("tanh"), times=10**9).moments([signal()], 4)
    assert not unknown.signal.known
    assert np.isnan(unknown.pull(slope())[0].same).all()
    assert chain(Dense(4), Activation("tanh")).moments([signal()], 4).signal.known
    assert isinstance(Dense(4, "relu", weight_gain=1e50).moments([signal(0.0, 1e200)], 4), NoTheory)


def test_a_layer_with_its_activation_is_the_two_in_a_row():
    joint = Dense(4, "gelu", init="he_normal").moments([signal()], 4)
    apart = chain(Dense(4, init="he_normal"), Activation("gelu")).moments([signal()], 4)
    assert joint is not None
    assert apart is not None
    assert joint.signal.repeats(apart.signal.held(joint.signal))
    assert size(joint.pull(slope())[0]) == pytest.approx(size(apart.pull(slope())[0]), rel=1e-15)


@pytest.mark.parametrize("name", ["relu", "tanh"])
@pytest.mark.parametrize(("gain", "bias"), [(0.8, 0.3), (1.7, 0.0)])
def test_a_repeated_block_is_its_turns_in_a_row(name, gain, bias):
    layer = Dense(30, name, weight_gain=gain, bias_std=bias)
    turn, times = chain(layer, Dense(30)), 400
    whole = Block(turn.entries, times).moments([signal(0.0, 2.0, 0.7)], 4)
    state, pulls = signal(0.0, 2.0, 0.7), []
    for _ in range(times):
        step = turn.moments([state], 4)
        assert step is not None
        state = step.signal
        pulls.append(step.pull)
    assert whole is not None
    # Samples that become ever more alike, or a signal that grows, never settle.
    if name == "tanh" and bias == 0:
        assert len(whole.turns) < times
    assert whole.signal.same == pytest.approx(state.same, rel=1e-13)
    assert whole.signal.gap == pytest.approx(state.gap, rel=1e-12)
    back = slope(1.0, 0.8)
    for pull in reversed(pulls):
        (back,) = pull(back)
    (found,) = whole.pull(slope(1.0, 0.8))
    assert found.log == pytest.approx(back.log, rel=1e-12)
    assert found.gap == pytest.approx(back.gap, abs=1e-12)


def test_depth_costs_nothing():
    deep = chain(Dense(64, "selu", init="lecun_normal"), times=10**9)
    step = deep.moments([signal(shape=Shape(64))], 64)
    assert step is not None
    assert (step.signal.mean[0], step.signal.same[0, 0]) == pytest.approx((0.0, 1.0), abs=1e-12)
    (back,) = step.pull(slope())
    assert back.log / 1e9 == pytest.approx(math.log(1.0715750), abs=1e-7)


def test_a_signal_used_twice_has_the_sum_of_both_gradients():
    """Both branches start from the block's input, and one of them is not used again."""
    once = Dense(30, "tanh")
    block = Block((Entry(once), Entry(once, (0,))))
    step, alone = block.moments([signal()], 4), once.moments([signal()], 4)
    assert step is not None
    assert alone is not None
    assert size(step.pull(slope())[0]) == pytest.approx(size(alone.pull(slope())[0]), rel=1e-15)
    total = slope(2.0, 1.0) + Slope(np.array([[1.0]]), np.array([[0.5]]), math.log(3.0))
    assert size(total) == pytest.approx((5.0, 2.5), rel=1e-15)


def test_weights_without_a_common_draw_are_told_apart():
    start = signal()
    first = Dense(30).moments([start], 4)
    second = Dense(30).moments([start], 4)
    assert first is not None
    assert second is not None
    assert not first.signal.fresh & second.signal.fresh
    then = Activation("relu").moments([first.signal], 4)
    assert then is not None
    assert then.signal.fresh == first.signal.fresh


def test_errors_of_theory_name_the_path():
    block = chain(chain(Dense(4)))
    with pytest.raises(LayerError, match=r"layer 0\.0: shape"):
        Block((Entry(chain(Dense(2**28))),)).moments([signal(shape=Shape(3, (2,)))], 4)
    assert block.moments([signal()], 4) is not None


def test_slopes_of_which_a_part_is_not_known_are_scaled_by_themselves():
    found = Slope(np.array([4.0, math.nan]), np.array([3.0, math.nan])).scaled(0.5)
    scale = math.exp(found.log)
    assert scale * found.same == pytest.approx([2.0, math.nan], nan_ok=True)
    assert scale * found.gap == pytest.approx([1.5, math.nan], nan_ok=True)
