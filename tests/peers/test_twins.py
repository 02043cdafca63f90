"""Whole networks have the values and gradients of their PyTorch twins.

Every kind alone is in tests/layers/test_every_kind.py.
"""

from __future__ import annotations

import pytest

from tests.peers.comparison import compare
from tests.peers.networks import EXAMPLES, NETWORKS, example, tangled

pytestmark = pytest.mark.peers

MODES = pytest.mark.parametrize("train", [True, False], ids=["train", "eval"])


@MODES
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_equals_its_twin(name, dtype, train):
    compare(NETWORKS[name], dtype, train=train)


@MODES
@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_equals_its_twin(name, train):
    compare(example(name), "float64", train=train)


@MODES
@pytest.mark.parametrize("seed", range(12))
def test_a_random_network_equals_its_twin(seed, train):
    compare(tangled(seed), "float64", train=train)
