"""Damage to files of any kind: flipped bits, lost and repeated spans, numbers out of bounds."""

from __future__ import annotations

import re
from collections.abc import Callable
from random import Random

Mutation = Callable[[Random, bytes], bytes]

# Numbers that break code without a bound: signs, powers of two and their neighbours, beyond int64,
# beyond double, beyond what Python parses.
EXTREMES = (
    b"0", b"-1", b"1", b"255", b"256", b"2147483647", b"-2147483648", b"4294967296",
    b"9223372036854775807", b"9223372036854775808", b"1" + b"0" * 12, b"1" + b"0" * 400,
    b"9" * 5000, b"0.5", b"-0.0", b"1e-320", b"1e308", b"-1e308", b"1e400", b"-1e400",
    b"1e999999999", b"NaN", b"Infinity", b"-Infinity", b"nan", b"inf", b"0x10", b"1_000", b"00",
)  # fmt: skip
# Texts that cause trouble in terminals, encodings, file systems and quoting.
NASTY = (
    b"", b"\0", b"\x1b[31mred\x1b[0m", b"\x1b]0;title\x07", b"\r\n", b"\xff\xfe", b"\xed\xa0\x80",
    "\u202e\u2066".encode(), "\U0001f4a5".encode(), b"$x^{", b"[bold]", b"%s%n", b"../" * 40,
    b"A" * 100_000, b'"', b"\\", b"\\ud800", b"<script>", b"/dev/zero", b"-",
)  # fmt: skip


def flip_bits(random: Random, data: bytes) -> bytes:
    """Flip one to eight bits."""
    out = bytearray(data)
    for _ in range(random.randint(1, 8)):
        if out:
            out[random.randrange(len(out))] ^= 1 << random.randrange(8)
    return bytes(out)


def truncate(random: Random, data: bytes) -> bytes:
    """Keep the beginning of the file."""
    return data[: random.randrange(len(data) + 1)]


def _span(random: Random, data: bytes, most: int = 400) -> tuple[int, int]:
    first = random.randrange(len(data) + 1)
    return first, min(len(data), first + random.randint(1, most))


def delete_span(random: Random, data: bytes) -> bytes:
    """Remove a span."""
    first, last = _span(random, data)
    return data[:first] + data[last:]


def repeat_span(random: Random, data: bytes) -> bytes:
    """Repeat a span once or a thousand times."""
    first, last = _span(random, data)
    return data[:last] + data[first:last] * random.choice((1, 1, 2, 1000)) + data[last:]


def overwrite_span(random: Random, data: bytes) -> bytes:
    """Replace a span by random bytes, zeros or ones."""
    first, last = _span(random, data, 16)
    size = last - first
    filling = random.choice((random.randbytes(size), bytes(size), b"\xff" * size))
    return data[:first] + filling + data[last:]


def move_span(random: Random, data: bytes) -> bytes:
    """Move a span elsewhere."""
    first, last = _span(random, data)
    rest = data[:first] + data[last:]
    place = random.randrange(len(rest) + 1)
    return rest[:place] + data[first:last] + rest[place:]


def insert_nasty(random: Random, data: bytes) -> bytes:
    """Insert a troublesome text anywhere."""
    place = random.randrange(len(data) + 1)
    return data[:place] + random.choice(NASTY) + data[place:]


def replace_number(random: Random, data: bytes) -> bytes:
    """Replace a number in the text by one out of all bounds."""
    numbers = list(re.finditer(rb"-?\d+(\.\d+)?([eE][-+]?\d+)?", data))
    if not numbers:
        return insert_nasty(random, data)
    chosen = random.choice(numbers)
    return data[: chosen.start()] + random.choice(EXTREMES) + data[chosen.end() :]


ANY_FILE: tuple[Mutation, ...] = (
    flip_bits,
    truncate,
    delete_span,
    repeat_span,
    overwrite_span,
    move_span,
    insert_nasty,
    replace_number,
)


def several(random: Random, data: bytes, mutations: tuple[Mutation, ...] = ANY_FILE) -> bytes:
    """Apply one to three mutations."""
    for _ in range(random.choice((1, 1, 1, 2, 3))):
        data = random.choice(mutations)(random, data)
    return data
