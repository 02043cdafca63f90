"""Matrices of the general sampler that are not drawn: which they are, and that each is exact."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numba import config

from snstat.engine.general import gradient
from snstat.engine.general import sampler as general
from snstat.engine.general.draw import LayerDraw
from snstat.engine.general.sample import sample_network
from snstat.engine.general.samplers import samplers
from snstat.engine.general.workshop import Workshop
from snstat.engine.kernels.matrix_free import tile_width
from snstat.engine.kernels.random import READOUT, STANDARD, Draw, draw_rows
from snstat.engine.simulate import simulate
from snstat.errors import InvalidValueError
from snstat.experiment.inputs import DrawnInputs
from snstat.layers.activation import Activation
from snstat.layers.batch_norm import BatchNorm
from snstat.layers.block import Block
from snstat.layers.concat import Concat
from snstat.layers.dense import Dense
from snstat.layers.entry import Entry
from snstat.layers.highway import Highway
from snstat.layers.initialisers import INITIALISERS
from snstat.layers.residual_block import Residual
from snstat.layers.shape import Shape
from snstat.layers.weights import Weights
from snstat.network.network import Network
from snstat.network.stack import Stack

COMPILED = not config.DISABLE_JIT
# Independent units, or inputs, from which moments are estimated.
MANY = 20_000 if COMPILED else 1_000
DTYPES = ["float32", "float64"]
# Layers of more than one tile of units.
TILES = "300*2,290,270"


def read_out_by_tiles(sampler, number):
    """Return the read-out that the matrix-free sampler draws, (units, batch)."""
    units, batch = sampler.network.uniform().runs[-1][0], sampler.inputs.batch
    tile = int(tile_width(units))
    tiles = np.empty((-(-units // tile), batch, tile), sampler.dtype)
    for place, own in enumerate(tiles):
        draw = Draw(sampler.key, number, sampler.depth)
        draw_rows(own, place * batch, STANDARD, READOUT, draw)
    return np.ascontiguousarray(np.concatenate(tiles, axis=1)[:, :units].T)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("bias", [0.0, 0.3])
@pytest.mark.parametrize("init", ["lecun_normal", "orthogonal"])
@pytest.mark.parametrize("widths", ["13,20*3,9,14", pytest.param(TILES, id="tiles")])
def test_a_uniform_stack_is_the_network_of_the_matrix_free_sampler(
    init, bias, dtype, widths, monkeypatch
):
    """It has numbers of the same counters, forward and on the way back, but for the read-out."""
    if not COMPILED and widths == TILES and (dtype, bias) != ("float32", 0.3):
        pytest.skip("seconds without the compiler; indices are the same for one dtype and bias")
    monkeypatch.setattr(gradient, "_read_out", read_out_by_tiles)
    fan_in = int(widths.split("*")[0].split(",")[0])
    stack = Stack.build("selu", widths=f"{fan_in},{widths}", init=init, bias_std=bias, last="tanh")
    inputs = DrawnInputs("normal", fan_in, 4, 0.1, 1.0)
    options = {"trials": 2, "seed": 4, "dtype": dtype, "sampler": "matrix-free"}
    options |= {"backward": True, "keep_trials": True}
    fast = simulate(stack, inputs, **options)
    found = sample_network(Network.of(stack), inputs, **options)
    # Some roundings in each of six layers, of values up to ten times their mean square.
    allowed = 6 * 16 * float(np.finfo(dtype).eps)
    np.testing.assert_allclose(found.values, fast.values, rtol=allowed, atol=allowed)
    np.testing.assert_allclose(found.log_gradient, fast.log_gradient, atol=allowed)


def linear(values, weights, *, seed=3, dtype="float64", sampler="matrix-free"):
    """Return the pass of one matrix."""
    stop = np.zeros(1, np.uint8)
    shop = Workshop(np.dtype(dtype), np.uint64(seed), stop, train=True, sampler=sampler)
    return LayerDraw(shop, 5, 2).linear(np.asarray(values, dtype), weights)


def normals(*shape, seed=1):
    return np.random.default_rng(seed).normal(size=shape)


def test_positions_are_samples_of_one_matrix():
    """A layer on a grid draws the numbers of a layer with a sample for every position."""
    found = []
    for shape in ((3, 2, 2), (12,)):
        own = linear(normals(6, 12).reshape(6, *shape), Weights.of("lecun_normal", 6, 9))
        assert own.values.shape == (9, *shape)
        (back,) = own.pull(normals(9, 12, seed=2).reshape(9, *shape))
        assert back.shape == (6, *shape)
        found.append(np.concatenate([own.values.ravel(), back.ravel()]))
    np.testing.assert_array_equal(found[0], found[1])


def inputs_of_rank(kind):
    """Return inputs (7, 4): independent, with two equal samples, with a sample of zeros, with
    samples whose mean is 0, or of two dimensions."""
    x = normals(7, 4)
    if kind == "equal":
        x[:, 2] = x[:, 0]
    elif kind == "zero":
        x[:, 1] = 0.0
    elif kind == "centred":
        x -= x.mean(axis=1, keepdims=True)
    elif kind == "two":
        x[:, 2:] = x[:, :2] @ [[0.5, 2.0], [-1.5, 0.25]]
    return x


RANKS = ["full", "equal", "zero", "centred", "two"]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("bias", [0.0, 0.7])
@pytest.mark.parametrize("rank", RANKS)
def test_units_have_the_covariance_of_drawn_weights(rank, bias, dtype):
    """Each of many units is an independent N(0, G²/n XᵀX + b²) over the samples."""
    x, units = inputs_of_rank(rank), MANY
    weights = Weights.of("lecun_normal", 7, units, weight_gain=1.3, bias_std=bias)
    z = linear(x, weights, dtype=dtype).values.astype(np.float64)
    k = 1.3**2 / 7 * x.T @ x + bias**2
    size = np.sqrt(np.diag(k))
    # Of n normal pairs, the mean product has variance (k_aa k_bb + k_ab²)/n, and the mean k_aa/n.
    error = np.sqrt((np.outer(size, size) ** 2 + k**2) / units)
    rounding = 1e-6 if dtype == "float32" else 1e-12
    assert (np.abs(z.T @ z / units - k) <= 4.5 * error + rounding).all()
    assert (np.abs(z.mean(axis=0)) <= 4.5 * size / math.sqrt(units) + rounding).all()
    if rank == "equal":
        np.testing.assert_allclose(z[:, 2], z[:, 0], atol=10 * rounding)
    if rank == "zero" and not bias:
        assert (z[:, 1] == 0.0).all()
    if rank == "centred" and not bias:
        np.testing.assert_allclose(z.sum(axis=1), 0.0, atol=40 * rounding)


@pytest.mark.parametrize("init", ["lecun_normal", "orthogonal"])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("rank", RANKS)
def test_the_way_back_agrees_with_what_the_layer_has_shown_of_its_weights(rank, dtype, init):
    """xᵀ (Wᵀ h) = (W x)ᵀ h for every two samples, whatever h is."""
    x = inputs_of_rank(rank)
    own = linear(x, Weights.of(init, 7, 11, weight_gain=1.3), dtype=dtype)
    h = np.tanh(own.values) + normals(11, 4, seed=5).astype(dtype)
    (back,) = own.pull(h)
    # Sums of eleven products of numbers below four; float32 pivots lose three digits.
    allowed = 2e-4 if dtype == "float32" else 1e-10
    np.testing.assert_allclose(x.T @ back, own.values.T @ h, atol=allowed)


@pytest.mark.parametrize("dtype", DTYPES)
def test_more_samples_than_inputs_show_all_weights(dtype):
    x = normals(3, 8)
    own = linear(x, Weights.of("lecun_normal", 3, 11), dtype=dtype)
    weights = own.values @ np.linalg.pinv(x)
    allowed = 2e-4 if dtype == "float32" else 1e-10  # as above
    np.testing.assert_allclose(weights @ x, own.values, atol=allowed)
    h = normals(11, 8, seed=5).astype(dtype)
    np.testing.assert_allclose(own.pull(h)[0], weights.T @ h, atol=allowed)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("rank", RANKS)
def test_what_the_layer_has_not_shown_is_normal_on_the_way_back(rank, dtype):
    """Orthogonal to X, Wᵀ h of many inputs is N(0, G²/n HᵀH) over the samples, at every input."""
    few = inputs_of_rank(rank)
    fan_in, units = MANY, 5
    x = np.zeros((fan_in, 4))
    x[:7] = few * math.sqrt(fan_in / 7)
    own = linear(x, Weights.of("lecun_normal", fan_in, units, weight_gain=1.3), dtype=dtype)
    h = np.maximum(own.values, 0.0)
    (back,) = own.pull(h)
    rest = back[7:].astype(np.float64)
    k = 1.3**2 / fan_in * (h.T @ h).astype(np.float64)
    size = np.sqrt(np.diag(k))
    error = np.sqrt((np.outer(size, size) ** 2 + k**2) / len(rest))
    assert (np.abs(rest.T @ rest / len(rest) - k) <= 4.5 * error + 1e-6 * k.max()).all()
    assert (np.abs(rest.mean(axis=0)) <= 4.5 * size / math.sqrt(len(rest)) + 1e-9).all()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("batch", [1, 3])
def test_gradients_of_no_or_any_size(batch, dtype):
    weights = Weights.of("lecun_normal", 7, 11, bias_std=0.2)
    own = linear(normals(7, batch), weights, dtype=dtype)
    h = normals(11, batch, seed=2).astype(dtype)
    (plain,) = own.pull(h)
    power = 2.0**60 if dtype == "float32" else 2.0**400
    for scale in (power, 1.0 / power):  # powers of two round nothing
        np.testing.assert_array_equal(own.pull(h * dtype_of(scale, dtype))[0], plain * scale)
    assert (own.pull(0.0 * h)[0] == 0.0).all()
    h[3, 0] = math.inf
    assert np.isnan(own.pull(h)[0]).all()


def dtype_of(value, dtype):
    return np.dtype(dtype).type(value)


def test_inputs_too_small_to_be_squared():
    weights = Weights.of("lecun_normal", 7, 11)
    x = normals(7, 3)
    plain, small = linear(x, weights), linear(x * 2.0**-600, weights)
    np.testing.assert_allclose(small.values * 2.0**600, plain.values, rtol=1e-12)
    h = normals(11, 3, seed=2)
    np.testing.assert_allclose(small.pull(h)[0], plain.pull(h)[0], atol=1e-12)


@pytest.mark.parametrize("backward", [False, True])
@pytest.mark.parametrize("init", INITIALISERS)
def test_the_sampler_that_is_named_is_the_one_that_runs(init, backward, monkeypatch):
    called = []
    taken = general.LayerDraw.linear

    def linear(self, values, weights):
        shop, columns = self.workshop, values[0].size
        called.append((self.number, shop.is_matrix_free(weights, columns)))
        return taken(self, values, weights)

    monkeypatch.setattr(general.LayerDraw, "linear", linear)
    network = Network(
        Shape(20, (2,)),
        Block(
            (
                Entry(Dense(32, init=init)),
                Entry(Activation("relu")),
                Entry(Highway("tanh", init=init, bias_std=0.1)),
                Entry(Dense(3, init=init, bias_std=0.1)),
            )
        ),
    )
    inputs = DrawnInputs("normal", 40, 2, 0.0, 1.0)
    for asked in ("auto", "dense", "matrix-free"):
        options = {"sampler": asked, "backward": backward}
        called.clear()
        try:
            names = samplers(network, 2, **options)
        except InvalidValueError:
            assert asked == "matrix-free"
            assert init not in {"lecun_normal", "he_normal", "glorot_normal", "orthogonal"}
            continue
        sample_network(network, inputs, trials=1, seed=0, dtype="float32", **options)
        expected = {number: "matrix-free" if free else "dense" for number, free in called}
        assert names == tuple(expected.get(number) for number in range(1, 5))
        assert asked == "auto" or set(names) <= {None, asked, "dense"}


def test_layers_of_a_deep_network_are_asked_once():
    block = Block((Entry(Dense(512, "relu")), Entry(BatchNorm())), 500_000)
    network = Network(Shape(512), block)
    names = samplers(network, 8, numbers=[1, 2, 999_999, 1_000_000])
    assert names == ("matrix-free", None) * 2
    assert samplers(network, 8, "dense", numbers=[7]) == ("dense",)
    assert samplers(network, 8) == ("matrix-free", None) * 500_000


def test_layers_whose_inputs_change_with_every_turn_are_asked_again():
    """Concatenated with its own input, a layer is soon too wide for its weights to be drawn."""
    grown = Block((Entry(Dense(64, "relu")), Entry(Concat(), (0, 1))), 12)
    network = network_of(grown, Residual((Dense(832),)), width=64)
    numbers = list(range(1, network.depth + 1))
    names = samplers(network, 4)
    assert names == samplers(network, 4, numbers=numbers)
    assert names[0] == "dense"
    assert names[-2:] == ("matrix-free", None)


def network_of(*layers, width=12):
    entries = [entry if isinstance(entry, Entry) else Entry(entry) for entry in layers]
    return Network(Shape(width), Block(tuple(entries)))


@pytest.mark.parametrize(
    ("layer", "words"),
    [
        (Dense(12, init="torch_default"), "neither Gaussian nor orthogonal"),
        (Dense(12, weights="standardized"), "standardized"),
        (Dense(4, init="orthogonal"), "batch of 5 exceeds 4 units"),
        (Dense(8, init="orthogonal"), "batch of 5 exceeds half of 8 units"),
        (Activation("relu"), "no layer has weights"),
    ],
)
def test_a_network_that_has_to_be_drawn_says_why(layer, words):
    network = network_of(layer, width=8)
    with pytest.raises(InvalidValueError, match=words):
        samplers(network, 5, "matrix-free", backward=True)
    inputs = DrawnInputs("normal", 8, 5, 0.0, 1.0)
    with pytest.raises(InvalidValueError, match=words):
        sample_network(
            network, inputs, trials=1, seed=0, dtype="float32", sampler="matrix-free", backward=True
        )


def test_an_unknown_sampler_is_refused():
    with pytest.raises(InvalidValueError, match="auto or dense or matrix-free"):
        samplers(network_of(Dense(3)), 5, "free")
