"""The numpy peer measures the statistics of snstat on given weights."""

from __future__ import annotations

import numpy as np
import pytest

from snstat.results import STATISTICS
from tests.benchmarks import peers_numpy
from tests.benchmarks.naive import (
    BATCH,
    LAYERS,
    NETWORK,
    WIDTH,
    assert_gradients,
    assert_statistics,
)


def test_statistics_equal_their_definitions():
    run = peers_numpy.forward(WIDTH, BATCH, inputs=NETWORK.inputs, weights=NETWORK.weights)
    assert_statistics(run(LAYERS))


def test_a_second_run_starts_from_the_same_inputs():
    run = peers_numpy.forward(WIDTH, BATCH, inputs=NETWORK.inputs, weights=NETWORK.weights)
    np.testing.assert_array_equal(run(LAYERS), run(LAYERS))


def test_gradients_equal_the_chain_rule():
    run = peers_numpy.backward(
        WIDTH,
        BATCH,
        LAYERS,
        inputs=NETWORK.inputs,
        weights=NETWORK.weights,
        read_out=NETWORK.read_out,
    )
    rows, gradients = run()
    assert_statistics(rows)
    assert_gradients(gradients)


def test_dead_units_are_flat_for_every_sample():
    z = np.array([[-1.0, -2.0, 3.0, -1.0], [2.0, -1.0, 1.0, -5.0]], np.float32)
    measured = peers_numpy.statistics(np.maximum(z, 0) + 1, z.max(axis=0), flat_below=0.0)
    assert measured[STATISTICS.index("dead_fraction")] == 0.5


@pytest.mark.parametrize("passes", ["forward", "backward"])
def test_drawn_weights_have_variance_one_over_width(passes):
    """At SELU's fixed point the second moment stays 1."""
    width, batch, layers = 512, 8, 3
    if passes == "forward":
        rows = peers_numpy.forward(width, batch)(layers)
    else:
        rows, _ = peers_numpy.backward(width, batch, layers)()
    # The variance per layer and sample is about κ/width, κ = E φ⁴/(E φ²)² − 1 ≈ 2.2. Samples share
    # the weights but not the activations. Three layers and five standard errors give 0.2.
    np.testing.assert_allclose(rows[:, STATISTICS.index("second_moment")], 1.0, atol=0.2)
