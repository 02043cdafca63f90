"""Bytes that are needed, beside those that are there, in words."""

from __future__ import annotations

import math

import pytest

from snstat.limits import in_gib


@pytest.mark.parametrize(
    ("needed", "free", "words"),
    [
        (24.04, 24.0, ("24.04", "24.00")),
        (24.0401, 24.04, ("24.0401", "24.0400")),
        (26.0, 21.0, ("26.0", "21.0")),
        (1e9, 62.3, ("1,000,000,000", "62")),
        (700.4, 0.04, ("700.40", "0.04")),
        (0.5, 0.25, ("0.500", "0.250")),
        (3.0, 0.0, ("3.00", "0.00")),
        (math.inf, 3.0, ("inf", "3")),
        (1.0, 1.0, ("1.000000000", "1.000000000")),  # which nothing tells apart
    ],
)
def test_two_numbers_of_bytes_that_differ_differ_in_words(needed, free, words):
    found = in_gib(needed * 2**30, free * 2**30)
    assert found == tuple(f"{word} GiB" for word in words)
