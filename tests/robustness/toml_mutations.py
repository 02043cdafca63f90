"""Damage to a configuration that mostly leaves it valid TOML."""

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


def exchange(random: Random, data: bytes) -> bytes:
    """Replace a value or a key by another."""
    places = list(re.finditer(rb"(?m)^([\w-]+) ?= ?([^#\n]+)", data))
    if not places:
        return data
    place = random.choice(places)
    group = random.choice((1, 2, 2, 2))
    new = random.choice(KEYS if group == 1 else VALUES)
    begin, end = place.span(group)
    return data[:begin] + new + data[end:]
