"""Values of keys in words."""

from __future__ import annotations

import pytest

from snstat.layers.words import words_of


@pytest.mark.parametrize(
    ("name", "key", "words"),
    [
        ("scale", "factor", "number"),
        ("dropout", "rate", "number from 0 to 0.999"),
        ("layer_norm", "epsilon", "number from 0"),
        ("block", "times", "whole number from 1 to 1,000,000,000"),
    ],
)
def test_values_of_keys_in_words(name, key, words):
    """Bounds are left out where they are those of all numbers."""
    (found,) = [own for own in words_of(name).keys if own.name == key]
    assert found.values == words
