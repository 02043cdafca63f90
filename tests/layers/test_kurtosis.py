"""Kurtosis of layers by theory, against closed forms, loops and plain simulations."""

from __future__ import annotations

import math

import numpy as np
import pytest

from snstat.experiment.data import check_data
from snstat.experiment.inputs import DrawnInputs
from snstat.layers.activation import Activation
from snstat.layers.attention import Attention
from snstat.layers.batch_norm import BatchNorm
from snstat.layers.block import Block
from snstat.layers.conv import Conv
from snstat.layers.conv_transpose import ConvTranspose
from snstat.layers.dense import Dense
from snstat.layers.depthwise_conv import DepthwiseConv
from snstat.layers.dropout import Dropout
from snstat.layers.embedding import Embedding
from snstat.layers.entry import Entry
from snstat.layers.flatten import Flatten
from snstat.layers.higher import Higher, pooled
from snstat.layers.law import GAUSSIAN, OTHER
from snstat.layers.layer_norm import LayerNorm
from snstat.layers.mean_pool import MeanPool
from snstat.layers.registry import KINDS
from snstat.layers.residual_block import Residual
from snstat.layers.rms_norm import RmsNorm
from snstat.layers.scale import Scale
from snstat.layers.separable_conv import SeparableConv
from snstat.layers.shape import Shape
from snstat.layers.signal import PRODUCTS, SQUARES, Signal
from snstat.layers.upsample import Upsample
from snstat.network.network import Network
from snstat.theory.walk import walk
from tests.layers.kinds import INPUTS, TOKENS, grids_of, layer_of
from tests.layers.plain_draw import PlainDraw

BATCH = 4


def kurtosis_of(layers, grid, width, *, law="normal", mean=0.0):
    block = Block(tuple(map(Entry, layers)))
    network = Network(Shape(width, grid), block)
    inputs = DrawnInputs(law, network.input.units, BATCH, mean, 1.0).moments()
    return walk(network, BATCH, inputs).kurtosis


def sampled(layers, grid, width, seed, *, mean=0.0):
    """Return the kurtosis of all units of each layer."""
    draw = PlainDraw(seed)
    x = mean + draw.random.normal(size=(width, BATCH, *grid))
    found = []
    for layer in layers:
        x = layer.sample([x], draw).values
        apart = x - x.mean()
        found.append((apart**4).mean() / (apart**2).mean() ** 2)
    return found


@pytest.mark.parametrize("kernel", [2, 3, [3, 2]])
def test_depthwise_units_have_heavy_tails(kernel):
    """3(1 + 2/k) for k Gaussian terms of equal variance, and 3 behind a mix of channels."""
    layers = (
        DepthwiseConv(kernel=kernel, padding="circular"),
        Dense(64),
        DepthwiseConv(kernel=kernel, padding="circular"),
    )
    k = math.prod(kernel) if isinstance(kernel, list) else kernel**2
    found = kurtosis_of(layers, (7, 7), 64)
    assert found[1] == pytest.approx(3.0 * (1.0 + 2.0 / k), rel=1e-12)
    assert found[2] == pytest.approx(3.0)
    conv = Conv(channels=64, kernel=kernel, padding="circular", groups=64)
    assert kurtosis_of((conv, *layers[1:]), (7, 7), 64)[1:] == pytest.approx(found[1:], rel=1e-12)


