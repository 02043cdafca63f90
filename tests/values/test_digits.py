"""Numbers with as many digits as tell them apart."""

from __future__ import annotations

import math

import pytest

from snstat.values.digits import told_apart


@pytest.mark.parametrize(
    ("one", "other", "digits", "words"),
    [
        (1.006, 1.21, 4, ("1.006", "1.21")),
        (0.99996, 0.999982, 4, ("0.99996", "0.99998")),
        (1.0, 1.0 + 2.0**-52, 4, ("1", "1.0000000000000002")),
        (2.0, 2.0, 3, ("2", "2")),
        (math.nan, math.nan, 3, ("nan", "nan")),
        (math.inf, 100.0, 3, ("inf", "100")),
        (100.2, 100.0, 3, ("100.2", "100")),
    ],
)
def test_numbers_that_differ_look_different(one, other, digits, words):
    assert told_apart(one, other, digits) == words
