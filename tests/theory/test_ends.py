"""Which ends of theory are told: each reason once."""

from __future__ import annotations

from itertools import permutations

from snstat.results.theory_end import OF_GRADIENT, OF_PAIRS, OF_SIGNAL, TheoryEnd
from snstat.theory.ends import told


def test_a_reason_is_told_at_its_first_layer_and_of_gradients_at_the_last():
    """Gradients are not known up to there. Signals come layer by layer, gradients in any order."""
    for layers in permutations((2, 5, 9)):
        of_gradients = [TheoryEnd(OF_GRADIENT, layer, "a") for layer in layers]
        assert told(of_gradients) == (TheoryEnd(OF_GRADIENT, 9, "a"),)
    of_signals = [TheoryEnd(OF_SIGNAL, layer, "a") for layer in (2, 5, 9)]
    assert told(of_signals) == (of_signals[0],)
    others = [TheoryEnd(OF_SIGNAL, 5, "b"), TheoryEnd(OF_PAIRS, 5, "a")]
    assert told(of_signals + others) == (of_signals[0], *others)