@pytest.mark.parametrize("init", ["lecun_normal", "he_uniform", "torch_default"])
@pytest.mark.parametrize("padding", ["same", "valid", "causal"])
@pytest.mark.parametrize("read", [1, 4])
def test_units_that_read_few_channels_are_sums_over_pairs_of_terms(init, padding, read):
    """By loops over positions, channels and taps, for weights and biases with given fourth moments,
    of units with a mean and the cumulants of an activation."""
    size, width = 5, 48
    random = np.random.default_rng(2)
    root = random.normal(size=(size, size))
    q = root @ root.T / size
    before = Signal(Shape(width, (size,)), np.zeros(size), q, q, GAUSSIAN)
    x = Activation("leaky_relu:0.3").moments([before], BATCH).signal
    layer = Conv(channels=width, kernel=3, padding=padding, init=init, groups=width // read)
    after = layer.moments([x], BATCH).signal
    squares = x.higher.squares()
    variance = {"lecun_normal": 1.0, "he_uniform": 2.0, "torch_default": 1.0 / 3.0}[init]
    variance /= 3 * read
    own = 3.0 if init == "lecun_normal" else 1.8
    bias = 1.0 / (9 * read) if init == "torch_default" else 0.0
    first = {"same": -1, "valid": 0, "causal": -2}[padding]
    for u, (fourth, square) in enumerate(
        zip(after.higher.fourth, np.diagonal(after.same), strict=True)
    ):
        terms = [(c, u + first + tap) for c in range(read) for tap in range(3)]
        terms = [(c, at) for c, at in terms if 0 <= at < size]
        total = 1.8 * bias**2
        for n, (c, a) in enumerate(terms):
            total += 6.0 * bias * variance * x.same[a, a]
            for m, (d, b) in enumerate(terms):
                both = squares[a, b] if c == d else x.same[a, a] * x.same[b, b]
                total += (own if n == m else 3.0) * variance**2 * both
        assert fourth + 3.0 * square**2 == pytest.approx(total, rel=1e-10)


def test_products_of_squares_are_those_of_samples():
    """Of an activation, a mean over a million pairs. Tolerance: 5 standard errors."""
    q = np.array([[1.0, 0.5], [0.5, 2.0]])
    before = Signal(Shape(4, (2,)), np.zeros(2), q, q, GAUSSIAN)
    z = np.random.default_rng(1).normal(size=(10**6, 2)) @ np.linalg.cholesky(q).T
    chain = (Activation("gelu"), Scale(-1.5), Upsample(2), RmsNorm())
    signal, y = before, z.T[:, None]
    for layer in chain:
        signal = layer.moments([signal], 1).signal
        if isinstance(layer, RmsNorm):
            y = y / np.sqrt((y * y).mean(axis=2, keepdims=True) + layer.epsilon)
        elif isinstance(layer, Upsample):
            y = np.repeat(y, 2, axis=0)
        else:
            y = layer.sample([y], PlainDraw()).values
        x = y[:, 0]
        found = signal.higher.squares()
        for u, v in np.ndindex(found.shape):
            both = x[u] ** 2 * x[v] ** 2
            assert abs(both.mean() - found[u, v]) < 5.0 * both.std() / 1000.0
    # A norm that subtracts a mean leaves no products of squares.
    assert LayerNorm().moments([signal], 1).signal.higher.squares() is None


def test_cumulants_of_all_positions_together_are_those_of_their_values():
    random = np.random.default_rng(0)
    x = random.gamma([[1.0], [2.0], [4.0]], size=(3, 50_000))
    x += np.array([[0.0], [1.0], [-3.0]])
    mean, square = x.mean(1), (x * x).mean(1)
    apart = x - mean[:, None]
    fourth = (apart**4).mean(1) - 3.0 * (apart**2).mean(1) ** 2
    variance, third, four = pooled(Higher((apart**3).mean(1), fourth), mean, square)
    whole = x - x.mean()
    assert variance == pytest.approx((whole**2).mean())
    assert third == pytest.approx((whole**3).mean())
    assert four == pytest.approx((whole**4).mean() - 3.0 * variance**2)


WIDTH = 1024
NETWORKS = {
    "separable": (
        DepthwiseConv(kernel=3),
        Dense(WIDTH, "relu"),
        DepthwiseConv(kernel=3, init="lecun_uniform", bias_std=0.5),
        SeparableConv(channels=WIDTH, kernel=3, activation="tanh"),
    ),
    "along": (
        Dense(WIDTH, "gelu"),
        Dropout(0.4),
        LayerNorm(),
        Residual((Dense(WIDTH, "relu"),), 0.7),
        Scale(-2.0),
        RmsNorm(),
        Flatten(),
    ),
    "grids": (
        Conv(channels=WIDTH, kernel=3, activation="softplus"),
        Upsample(2),
        Dense(WIDTH, "relu", bias_std=0.3),
        ConvTranspose(channels=WIDTH, kernel=2, stride=2),
        Flatten(),
    ),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_theory_is_what_wide_networks_show(name):
    """Tolerance: 5 standard errors over six networks, and 5/width for the terms beyond the limit,
    which fourth moments have more of."""
    layers, grid = NETWORKS[name], (3,)
    theory = kurtosis_of(layers, grid, WIDTH, mean=0.3)[-len(layers) :]
    if name == "along":  # the branch of the residual has a row
        theory = np.delete(kurtosis_of(layers, grid, WIDTH, mean=0.3)[1:], 3)
    rows = np.array([sampled(layers, grid, WIDTH, seed, mean=0.3) for seed in range(6)])
    error = rows.std(0, ddof=1) / math.sqrt(len(rows))
    limit = 5.0 * error + 5.0 / WIDTH * theory
    assert np.all(np.abs(rows.mean(0) - theory) < limit), (rows, theory)


def test_inputs_are_of_their_law():
    """Of few units, which are summed with weights."""
    found = kurtosis_of((Dense(500, bias_std=0.0), Dense(4)), (), 8, law="uniform")
    assert found[1] == pytest.approx(3.0 + 3.0 * (1.8 - 1.0) / 8, rel=1e-12)
    # Behind them the size of all units differs between samples.
    assert math.isnan(found[2])


def test_where_it_is_not_known():
    wide, grid = Dense(64), (4,)

    def last(*layers):
        return kurtosis_of(layers, grid, 64)[-1]

    assert math.isnan(last(wide, DepthwiseConv(kernel=3), Activation("relu")))
    assert math.isnan(last(DepthwiseConv(kernel=3), DepthwiseConv(kernel=3)))
    assert math.isnan(last(wide, Activation("relu"), MeanPool(2)))
    assert math.isnan(last(DepthwiseConv(kernel=3, init="orthogonal")))
    assert math.isnan(last(DepthwiseConv(kernel=3, weights="normalized")))
    assert math.isnan(last(Dense(1, "relu"), Dense(1, init="orthogonal")))
    # A mixture, of whose activation no moments are known.
    few = Conv(channels=64, kernel=1, groups=8)
    assert math.isfinite(last(few))
    assert math.isnan(last(few, Activation("tanh")))
    # Norms of samples differ, and so they do behind weights, up to a norm.
    assert math.isnan(last(Attention(heads=8)))
    assert math.isnan(last(Attention(heads=8), wide, Activation("relu")))
    assert last(Attention(heads=8), RmsNorm(), wide) == 3.0
    assert math.isnan(last(wide, BatchNorm(), wide))


def test_samples_that_differ_in_norm_have_none_until_a_norm():
    data = np.random.default_rng(0).normal(size=(6, 64)) * np.arange(1.0, 7.0)[:, None]
    inputs = check_data(data, "data", 4).moments()
    layers = Dense(64), RmsNorm(epsilon=0.0), Dense(64)
    network = Network(Shape(64), Block(tuple(map(Entry, layers))))
    found = walk(network, 4, inputs).kurtosis
    assert np.isfinite(found).tolist() == [False, False, True, True]


def test_tokens_that_come_again_have_products_of_no_number():
    layers = Embedding(64), Dense(64), DepthwiseConv(kernel=2, padding="valid")
    network = Network(Shape.of_tokens(10, (5,)), Block(tuple(map(Entry, layers))))
    inputs = DrawnInputs("normal", network.input.units, 4, 0.0, 1.0).moments()
    found = walk(network, 4, inputs).kurtosis
    assert found[1:3].tolist() == [3.0, 3.0]
    assert math.isnan(found[3])


def test_what_varies_goes_on():
    x = Signal.of_one(Shape(64), (0.0, 1.0, 1.0), OTHER)
    block = Block((Entry(Dense(64)), Entry(Activation("relu"))), 3)
    varying = Signal(x.shape, x.mean, x.same, x.gap, x.law, varies=SQUARES)
    assert block.moments([varying], 2).signal.varies == SQUARES
    assert not block.moments([x], 2).signal.varies


@pytest.mark.parametrize("layer", [LayerNorm(), RmsNorm()])
def test_a_norm_takes_away_that_squares_vary(layer):
    """What is left are the products of two samples."""
    x = Signal.of_one(Shape(64), (0.0, 1.0, 1.0), GAUSSIAN)
    varying = Signal(x.shape, x.mean, x.same, x.gap, x.law, varies=SQUARES)
    block = Block((Entry(layer),))
    assert block.moments([varying], 2).signal.varies == PRODUCTS
    assert not block.moments([x], 2).signal.varies


def test_a_block_goes_on_until_its_tails_settle():
    """Moments of a norm are the same after the first turn, and those beyond the second are not."""
    layers = (Residual((Dense(64, "relu"),), 0.5), RmsNorm(epsilon=0.0))
    block = Block((Entry(Block(tuple(map(Entry, layers)), 30)),))
    found = kurtosis_of((block,), (), 64, law="uniform")[3::3]
    one = kurtosis_of(layers * 30, (), 64, law="uniform")[3::3]
    assert found == pytest.approx(one, rel=1e-10)
    assert abs(found[1] - found[0]) > 0.05


# Kinds of which the kurtosis is never known.
NEVER = {
    "elman", "lstm", "gru", "attention", "dot_product_attention", "max_pool",
    "alpha_dropout", "batch_norm", "instance_norm", "multiply", "highway",
}  # fmt: skip
# The same after ReLU units, after Gaussian ones, and after Gaussian ones that read three channels,
# whose size differs between samples.
NONE_AFTER = {
    "relu": NEVER
    | {"mean_pool", "global_mean_pool", "pixel_shuffle", "positions", "activation", "concat"},
    "gaussian": NEVER,
    "few": {*KINDS},
}


@pytest.mark.parametrize("before", NONE_AFTER)
@pytest.mark.parametrize("name", [name for name in KINDS if name not in TOKENS])
def test_the_kurtosis_of_every_kind_is_that_of_simulations_if_it_is_known(name, before):
    """Means over networks of two widths, each within 5 standard errors. What finite width changes
    is of first order in 1/width, a quarter of it at the fourfold width."""
    off, errors = [], []
    for width in (48, 192):
        grid, count = grids_of(name)[0], INPUTS.get(name, 1)
        channels = 3 if before == "few" else width
        first = Dense(width, "relu" if before == "relu" else None)
        entries = [Entry(first, (0,)) for _ in range(count)]
        block = Block((*entries, Entry(layer_of(name, width), tuple(range(1, count + 1)))))
        inputs = DrawnInputs("normal", channels * math.prod(grid), BATCH, 0.0, 1.0).moments()
        theory = walk(Network(Shape(channels, grid), block), BATCH, inputs).kurtosis[-1]
        assert np.isnan(theory) == (name in NONE_AFTER[before])
        if np.isnan(theory):
            return
        found, draw = [], PlainDraw(0)
        for _ in range(100):
            x = draw.random.normal(size=(channels, BATCH, *grid))
            values = block.sample([x], draw).values
            apart = values - values.mean()
            found.append((apart**4).mean() / (apart**2).mean() ** 2)
        off.append(abs(np.mean(found) - theory))
        errors.append(5.0 * np.std(found) / math.sqrt(len(found)))
    assert off[1] < (off[0] + errors[0]) / 4.0 + errors[1]
