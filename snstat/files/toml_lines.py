"""Where the tables and keys of a TOML text stand, which tomllib does not tell.

Outside strings and comments TOML has no quote and no `#`, so one regular expression finds all of
both. With them masked, what is left are brackets, newlines and keys: statements begin at a line's
start outside all brackets.
"""

from __future__ import annotations

import re
import tomllib
from bisect import bisect_left
from collections.abc import Iterator
from typing import Any

Path = tuple[str, ...]

# Parts of a dotted key. The memory and time that tomllib takes grow with the square of their
# number: a key of 100,000 parts, one small file, fills the memory of a large machine.
MAX_PARTS = 16
# Sum over a file of the squares of the dots: 4,660 keys of MAX_PARTS, a million of two.
MAX_SQUARES = 2**20

_STRING_OR_COMMENT = re.compile(
    r'''
      """ (?: [^"\\]++ | \\. | "{1,2}(?!") )*+ "{3,5}   # up to two quotes may precede the closing
    | \'\'\' (?: [^']++ | '{1,2}(?!') )*+ '{3,5}
    | " (?: [^"\\\n]++ | \\[^\n] )*+ "
    | ' [^'\n]*+ '
    | \# [^\n]*+
    ''',
    re.VERBOSE | re.DOTALL,
)
_BETWEEN_KEYS = re.compile(r"[,=\[\]{}\n]")
_STRUCTURE = re.compile(r"[\[\]{}\n]")
_BARE = re.compile(r"[A-Za-z0-9_-]+")


def mask(text: str) -> str:
    """Return `text` with every character of a string a quote and of a comment a space.

    Positions stay, and so do the newlines between statements. `text` ends lines with a newline
    alone. Behind the first error of a text that is not TOML, the answer means nothing.
    """

    def masked(match: re.Match[str]) -> str:
        return (" " if match[0][0] == "#" else '"') * len(match[0])

    return _STRING_OR_COMMENT.sub(masked, text)


def too_many_parts(text: str) -> int | None:
    """Return the line of the dotted key that breaks MAX_PARTS or MAX_SQUARES, None without one."""
    start = squares = 0
    for piece in _BETWEEN_KEYS.split(mask(text)):
        dots = piece.count(".")
        squares += dots**2
        if dots >= MAX_PARTS or squares > MAX_SQUARES:
            return text.count("\n", 0, start) + 1
        start += len(piece) + 1
    return None


class Lines:
    """The lines, counted from 1, of the tables and keys of a valid TOML text.

    Only what is under `section`, a path of keys, or leads to it is kept.
    """

    def __init__(self, text: str, section: Path) -> None:
        self._stated: dict[Path, int] = {}
        # Where a table that has no statement of its own is first named.
        self._implied: dict[Path, int] = {}
        for path, line in _statements(text):
            shared = min(len(path), len(section))
            if path[:shared] != section[:shared]:
                continue
            self._stated.setdefault(path, line)
            for length in range(shared, len(path)):
                self._implied.setdefault(path[:length], line)

    def of(self, path: Path) -> int:
        """Return the line of the table or key at `path`.

        A table without a header has the line of its first dotted key or header of a child; what is
        inside an inline value has the line on which the value's key stands.
        """
        for length in range(len(path), 0, -1):
            for lines in (self._stated, self._implied):
                if path[:length] in lines:
                    return lines[path[:length]]
        return 1


def _statements(text: str) -> Iterator[tuple[Path, int]]:
    """Yield the full path and the line of each header and each key."""
    bare = mask(text)
    newlines = [match.start() for match in re.finditer("\n", text)]
    table: Path = ()
    for begin, end in _logical_lines(bare):
        body = bare[begin:end].strip()
        if not body:
            continue
        start = bare.index(body[0], begin)
        line = bisect_left(newlines, start) + 1
        if body[0] == "[":
            opening = 2 if body.startswith("[[") else 1
            table = _keys(text[start + opening : start + body.index("]")])
            yield table, line
        else:
            yield table + _keys(text[start : start + body.index("=")]), line


def _logical_lines(bare: str) -> Iterator[tuple[int, int]]:
    """Yield start and end of each line, a line going on while a bracket is open."""
    start = depth = 0
    for match in _STRUCTURE.finditer(bare):
        if match[0] in "[{":
            depth += 1
        elif match[0] in "]}":
            depth -= 1
        elif depth == 0:
            yield start, match.start()
            start = match.end()
    yield start, len(bare)


def _keys(dotted: str) -> Path:
    """Return the parts of a dotted key, quotes and escapes resolved."""
    parts = [part.strip() for part in dotted.split(".")]
    if all(_BARE.fullmatch(part) for part in parts):
        return tuple(parts)
    found = []
    value: Any = tomllib.loads(f"{dotted} = 0")
    while isinstance(value, dict):
        [(key, value)] = value.items()
        found.append(key)
    return tuple(found)
