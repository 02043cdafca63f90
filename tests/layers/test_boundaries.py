"""Where theory of layers begins and ends: at how many channels, positions, and for which laws."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from snstat.layers.batch_norm import BatchNorm
from snstat.layers.conv import Conv
from snstat.layers.conv_transpose import ConvTranspose
from snstat.layers.dense import Dense
from snstat.layers.depthwise_conv import DepthwiseConv
from snstat.layers.gaussian_inputs import LEAST_SQUARE, cosine
from snstat.layers.group_norm import FEWEST_CHANNELS, GroupNorm
from snstat.layers.higher import Higher
from snstat.layers.law import GAUSSIAN, OTHER, ZERO, nearly
from snstat.layers.layer_norm import LayerNorm
from snstat.layers.least import Least
from snstat.layers.multiply import Multiply
from snstat.layers.no_theory import NO_PAIRS, NoTheory
from snstat.layers.pixel_shuffle import PixelShuffle
from snstat.layers.registry import KINDS
from snstat.layers.rms_norm import RmsNorm
from snstat.layers.shape import Shape
from snstat.layers.signal import SQUARES, Signal, Slope, unknown
from snstat.layers.spread import Average, Spread
from snstat.layers.squares import MOST_PAIRED
from snstat.layers.through_weights import FEW_CHANNELS, FEW_READ
from snstat.layers.upsample import Upsample
from tests.layers.kinds import INPUTS, TOKENS, layer_of

BATCH = 64


def signal(channels, positions=1, law=GAUSSIAN, **others):
    own = np.eye(positions)
    grid = () if positions == 1 else (positions,)
    return Signal(Shape(channels, grid), np.zeros(positions), own, 0.5 * own, law, **others)


@pytest.mark.parametrize("channels", [FEW_CHANNELS - 1, FEW_CHANNELS, FEW_CHANNELS + 1])
@pytest.mark.parametrize(
    "layer", [Dense(8), Conv(channels=8, kernel=2), Conv(channels=8, kernel=1)], ids=str
)
def test_gradients_before_weights_that_read_few_numbers_are_not_known(layer, channels):
    """Of one sample of data, which are numbers. What a unit reads counts, at one position."""
    nothing = np.zeros(3)
    data = signal(channels, 3, OTHER, higher=Higher(nothing, nothing, fixed=True))
    step = layer.moments([data], BATCH)
    own = np.eye(step.signal.mean.size)
    (back,) = step.pull(Slope(own, own))
    few = channels < FEW_CHANNELS
    assert np.isnan(back.same).any() == few
    assert step.why_gradient == (FEW_READ if few else "")
    # Of what is drawn they are.
    step = layer.moments([signal(channels, 3, OTHER)], BATCH)
    (back,) = step.pull(Slope(own, own))
    assert np.isfinite(back.same).all()


@pytest.mark.parametrize("channels", [FEW_CHANNELS - 1, FEW_CHANNELS, FEW_CHANNELS + 1])
@pytest.mark.parametrize(
    "layer",
    [Dense(8), Conv(channels=8, kernel=3), ConvTranspose(channels=8, kernel=3, stride=2)],
    ids=str,
)
def test_units_that_read_many_channels_are_gaussian(layer, channels):
    """Those that read fewer ones of a law that is not known are mixtures, of unknown tails."""
    after = layer.moments([signal(channels, 3, OTHER)], BATCH).signal
    assert after.mixed == (channels < FEW_CHANNELS)
    assert np.isfinite(after.beyond.fourth).all() == (channels >= FEW_CHANNELS)


def test_a_convolution_of_as_many_groups_as_channels_depends_on_its_channel():
    """As a depthwise one does; of two groups, each unit mixes channels."""
    x = signal(64, 5)
    for layer, mixes in (
        (DepthwiseConv(kernel=3), False),
        (Conv(channels=64, kernel=3, groups=64), False),
        (Conv(channels=64, kernel=3, groups=2), True),
        (Conv(channels=64, kernel=3), True),
    ):
        after = layer.moments([x], BATCH).signal
        assert (after.law == GAUSSIAN) == mixes
        assert (not x.fresh & after.fresh) == mixes
        assert isinstance(Multiply().moments([x, after], BATCH), NoTheory) != mixes
    single = Conv(channels=1, kernel=3).moments([signal(1, 5)], BATCH).signal
    assert single.law == GAUSSIAN


@pytest.mark.parametrize("laws", [(GAUSSIAN, GAUSSIAN), (GAUSSIAN, OTHER), (ZERO, GAUSSIAN)])
def test_a_product_is_0_where_a_factor_is(laws):
    factors = [signal(64, law=law) for law in laws]
    factors = [
        replace(x, same=0.0 * x.same, gap=0.0 * x.gap) if x.law == ZERO else x for x in factors
    ]
    after = Multiply().moments(factors, BATCH).signal
    assert after.law == (ZERO if ZERO in laws else OTHER)
    assert (after.same.item() == 0.0) == (ZERO in laws)


def moments_of(name, positions, *, pairs):
    """Return the layer of a kind, and its step after signals of so many positions."""
    layer, shape = layer_of(name, 40), Shape(40, (positions,))
    own, nothing = np.eye(positions), np.zeros(positions)
    states = [Signal(shape, nothing, own, own, GAUSSIAN) for _ in range(INPUTS.get(name, 1))]
    return layer, layer.moments([x if pairs else x.alone for x in states], BATCH)


FEATURES = [name for name in KINDS if name not in TOKENS]


@pytest.mark.parametrize("positions", [2, 3])
@pytest.mark.parametrize("name", FEATURES)
def test_first_order_is_not_derived_on_grids(name, positions):
    """Of however few positions; a factor leaves it as it is."""
    layer, step = moments_of(name, positions, pairs=True)
    if isinstance(step, NoTheory):
        return
    before = Spread(0.02, 0.01, 0.001, 1e-5, 3.0, average=Average(*[0.01] * 7)).alone()
    found = layer.spread(step, [before] * INPUTS.get(name, 1))
    assert isinstance(found, NoTheory) == (name != "scale")


@pytest.mark.parametrize("name", FEATURES)
def test_kinds_that_need_pairs_of_positions_say_so(name):
    layer, alone = moments_of(name, 6, pairs=False)
    assert layer.pairs == (alone.why == NO_PAIRS)
    _, step = moments_of(name, 6, pairs=True)
    assert step.why != NO_PAIRS


@pytest.mark.parametrize("units", [1.0, -3.0, 1e-300, 1e300])
def test_numbers_are_nearly_equal_up_to_four_units_in_the_last_place(units):
    for places, alike in ((0, True), (1, True), (4, True), (5, False), (9, False)):
        for sign in (1, -1):
            # Of the first: those of the other may be half as large.
            assert nearly(units, units + sign * places * math.ulp(units)) == alike
    assert nearly(math.nan, math.nan)
    assert nearly(math.inf, math.inf)
    assert not nearly(math.inf, -math.inf)
    assert not nearly(math.inf, 1.0)
    assert not nearly(math.nan, 1.0)


@pytest.mark.parametrize("pairs", [True, False])
@pytest.mark.parametrize("factor", [2, 1 + MOST_PAIRED // 3])
@pytest.mark.parametrize(
    "make",
    [
        Upsample,
        PixelShuffle,
        lambda factor: ConvTranspose(channels=8, kernel=factor, stride=factor),
    ],
)
def test_pairs_that_end_have_a_reason_where_they_were_followed(make, factor, pairs):
    x = signal(8 * factor, 3)
    step = make(factor).moments([x if pairs else x.alone], BATCH)
    positions = step.signal.mean.size
    assert positions == 3 * factor
    assert (step.signal.same.ndim == 2) == (pairs and positions <= MOST_PAIRED)
    assert bool(step.why_pairs) == (pairs and positions > MOST_PAIRED)


def norms(epsilon):
    return (
        LayerNorm(epsilon=epsilon),
        RmsNorm(epsilon=epsilon),
        GroupNorm(groups=1, epsilon=epsilon),
    )


@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_norm_of_what_may_be_0_may_be_0(place):
    """Where nothing is certain of a signal, nothing is after a norm with ε, nor after a second
    one."""
    x = unknown(Shape(64), [signal(64)]).signal
    assert x.bounds == Least()
    step = norms(1e-5)[place].moments([x], BATCH)
    assert not step.signal.known
    assert step.signal.bounds == Least()
    assert not norms(1e-5)[place].moments([step.signal], BATCH).signal.known
    # By what is certain it is s/(s + ε) at least.
    sure = unknown(Shape(64), [signal(64)], least=Least.of(0.5, 0.5)).signal
    after = norms(2.0)[place].moments([sure], BATCH).signal
    assert after.bounds.square == pytest.approx(0.2, rel=1e-12)
    assert norms(1e-5)[place].moments([sure], BATCH).signal.known


@pytest.mark.parametrize(
    ("epsilon", "positions", "varies", "known"),
    [(0.0, 1, 0, True), (1e-5, 1, 0, False), (0.0, 2, 0, False), (0.0, 1, SQUARES, False)],
)
def test_batch_norm_renews_a_signal_of_unknown_size(epsilon, positions, varies, known):
    x = signal(64, positions, varies=varies)
    x = replace(x, same=math.nan * x.same, gap=math.nan * x.gap)
    step = BatchNorm(epsilon=epsilon).moments([x], BATCH)
    assert isinstance(step, NoTheory) != known
    if known:
        assert step.signal.same.item() == 1.0


def test_a_position_without_others_is_alone_already():
    one = signal(8)
    assert one.alone is one
    assert signal(8, 2).alone.same.shape == (2,)


def test_what_is_not_known_of_one_position_is_that_of_its_only_pair():
    for before, shape in ((signal(8), (1, 1)), (signal(8, 3), (3, 3)), (signal(8, 3).alone, (3,))):
        assert unknown(before.shape, [before]).signal.same.shape == shape


def test_the_smallest_squares_that_keep_their_digits_have_a_cosine():
    assert cosine(LEAST_SQUARE, 0.25 * LEAST_SQUARE) == 0.75
    assert math.isnan(cosine(np.nextafter(LEAST_SQUARE, 0.0), 0.0))


def test_gradients_times_a_factor_are_0_below_the_smallest_number():
    whole = np.full((1, 1), 1e-200)
    found = Slope(whole, 0.5 * whole).scaled(1e-200)
    assert (found.same.item(), found.gap.item(), found.log) == (0.0, 0.0, 0.0)


@pytest.mark.parametrize("groups", [1, 2])
def test_groups_of_enough_channels_restore_what_is_not_known(groups):
    for channels in (FEWEST_CHANNELS * groups, (FEWEST_CHANNELS - 1) * groups):
        shape = Shape(channels)
        lost = unknown(shape, [signal(channels)], least=Least.centred(1.0)).signal
        step = GroupNorm(groups=groups).moments([lost], BATCH)
        assert isinstance(step, NoTheory) == (channels < FEWEST_CHANNELS * groups)
