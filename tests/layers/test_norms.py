"""Kinds that normalise or drop units: what is known where, and modes."""

from __future__ import annotations

import math

import numpy as np
import pytest

from snstat.errors import InvalidValueError
from snstat.experiment.inputs import DrawnInputs
from snstat.layers.activation import Activation
from snstat.layers.alpha_dropout import AlphaDropout
from snstat.layers.batch_norm import BatchNorm
from snstat.layers.block import Block
from snstat.layers.channel_dropout import ChannelDropout
from snstat.layers.dense import Dense
from snstat.layers.dropout import Dropout
from snstat.layers.entry import Entry
from snstat.layers.group_norm import GroupNorm
from snstat.layers.law import GAUSSIAN, OTHER, ZERO, is_masked
from snstat.layers.layer_norm import LayerNorm
from snstat.layers.no_theory import NoTheory
from snstat.layers.rms_norm import RmsNorm
from snstat.layers.scale import Scale
from snstat.layers.shape import Shape
from snstat.layers.signal import Signal, Slope, unknown
from snstat.network.network import Network
from snstat.theory.walk import walk
from tests.layers.plain_draw import PlainDraw

ONE = np.ones((1, 1))
KINDS = (
    Dropout(0.3),
    ChannelDropout(0.3),
    AlphaDropout(0.3),
    LayerNorm(epsilon=0.1),
    RmsNorm(epsilon=0.1),
    GroupNorm(groups=4, epsilon=0.1),
)


def signal(same=1.0, gap=0.5, law=GAUSSIAN, mean=0.0):
    return Signal.of_one(Shape(64), (mean, same, gap), law)


def chain(*layers, times=1):
    return Block(tuple(Entry(layer) for layer in layers), times)


def drawn(batch):
    return DrawnInputs("normal", 64, batch, 0.0, 1.0).moments()


def products(x):
    one = np.einsum("cbu,cbv->uv", x, x) / (x.shape[0] * x.shape[1])
    both = np.einsum("cu,cv->uv", x[:, 0], x[:, 1]) / len(x)
    return one, 0.5 * (both + both.T)


@pytest.mark.parametrize("layer", KINDS, ids=lambda layer: layer.kind)
def test_means_that_differ_between_positions(layer):
    """One draw of many channels whose units have a mean, with the theory of its own moments."""
    channels, random = 2**17, np.random.default_rng(3)
    common, own = random.normal(size=(2, channels, 2, 2))
    x = np.array([1.7, -0.3]) + own @ [[1.0, 0.5], [0.0, 0.8]] + 0.6 * common[:, :1]
    same, cross = products(x)
    before = Signal(Shape(channels, (2,)), x.mean((0, 1)), same, same - cross, OTHER)
    step = layer.moments([before], 2)
    assert step is not None
    found = layer.sample([x], PlainDraw(4))
    after = products(found.values)
    # Five standard errors of a mean of products of numbers of size 2, over two samples.
    limit = 5.0 * 4.0 / math.sqrt(channels)
    assert found.values.mean((0, 1)) == pytest.approx(step.signal.mean, abs=limit)
    assert after[0] == pytest.approx(step.signal.same, abs=limit)
    assert after[1] == pytest.approx(step.signal.same - step.signal.gap, abs=limit)


@pytest.mark.parametrize("layer", [*KINDS[:3], Dropout(0.0), AlphaDropout(0.0)])
def test_nothing_is_dropped_in_eval_mode(layer):
    x = np.random.default_rng(0).normal(size=(5, 4, 3))
    found = layer.sample([x], PlainDraw(train=layer.rate == 0))
    assert found.values == pytest.approx(x, abs=1e-15)
    assert found.pull(x)[0] == pytest.approx(x, abs=1e-15)


def test_theory_of_eval_mode_is_that_of_scales():
    """Scales in place of dropout and batch norm, in blocks too."""
    shape, inputs = Shape(64), drawn(8)
    within = chain(Dropout(0.3), Dense(64, "tanh"), BatchNorm(epsilon=0.21), times=2)
    layers = (within, ChannelDropout(0.3), Dense(64, "relu"), AlphaDropout(0.3), LayerNorm())
    one, half = Scale(1.0), Scale(1.0 / 1.1)
    plain = (chain(one, Dense(64, "tanh"), half, times=2), one, Dense(64, "relu"), one, LayerNorm())
    found = walk(Network(shape, chain(*layers)), 8, inputs, train=False)
    again = walk(Network(shape, chain(*plain)), 8, inputs)
    assert np.array_equal(found.second_moment, again.second_moment)
    assert np.array_equal(found.log_gradient, again.log_gradient)
    assert np.isfinite(found.log_gradient).all()


