"""The PyTorch peer of the benchmarks measures the statistics of snstat on given weights."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from snstat.results import STATISTICS
from tests.benchmarks import peers_torch
from tests.benchmarks.naive import (
    BATCH,
    LAYERS,
    NETWORK,
    WIDTH,
    assert_gradients,
    assert_statistics,
)

pytestmark = pytest.mark.peers

INPUTS, READ_OUT = torch.from_numpy(NETWORK.inputs), torch.from_numpy(NETWORK.read_out)


def weights(layer):
    return torch.from_numpy(NETWORK.weights(layer))


def test_statistics_equal_their_definitions():
    assert_statistics(peers_torch.forward(WIDTH, BATCH, inputs=INPUTS, weights=weights)(LAYERS))


def test_a_second_run_starts_from_the_same_inputs():
    run = peers_torch.forward(WIDTH, BATCH, inputs=INPUTS, weights=weights)
    np.testing.assert_array_equal(run(LAYERS), run(LAYERS))


def test_gradients_equal_the_chain_rule():
    run = peers_torch.backward(
        WIDTH, BATCH, LAYERS, inputs=INPUTS, weights=weights, read_out=READ_OUT
    )
    for _ in range(2):
        rows, gradients = run()
        assert_statistics(rows)
        assert_gradients(gradients)


def test_dead_units_are_flat_for_every_sample():
    z = torch.tensor([[-1.0, -2.0, 3.0, -1.0], [2.0, -1.0, 1.0, -5.0]])
    measured = peers_torch.statistics(z.relu() + 1, z.amax(0), flat_below=0.0)
    assert measured[STATISTICS.index("dead_fraction")] == 0.5


@pytest.mark.parametrize("passes", ["forward", "backward"])
def test_drawn_weights_have_variance_one_over_width(passes):
    """At SELU's fixed point the second moment stays 1; see the numpy peer's test."""
    torch.manual_seed(0)
    width, batch, layers = 512, 8, 3
    if passes == "forward":
        rows = peers_torch.forward(width, batch)(layers)
    else:
        rows, _ = peers_torch.backward(width, batch, layers)()
    np.testing.assert_allclose(rows[:, STATISTICS.index("second_moment")], 1.0, atol=0.2)
