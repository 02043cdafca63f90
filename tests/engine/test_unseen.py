"""Gaussian matrices that multiply vectors one after the other without being drawn."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numba import config

from snstat.engine.general.draw import LayerDraw
from snstat.engine.general.growing import Growing, directions
from snstat.engine.general.sample import sample_network
from snstat.engine.general.samplers import samplers
from snstat.engine.general.unseen import UnseenMatrices, matrix_bytes
from snstat.engine.general.workshop import Workshop
from snstat.engine.kernels.random import Draw
from snstat.experiment.inputs import DrawnInputs
from snstat.layers.elman import Elman
from snstat.layers.gru import Gru
from snstat.layers.lstm import Lstm
from snstat.layers.tied import WholeMatrices
from snstat.layers.weights import Weights
from snstat.network.network import Network

FAN_IN, UNITS = 9, 6
# Networks of each law. Kernels as plain Python take a tenth of a second for one.
TRIALS = 16 if config.DISABLE_JIT else 100
STD = np.array([1.0, 2.0, 0.5, 1.0, 3.0, 1.0])


class Matrix:
    """A matrix of independent N(0, STD²), with numbers of numpy."""

    def __init__(self, seed=0, most=40):
        ahead, behind = np.random.default_rng(seed), np.random.default_rng(seed + 1)
        size = np.dtype(float)
        self.ahead = Growing(
            FAN_IN, UNITS, most, lambda _, count: ahead.normal(size=(count, UNITS)), size
        )
        self.behind = Growing(
            UNITS, FAN_IN, most, lambda _, count: behind.normal(size=(count, FAN_IN)), size
        )

    def times(self, vectors):
        return STD[:, None] * self.ahead.times(vectors)

    def back(self, slopes):
        return self.ahead.back(STD[:, None] * slopes, self.behind)


def growing(inputs, outputs, columns, seed=0):
    random = np.random.default_rng(seed)
    return Growing(
        inputs,
        outputs,
        columns,
        lambda _, count: random.normal(size=(count, outputs)),
        np.dtype(float),
    )


@pytest.mark.parametrize("columns", [1, 3])
def test_products_are_those_of_one_matrix(columns):
    # What a matrix has done is never taken back, and both directions are of one matrix.
    random, most = np.random.default_rng(1), 3 * columns
    matrix, beyond = growing(20, 30, most), growing(30, 20, most, seed=2)
    x = [random.normal(size=(20, columns)) for _ in range(2)]
    x.append(x[0] - 2.0 * x[1])
    ahead = [matrix.times(part) for part in x]
    np.testing.assert_allclose(ahead[2], ahead[0] - 2.0 * ahead[1], atol=1e-12)
    assert not matrix.times(np.zeros((20, columns))).any()
    assert matrix.basis.shape == (20, 2 * columns)
    slopes = [random.normal(size=(30, columns)) for _ in range(2)]
    slopes.append(slopes[0] + slopes[1])
    back = [matrix.back(slope, beyond) for slope in slopes]
    np.testing.assert_allclose(back[2], back[0] + back[1], atol=1e-12)
    assert beyond.basis.shape == (30, 2 * columns)
    for part, image in zip(x, ahead, strict=True):
        for slope, own in zip(slopes, back, strict=True):
            np.testing.assert_allclose(own.T @ part, slope.T @ image, atol=1e-11)


def test_products_have_the_covariance_of_the_columns():
    random = np.random.default_rng(3)
    x, outputs = random.normal(size=(8, 5)), 40_000
    x[:, 1] = x[:, 0] + 1e-3 * x[:, 1]  # nearly alike
    x[:, 2] = 0.0
    matrix = growing(8, outputs, 5)
    z = np.concatenate([matrix.times(x[:, :3]), matrix.times(x[:, 3:])], axis=1)
    # A covariance of n draws is off by √(ab + c²)/√n with variances a, b and covariance c.
    expected = x.T @ x
    sizes = np.sqrt(np.outer(np.diag(expected), np.diag(expected)) + expected**2)
    assert np.all(np.abs(z.T @ z / outputs - expected) <= 5.0 * sizes / math.sqrt(outputs))
    apart, own = z[:, 1] - z[:, 0], x[:, 1] - x[:, 0]
    assert np.mean(apart**2) == pytest.approx(own @ own, rel=5.0 * math.sqrt(2.0 / outputs))


@pytest.mark.parametrize(("size", "rank"), [(1e-5, 3), (1e-7, 2), (0.0, 2)])
def test_a_direction_is_new_where_a_millionth_of_a_column_leaves_the_others(size, rank):
    """Of three columns of norm 1, one of which leaves what is known by `size` alone."""
    rest = np.eye(5)[:, [3, 0, 2]] * [1.0, size, 1.0]
    found = directions(rest, np.ones(3))
    np.testing.assert_allclose(found.T @ found, np.eye(rank), atol=1e-12)
    assert (np.abs(found[0]).max(initial=0.0) > 0.5) == (rank == 3)
    alone = directions(rest[:, 1:2], np.ones(1))
    assert alone.shape == (5, rank - 2)


def test_values_that_are_not_finite_give_none():
    assert np.isnan(growing(4, 3, 2).times(np.full((4, 2), np.inf))).all()


def test_ways_ahead_and_back_have_numbers_of_their_own():
    # As many inputs as outputs, so that equal counters would be equal numbers.
    size, draw = 6, Draw(np.uint64(3), 0, 1)
    weights = Weights(size, size, "normal", 1.0, "normal", 0.0)
    matrices = UnseenMatrices([weights], 2, np.dtype(float), draw)
    first = np.eye(size)[:, :1]
    ahead, back = matrices.times(first), matrices.back(first)
    assert not np.isclose(ahead[1:], back[1:]).any()


def test_each_gate_has_its_own_gain_and_biases():
    size, outputs, draw = 6, 4000, Draw(np.uint64(4), 0, 1)
    laws = [Weights(size, outputs, "normal", g, "normal", b) for g, b in ((1.0, 0.5), (9.0, 2.0))]
    matrices = UnseenMatrices(laws, 2, np.dtype(float), draw)
    # Of a column of norm 1: variances of n draws are off by √(2/n), relatively.
    found = matrices.times(np.eye(size)[:, :1]).reshape(2, -1), matrices.biases.reshape(2, -1)
    for values, expected in zip(found, ((1.0 / size, 9.0 / size), (0.25, 4.0)), strict=True):
        assert np.mean(values**2, axis=1) == pytest.approx(expected, rel=5.0 * (2 / outputs) ** 0.5)


def test_its_entries_are_independent_normals():
    """Seen by unit vectors, some ahead and all behind: mean, variance and fourth moment of 4,000
    matrices (without the compiler 400), and products of two entries, each within 5 standard
    errors."""
    count, ahead = (
        400 if config.DISABLE_JIT else 4000,
        np.eye(FAN_IN)[:, :4]
        @ np.array([[1, 1, 0, 0], [0, 1, 1, 0], [0, 0, 1, 1], [0, 0, 0, 1.0]]),
    )
    whole = np.empty((count, UNITS, FAN_IN))
    for seed in range(count):
        own = Matrix(2 * seed)
        for n in range(4):
            own.times(ahead[:, n : n + 1])
        whole[seed] = own.back(np.eye(UNITS)).T
    whole /= STD[:, None]
    flat = whole.reshape(count, -1)
    error = 5.0 / math.sqrt(count)
    # 54 means, and variances with a variance of 2.
    assert np.abs(flat.mean(0)).max() < error
    assert np.abs((flat**2).mean(0) - 1.0).max() < error * math.sqrt(2.0)
    assert np.abs((flat**4).mean(0) - 3.0).max() < error * math.sqrt(96.0)
    products = flat.T @ flat / count
    assert np.abs(products - np.diag(np.diagonal(products))).max() < error


@pytest.mark.parametrize("layer", [Elman(width=40), Lstm(width=40), Gru(width=40)], ids=repr)
def test_cells_are_sampled_without_matrices_if_vectors_are_few(layer):
    """Second moments and gradients have the law of cells whose matrices are drawn: means over
    networks, within 5 standard errors."""
    form = {"kind": layer.kind, "width": 40, "init": "lecun_normal", "bias_std": 0.3}
    network = Network.read({"input": {"channels": 30, "grid": [6]}, "layers": [form] * 2})
    inputs = DrawnInputs("normal", 180, 2, 0.0, 1.0)
    assert samplers(network, 2, "matrix-free") == ("matrix-free",) * 2
    found = {}
    for name in ("dense", "matrix-free"):
        options = {"trials": TRIALS, "dtype": "float64", "backward": True, "keep_trials": True}
        found[name] = sample_network(network, inputs, seed=len(name), sampler=name, **options)
    for pick in (lambda own: own.values[:, 1:, 2], lambda own: own.log_gradient[:, :-1]):
        ours, theirs = pick(found["matrix-free"]), pick(found["dense"])
        spread = np.hypot(ours.std(axis=0, ddof=1), theirs.std(axis=0, ddof=1))
        error = spread / math.sqrt(TRIALS)
        assert (np.abs(ours.mean(axis=0) - theirs.mean(axis=0)) < 5.0 * error).all()


def test_orthogonal_and_uniform_cells_draw_their_matrices():
    for init in ("orthogonal", "torch_default"):
        form = {"kind": "elman", "width": 40, "init": init}
        network = Network.read({"input": {"channels": 40, "grid": [2]}, "layers": [form]})
        assert samplers(network, 1, "auto") == ("dense",)
        draw = LayerDraw(
            Workshop(np.dtype("float64"), np.uint64(0), np.zeros(1, np.uint8), train=True), 0, 1
        )
        own = network.block.entries[0].layer.matrices([network.input])
        assert isinstance(draw.tied((own[:1], own[1:]), 2)[1], WholeMatrices)


@pytest.mark.parametrize("batch", [1, 4, 30])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_bytes_of_matrices_are_those_of_the_arrays_that_are_kept(batch, dtype):
    """After a product both ways, of an LSTM over three times, with more inputs than units; of
    matrices that are drawn, those of the weights and biases themselves."""
    form = {"kind": "lstm", "width": 5, "init": "lecun_normal"}
    network = Network.read({"input": {"channels": 12, "grid": [3]}, "layers": [form]})
    (row,), size = network.rows(), np.dtype(dtype).itemsize
    laws = row.layer.matrices(row.before)
    columns = batch * row.layer.columns(row.before)
    assert columns == 3 * batch
    kept = 0
    for group in row.layer.tied(laws):
        unseen = UnseenMatrices(group, columns, np.dtype(dtype), Draw(np.uint64(0), 0, 1))
        arrays = [
            part for own in (unseen._ahead, unseen._behind) for part in (own._basis, own._images)
        ]
        kept += sum(array.nbytes for array in arrays)
    assert matrix_bytes(row, laws, batch, size, lambda *_: True).kept == kept
    drawn = matrix_bytes(row, laws, batch, size, lambda *_: False)
    assert drawn == (sum(own.fan_out * (own.fan_in + 1) for own in laws) * size, 0.0)
