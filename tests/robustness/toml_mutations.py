"""Damage to a configuration or a network file that mostly leaves it valid TOML."""

from __future__ import annotations

import re
from random import Random

# Replacements of values: wrong kinds, bounds and numbers beyond them.
VALUES = (
    b"0",
    b"-1",
    b"10000000000000000000000000",
    b"1e400",
    b"nan",
    b"-inf",
    b"1e-320",
    b"true",
    b"''",
    b"'gelu'",
    b"'\\u0000'",
    b'"\\u001b[31m"',
    b"[]",
    b"[[[[]]]]",
    b"['SN9']",
    b"{a = {b = 1}}",
    b"2026-11-25",
    b"'/dev/zero'",
    b"'" + b"x" * 5000 + b"'",
)
KEYS = (b"depth", b"width", b"inputs", b"baseline", b"select", b"dtype", b"depht", b"check", b"''")


# The same of a network file.
OF_LAYERS = (
    b"'=width**9**9'",
    b"'=width/0'",
    b"'=blcks'",
    b"'=" + b"(" * 190 + b"'",
    b"1000000000",
    b"['up', 3]",
    b"'previous'",
    b"'block'",
    b"'tanh'",
)
LAYER_KEYS = (b"kind", b"layers", b"name", b"input", b"inputs", b"times", b"width", b"when", b"''")
_LINE = re.compile(rb"(?m)^([\w-]+) ?= ?([^#\n]+)")
_IN_TABLE = re.compile(rb"(?m)(?:^|(?<=[{,] ))([\w-]+) ?= ?(\"[^\"\n]*\"|[^#\n,}]+)")


def exchange(random: Random, data: bytes) -> bytes:
    """Replace a value or a key of a configuration by another."""
    return _exchange(random, data, _LINE, KEYS, VALUES)


def exchange_in_layers(random: Random, data: bytes) -> bytes:
    """Replace a value or a key of a network, in inline tables too, by another."""
    return _exchange(random, data, _IN_TABLE, LAYER_KEYS, VALUES + OF_LAYERS)


def _exchange(
    random: Random,
    data: bytes,
    pattern: re.Pattern[bytes],
    keys: tuple[bytes, ...],
    values: tuple[bytes, ...],
) -> bytes:
    places = list(pattern.finditer(data))
    if not places:
        return data
    place = random.choice(places)
    group = random.choice((1, 2, 2, 2))
    new = random.choice(keys if group == 1 else values)
    begin, end = place.span(group)
    return data[:begin] + new + data[end:]
