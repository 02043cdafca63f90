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
        ("conv", "padding", "same or valid or circular or causal"),
        ("block", "times", "whole number from 1 to 1,000,000,000"),
    ],
)
def test_values_of_keys_in_words(name, key, words):
    """Bounds are left out where they are those of all numbers."""
    (found,) = [own for own in words_of(name).keys if own.name == key]
    assert found.values == words


@pytest.mark.parametrize(
    ("name", "key", "words"),
    [
        ("dense", "width", ""),
        ("dense", "activation", "none"),
        ("layer_norm", "epsilon", "1e-05"),
        ("scale", "factor", "1"),
        ("conv", "groups", "1"),
        ("attention", "causal", "false"),
        ("attention", "memory", "none"),
    ],
)
def test_defaults_of_keys_in_words(name, key, words):
    """A key that must be given has none."""
    (found,) = [own for own in words_of(name).keys if own.name == key]
    assert found.default == words
