"""Networks whose matrices are drawn, and those whose matrices are not, have one law."""

from __future__ import annotations

import os

import numpy as np
import pytest
from numba import config
from scipy import stats

from snstat.engine.general.sample import sample_network
from snstat.engine.general.samplers import samplers
from snstat.experiment.inputs import DrawnInputs
from snstat.layers.activation import Activation
from snstat.layers.batch_norm import BatchNorm
from snstat.layers.block import Block
from snstat.layers.concat import Concat
from snstat.layers.dense import Dense
from snstat.layers.dropout import Dropout
from snstat.layers.entry import Entry
from snstat.layers.highway import Highway
from snstat.layers.layer_norm import LayerNorm
from snstat.layers.residual_block import Residual
from snstat.layers.shape import Shape
from snstat.network.network import Network
from snstat.results import MEASURED

# `make test-laws` takes 20,000.
TRIALS = int(os.environ.get("SNSTAT_TRIALS", "2000"))
# Probability that an exact sampler fails one test. The draws are seeded.
ALARM = 1e-4
SECOND_MOMENT, COSINE = MEASURED.index("second_moment"), MEASURED.index("cosine")


def network_of(*layers, width=12):
    entries = [entry if isinstance(entry, Entry) else Entry(entry) for entry in layers]
    return Network(Shape(width), Block(tuple(entries)))


BRANCH = (Dense(24, "gelu", bias_std=0.2), Dense(12, init="lecun_normal"))
NETWORKS = {
    "funnel": network_of(
        Dense(48, "tanh", bias_std=0.5), Dense(17, "relu"), Dense(12, "selu"), width=24
    ),
    "pre-norm": network_of(Block((Entry(Residual((LayerNorm(), *BRANCH))),), 2)),
    "post-norm": network_of(Block((Entry(Residual(BRANCH)), Entry(LayerNorm())), 2)),
    "dropout": network_of(
        Dense(16, "relu", bias_std=0.3), Dropout(0.2), Dense(12, "tanh"), Dropout(0.4)
    ),
    "batch norm": network_of(
        Dense(16), BatchNorm(), Activation("relu"), Dense(12), BatchNorm(), Activation("tanh")
    ),
    "highway": network_of(Block((Entry(Highway("tanh", bias_std=0.3)),), 2), Dense(14, "relu")),
    "concat": network_of(
        Dense(12, "relu"), Entry(Dense(13, "tanh"), (0,)), Entry(Concat(), (1, 2)),
        Dense(12, "gelu", bias_std=0.2),
    ),
    "orthogonal": network_of(
        Dense(20, "tanh", init="orthogonal", bias_std=0.3), Dense(12, "relu", init="orthogonal")
    ),
}  # fmt: skip


def features(network, sampler, seed, dtype):
    """Return of every trial (trials, features): ln of the second moment, cosine, and ln of the
    squared gradient, of all layers where they vary."""
    inputs = DrawnInputs("normal", network.input.units, 4, 0.2, 1.0)
    found = sample_network(
        network, inputs, trials=TRIALS, seed=seed, dtype=dtype, sampler=sampler, backward=True,
        keep_trials=True,
    )  # fmt: skip
    values = found.values[:, 1:]
    columns = [np.log(values[:, :, SECOND_MOMENT]), values[:, :, COSINE], found.log_gradient]
    return np.concatenate(columns, axis=1)


@pytest.mark.slow
@pytest.mark.skipif(bool(config.DISABLE_JIT), reason="thousands of trials need compiled kernels")
@pytest.mark.parametrize("name", NETWORKS)
def test_weights_that_are_not_drawn_change_no_law(name):
    """Means, spreads and correlations of all pairs of features agree, in float32 and float64."""
    network, dtype = NETWORKS[name], "float64" if name == "concat" else "float32"
    assert "dense" not in samplers(network, 4, "matrix-free", backward=True)
    # Seeds differ, because with one seed both samplers draw the same inputs.
    runs = [features(network, how, seed, dtype) for how, seed in (("dense", 1), ("matrix-free", 2))]
    both = np.concatenate(runs)
    # What a norm fixes varies by its ε only.
    varies = both.std(axis=0) > 1e-3
    mean, std = both.mean(axis=0)[varies], both.std(axis=0)[varies]
    units = [(run[:, varies] - mean) / std for run in runs]
    pairs = np.triu_indices(int(varies.sum()))
    bound = stats.norm.isf(ALARM / (len(pairs[0]) + varies.sum()) / 2)
    # Means of features, then of the products of two, whose distributions have finite variance: by
    # the central limit theorem over the trials.
    for one, other in (units, [u[:, pairs[0]] * u[:, pairs[1]] for u in units]):
        error = np.hypot(one.std(axis=0), other.std(axis=0)) / np.sqrt(TRIALS)
        z = (one.mean(axis=0) - other.mean(axis=0)) / error
        assert np.abs(z).max() < bound, z