def test_batch_norm_divides_by_a_number_in_eval_mode():
    x = np.random.default_rng(0).normal(size=(5, 4))
    found = BatchNorm(epsilon=0.21).sample([x], PlainDraw(train=False))
    assert found.values == pytest.approx(x / 1.1, rel=1e-15)
    assert found.pull(x)[0] == pytest.approx(x / 1.1, rel=1e-15)


@pytest.mark.parametrize("layer", [*KINDS, BatchNorm()], ids=lambda layer: layer.kind)
def test_values_keep_their_type(layer):
    x = np.random.default_rng(0).normal(size=(8, 4)).astype(np.float32)
    found = layer.sample([x], PlainDraw())
    assert found.values.dtype == found.pull(x)[0].dtype == np.float32


@pytest.mark.parametrize("kind", [Dropout, ChannelDropout, AlphaDropout])
def test_a_rate_of_one_is_refused(kind):
    with pytest.raises(InvalidValueError, match="rate is 1"):
        kind(1.0)


def test_groups_divide_the_channels():
    with pytest.raises(InvalidValueError, match=r"groups.* a divisor of the 64 channels"):
        GroupNorm(groups=3).shape([Shape(64)])


def test_small_groups_have_no_theory():
    assert GroupNorm(groups=2).moments([signal()], 4) is not None
    assert isinstance(GroupNorm(groups=4).moments([signal()], 4), NoTheory)


@pytest.mark.parametrize("layer", [LayerNorm, RmsNorm])
def test_silence_without_epsilon_has_no_theory(layer):
    still = signal(0.0, 0.0, ZERO)
    assert isinstance(layer(epsilon=0.0).moments([still], 4), NoTheory)
    step = layer(epsilon=0.01).moments([still], 4)
    assert step is not None
    assert step.signal.law == ZERO
    assert step.signal.same[0, 0] == 0
    assert step.pull(Slope(ONE, ONE))[0].log == pytest.approx(math.log(100.0))
    # The variance of a constant is rounding.
    assert isinstance(
        LayerNorm(epsilon=0.0).moments([signal(1.0, 0.0, OTHER, 1.0 - 1e-16)], 4), NoTheory
    )


def test_laws_after():
    """Normalisation by numbers keeps a Gaussian; what is dropped makes another law."""
    for layer in KINDS[3:5]:
        assert layer.moments([signal()], 4).signal.law == GAUSSIAN
    for layer in KINDS[:3]:
        step = layer.moments([signal()], 4)
        assert is_masked(step.signal.law)
        assert layer.moments([step.signal], 4).signal.law == OTHER
    assert Dropout(0.3).moments([signal(0.0, 0.0, ZERO)], 4).signal.law == ZERO
    assert AlphaDropout(0.3).moments([signal(0.0, 0.0, ZERO)], 4).signal.law == OTHER


def test_batch_norm_is_known_after_gaussians_alone():
    assert isinstance(BatchNorm().moments([signal(law=OTHER)], 8), NoTheory)
    assert isinstance(BatchNorm().moments([signal()], 1), NoTheory)
    assert isinstance(BatchNorm().moments([signal(gap=0.0)], 8), NoTheory)
    grid = Signal(Shape(8, (2,)), np.zeros(2), np.eye(2), np.eye(2), GAUSSIAN)
    assert isinstance(BatchNorm().moments([grid], 8), NoTheory)


@pytest.mark.parametrize("batch", [2, 3])
def test_gradients_of_tiny_batches_are_not_known(batch):
    net = chain(Dense(64), BatchNorm(epsilon=0.0), Activation("tanh"), times=3)
    step = net.moments([signal(law=OTHER)], batch)
    assert step.signal.known
    (back,) = step.pull(Slope(ONE, ONE))
    assert np.isnan(back.same).all()
    whole = walk(Network(Shape(64), net), batch, drawn(batch))
    assert np.isnan(whole.log_gradient[:-2]).all()
    # No read-out, no gradient.
    (none,) = BatchNorm(epsilon=0.0).moments([signal()], batch).pull(Slope(0.0 * ONE, 0.0 * ONE))
    assert none.same[0, 0] == 0
    # With ε it is finite, and set by ε.
    some = chain(Dense(64), BatchNorm(epsilon=1e-3), Activation("tanh"))
    (held,) = some.moments([signal(law=OTHER)], batch).pull(Slope(ONE, ONE))
    assert np.isnan(held.same).all()


