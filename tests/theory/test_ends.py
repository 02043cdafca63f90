"""Which ends of theory are told: each reason once."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations
from types import SimpleNamespace

import numpy as np
import pytest

from snstat.experiment.data import DataInputs
from snstat.network.network import Network
from snstat.results.theory_end import OF_GRADIENT, OF_PAIRS, OF_SIGNAL, TheoryEnd
from snstat.theory.ends import _at_start, told


def test_a_reason_is_told_at_its_first_layer_and_of_gradients_at_the_last():
    """Gradients are not known up to there. Signals come layer by layer, gradients in any order."""
    for layers in permutations((2, 5, 9)):
        of_gradients = [TheoryEnd(OF_GRADIENT, layer, "a") for layer in layers]
        assert told(of_gradients) == (TheoryEnd(OF_GRADIENT, 9, "a"),)
    of_signals = [TheoryEnd(OF_SIGNAL, layer, "a") for layer in (2, 5, 9)]
    assert told(of_signals) == (of_signals[0],)
    others = [TheoryEnd(OF_SIGNAL, 5, "b"), TheoryEnd(OF_PAIRS, 5, "a")]
    assert told(of_signals + others) == (of_signals[0], *others)


@pytest.mark.parametrize("norms", [True, False])
def test_signals_of_data_end_for_lack_of_samples_or_of_a_theory_of_norms(norms):
    rows = np.random.default_rng(0).normal(size=(4, 6))
    inputs = DataInputs("rows", rows, 4).moments()
    assert inputs.norms is not None
    inputs = inputs if norms else replace(inputs, norms=None)
    network = Network.read(
        {"name": "net", "input": {"channels": 6}, "layers": [{"kind": "layer_norm"}]}
    )
    (end,) = _at_start(network, SimpleNamespace(known=False), inputs)
    assert (end.of, end.layer) == (OF_SIGNAL, 1)
    assert ("norm" in end.reason) == norms
