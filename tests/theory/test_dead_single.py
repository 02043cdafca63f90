"""The dead fraction of one sample against simulated networks."""

from __future__ import annotations

import numpy as np
import pytest
from numba import config

from snstat import propagate


@pytest.mark.skipif(bool(config.DISABLE_JIT), reason="thousands of networks need compiled kernels")
@pytest.mark.parametrize("name", ["hard_tanh", "relu6"])
def test_the_dead_fraction_of_one_sample_moves_with_the_width(name):
    run = propagate(name, 3, width=24, batch=1, trials=20_000, threads=1)
    dead = run.dead_fraction
    for layer in (1, 2):
        off = abs(dead.estimate[layer] - dead.expected[layer])
        # A normal variate is beyond 4 with a probability of 6e-5.
        assert off <= 4.0 * dead.stderr[layer] + dead.neglected[layer]
    if name == "hard_tanh":  # relu6 is near ½ at any width
        z = (dead.estimate - dead.theory)[1:] / dead.stderr[1:]
        assert (np.abs(z) > 6.0).all()


@pytest.mark.skipif(bool(config.DISABLE_JIT), reason="thousands of networks need compiled kernels")
def test_rare_intervals_are_known_within_what_the_largest_networks_do():
    """hard_swish is flat beyond ±3, which second moments of networks decide exponentially."""
    run = propagate("hard_swish", 3, width=16, batch=1, trials=20_000, threads=1)
    dead = run.dead_fraction
    assert np.isnan(dead.expected[2:]).all()
    assert (dead.estimate[1:] > dead.theory[1:]).all()
    assert (dead.estimate[1:] < dead.theory[1:] + dead.neglected[1:]).all()