def test_a_read_out_shared_by_all_samples_has_no_gradient_through_batch_norm():
    step = BatchNorm().moments([signal()], 8)
    (back,) = step.pull(Slope(ONE, 0.0 * ONE))
    assert back.same[0, 0] == 0


def test_gradients_grow_as_in_the_limit_of_large_batches():
    """Batch norm and ReLU: π/(π − 1) a layer (arXiv:1902.08129)."""
    net = chain(Dense(64), BatchNorm(epsilon=0.0), Activation("relu"), times=10**6)
    (back,) = net.moments([signal(law=OTHER)], 10**6).pull(Slope(ONE, ONE))
    assert back.log / 1e6 == pytest.approx(math.log(math.pi / (math.pi - 1.0)), rel=1e-5)


def test_two_read_outs_of_batch_norm_add():
    """One through an activation, the other straight; both through a factor."""
    state, tanh = signal(2.0, 1.5), Activation("tanh")
    step = BatchNorm(epsilon=0.1).moments([state], 8)
    scaled = Scale(-3.0).moments([step.signal], 8)
    then = tanh.moments([scaled.signal], 8)
    (through,), straight = then.pull(Slope(ONE, ONE)), Slope(ONE, ONE)

    def back(slope):
        (found,) = step.pull(scaled.pull(slope)[0])
        return math.exp(found.log) * float(found.same[0, 0])

    total = pytest.approx(back(through) + back(straight), rel=1e-14)
    assert (back(through + straight), back(straight + through)) == (total, total)


def test_depth_costs_nothing_after_batch_norm_and_drops():
    for layers in (
        (BatchNorm(), Activation("gelu"), Dropout(0.1)),
        (LayerNorm(), Activation("gelu"), AlphaDropout(0.1)),
    ):
        step = chain(Dense(64), *layers, times=10**6).moments([signal(law=OTHER)], 64)
        assert len(step.turns) < 1000
        assert np.isfinite(step.pull(Slope(ONE, ONE))[0].log)


@pytest.mark.parametrize("norm", [LayerNorm(), GroupNorm(groups=1)])
def test_a_variance_that_is_rounding_is_not_negative(norm):
    """Units that are all φ(0): E[x²] − mean² is 0 but for rounding."""
    mean = np.array([math.log(2.0)])
    for factor in np.linspace(0.1, 3.0, 59):
        square = np.array([[float(mean[0] * mean[0])]]) * factor**2
        x = Signal(Shape(64), factor * mean, square, 0.0 * square, OTHER)
        assert norm.moments([x], 4).signal.same[0, 0] >= 0


@pytest.mark.parametrize("gain", [0.2, 0.5, 1.0])
def test_standardized_softplus_ends_at_0(gain):
    """The standard deviation of the units falls until only their mean is left."""
    layer = Dense(64, "softplus", weights="standardized", weight_gain=gain)
    network = Network(Shape(64), Block((Entry(layer),), 200))
    found = walk(network, 4, DrawnInputs("normal", 64, 4, 0.0, 1.0).moments())
    assert found.second_moment[-1] == pytest.approx(math.log(2.0) ** 2, rel=1e-6)


@pytest.mark.parametrize(("channels", "known"), [(62, False), (64, True)])
def test_a_group_norm_needs_as_many_channels_whether_theory_is_known_or_not(channels, known):
    """32 in each group. Behind what is not known it restores a mean square of 1."""
    shape = Shape(channels)
    before = Signal.of_one(shape, (0.0, 1.0, 0.5), GAUSSIAN)
    lost = unknown(shape, [before]).signal
    for signal in (before, lost):
        step = GroupNorm(groups=2, epsilon=0.0).moments([signal], 4)
        assert isinstance(step, NoTheory) is not known
        assert not known or step.signal.same[0, 0] == pytest.approx(1.0, rel=1e-14)


@pytest.mark.parametrize("layer", [LayerNorm(), RmsNorm()])
def test_a_norm_brings_samples_of_different_sizes_to_one(layer):
    """Gaussian units of which each sample has its own variance are Gaussian of variance 1 then."""
    before = Signal.of_one(Shape(64), (0.0, 1.7, 0.5), GAUSSIAN).varying
    after, still = (Block((Entry(own),)).moments([before], 4).signal for own in (layer, Scale(2.0)))
    assert before.beyond is still.beyond is None
    fourth = after.beyond.raw_fourth(after.mean, after.same[0])
    assert fourth == pytest.approx(3.0 * after.same[0] ** 2, rel=1e-14)
