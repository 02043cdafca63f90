"""Gaussian matrices that multiply vectors one after the other without being drawn."""

from __future__ import annotations

import math

import numpy as np
import pytest

from snstat.engine.general.draw import LayerDraw
from snstat.engine.general.growing import Growing
from snstat.engine.general.sample import sample_network
from snstat.engine.general.samplers import samplers
from snstat.engine.general.workshop import Workshop
from snstat.experiment.inputs import DrawnInputs
from snstat.layers.elman import Elman
from snstat.layers.gru import Gru
from snstat.layers.lstm import Lstm
from snstat.layers.tied import WholeMatrices
from snstat.network.network import Network

FAN_IN, UNITS = 9, 6
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


@pytest.mark.parametrize("columns", [1, 3, 7])
def test_it_is_one_matrix_for_all_vectors_and_on_the_way_back(columns):
    """Linear in vectors of which some repeat or depend on others, until nothing is left open; and
    the way back is the adjoint."""
    random, own = np.random.default_rng(2), Matrix()
    vectors = random.normal(size=(FAN_IN, 12, columns))
    vectors[:, 3] = vectors[:, 1] - 2.0 * vectors[:, 0]
    vectors[:, 4] = 0.0
    images = np.stack([own.times(vectors[:, n]) for n in range(12)], axis=1)
    np.testing.assert_allclose(images[:, 3], images[:, 1] - 2.0 * images[:, 0], atol=1e-12)
    assert not images[:, 4].any()
    slopes = random.normal(size=(UNITS, 5, columns))
    back = np.stack([own.back(slopes[:, n]) for n in range(5)], axis=1)
    flat = vectors.reshape(FAN_IN, -1), images.reshape(UNITS, -1)
    h, other = slopes.reshape(UNITS, -1), back.reshape(FAN_IN, -1)
    np.testing.assert_allclose(other.T @ flat[0], h.T @ flat[1], atol=1e-11)


def test_its_entries_are_independent_normals():
    """Seen by unit vectors, some ahead and all behind: mean, variance and fourth moment of 4,000
    matrices, and products of two entries, each within 5 standard errors."""
    count, ahead = (
        4000,
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
    """Second moments and gradients have the law of cells whose matrices are drawn: means of 100
    networks, within 5 standard errors."""
    form = {"kind": layer.kind, "width": 40, "init": "lecun_normal", "bias_std": 0.3}
    network = Network.read({"input": {"channels": 30, "grid": [6]}, "layers": [form] * 2})
    inputs = DrawnInputs("normal", 180, 2, 0.0, 1.0)
    assert samplers(network, 2, "matrix-free") == ("matrix-free",) * 2
    found = {}
    for name in ("dense", "matrix-free"):
        options = {"trials": 100, "dtype": "float64", "backward": True, "keep_trials": True}
        found[name] = sample_network(network, inputs, seed=len(name), sampler=name, **options)
    for pick in (lambda own: own.values[:, 1:, 2], lambda own: own.log_gradient[:, :-1]):
        ours, theirs = pick(found["matrix-free"]), pick(found["dense"])
        error = np.hypot(ours.std(axis=0, ddof=1), theirs.std(axis=0, ddof=1)) / 10.0
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
