"""The words that layers are named by."""

from __future__ import annotations

import pytest

from snstat.checks.network_changes import _range, _which
from tests.checks.cases import dense, network_of, residual

FIVE = network_of(*[dense() for _ in range(5)])
MIXED = network_of(*[residual(dense()) for _ in range(7)], dense())


@pytest.mark.parametrize(("network", "names", "words"), [
    (FIVE, "0", "dense layer 0"),
    (FIVE, "0 1", "dense layers 0 and 1"),
    (FIVE, "0 1 2", "dense layers 0, 1 and 2"),  # up to three are listed
    (FIVE, "0 1 2 3", "all 5 dense layers but the last"),
    (FIVE, "1 2 3 4", "dense layers 1, 2, 3 and 4"),
    (FIVE, "0 1 2 3 4", "all 5 dense layers"),
    (MIXED, "0 1 2 3 4 5 6", "all 7 residuals"),
    (MIXED, "0 1 2 3 4 5", "all 7 residuals but the last"),
    (MIXED, "0 1 2 3 4", "residuals 0, 1, 2, 3 and 4"),
    (MIXED, "0.0 1.0 2.0 3.0 4.0 5.0 6.0 7", "all 8 dense layers"),
    (MIXED, "0.0 1.0 2.0 3.0 4.0 5.0 6.0", "all 8 dense layers but the last"),
    (MIXED, "6 7", "dense and residuals 6 and 7"),
])  # fmt: skip
def test_layers_in_words(network, names, words):
    assert _which(network, names.split()) == words


@pytest.mark.parametrize(
    ("values", "words"),
    [((0.5,), "0.5"), ((0.5, 0.5), "0.5"), ((3.0, 1.0, 2.0), "1 to 3"), ((2.0, 1.0), "1 to 2")],
)
def test_ranges_in_words(values, words):
    assert _range(values) == words
