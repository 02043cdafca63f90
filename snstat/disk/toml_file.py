"""Reading an untrusted TOML file: bounded, and every failure one line."""

from __future__ import annotations

import os
import re
import tomllib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from snstat.errors import InputFileError

# A configuration is a few pages. tomllib takes up to 500 times the size of a file.
MAX_BYTES = 2**20
LARGE = "a configuration is short"
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
_OPENING = re.compile(r"(?m)^[ \t]*\[")
_BETWEEN_KEYS = re.compile(r"[,=\[\]{}\n]")


@dataclass(frozen=True, slots=True)
class TomlFile:
    """A parsed file: its `path`, its `root` table and its `text`, lines ended by newlines alone."""

    path: Path
    root: dict[str, Any]
    text: str

    @classmethod
    def read(cls, path: str | os.PathLike[str], large: str = LARGE) -> TomlFile:
        """Return the file at `path`; `large` is the remedy for one that is too large.

        Raises InputFileError, with the line where there is one, for a file that is missing, no
        plain file, unreadable, larger than MAX_BYTES, not UTF-8, not TOML, or too deeply nested.
        """
        text = _text(path, large)
        line = _too_many_parts(text)
        if line is not None:
            raise InputFileError(
                f"{os.fspath(path)}:{line}",
                f"a dotted key of more than {MAX_PARTS} parts, or thousands of long ones",
                "nest less deeply",
            )
        try:
            root = tomllib.loads(text)
        except RecursionError:
            raise InputFileError(
                os.fspath(path), "arrays or tables are nested too deeply", "nest less deeply"
            ) from None
        except ValueError as error:  # TOMLDecodeError, or int() of more than 4,300 digits
            reason = " ".join(str(error).split())
            if len(reason) > 200:  # it may quote a key of any length; what counts is at the end
                reason = f"{reason[:100]}…{reason[-99:]}"
            raise InputFileError(os.fspath(path), f"is not valid TOML: {reason}") from None
        return cls(Path(path), root, text)

    def line_of(self, table: tuple[str, ...]) -> int:
        """Return the line, from 1, of the header of a table; without one that of the nearest table
        around it, and 1 without any."""
        lines = _header_lines(self.text)
        while table and table not in lines:
            table = table[:-1]
        return lines[table] if table else 1


# A configuration of many checks asks for the line of each.
@lru_cache(maxsize=1)
def _header_lines(text: str) -> dict[tuple[str, ...] | None, int]:
    """Return the first line of every table that has a header."""
    # Newlines in strings are masked, so no header is found inside one.
    starts = [found.start() for found in _OPENING.finditer(_masked(text))]
    found: dict[tuple[str, ...] | None, int] = {}
    line, last = 1, 0
    for start in starts:
        line, last = line + text.count("\n", last, start), start
        end = text.find("\n", start)
        found.setdefault(_header(text[start : end if end >= 0 else None]), line)
    return found


def _header(line: str) -> tuple[str, ...] | None:
    """Return the keys of the table that a line opens, None if it opens none."""
    try:
        value: Any = tomllib.loads(line)
    except (ValueError, RecursionError):
        return None
    keys = []
    while isinstance(value, dict) and value:
        [(key, value)] = value.items()
        keys.append(key)
    return tuple(keys)


def _text(path: str | os.PathLike[str], large: str) -> str:
    name = os.fspath(path)
    try:
        if Path(name).is_dir():
            raise InputFileError(name, "is a directory", "give a TOML file")
        if Path(name).exists() and not Path(name).is_file():
            # Reading a pipe could wait for ever.
            raise InputFileError(name, "is not a plain file", "give a TOML file")
        with Path(name).open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        if Path(name).is_symlink():
            reason, remedy = "is a link to a file that does not exist", "mend or remove the link"
            raise InputFileError(name, reason, remedy) from None
        raise InputFileError(name, "no such file") from None
    except OSError as error:
        raise InputFileError(name, error.strerror or str(error)) from None
    except ValueError as error:  # a null character
        raise InputFileError(repr(name), f"is no file name ({error})") from None
    if len(data) > MAX_BYTES:
        raise InputFileError(name, f"has more than {MAX_BYTES:,} bytes", large)
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise InputFileError(
            f"{name}:{line}", f"is not UTF-8 (byte {data[error.start]:#04x})", "save it as UTF-8"
        ) from None
    return text.replace("\r\n", "\n")


def _masked(text: str) -> str:
    """Return `text` with every character of a string a quote and of a comment a space.

    Positions stay, and so do the newlines between statements. `text` ends lines with a newline
    alone. Behind the first error of a text that is not TOML, the answer means nothing.
    """

    def masked(match: re.Match[str]) -> str:
        return (" " if match[0][0] == "#" else '"') * len(match[0])

    return _STRING_OR_COMMENT.sub(masked, text)


def _too_many_parts(text: str) -> int | None:
    """Return the line of the dotted key that breaks MAX_PARTS or MAX_SQUARES, None without one."""
    start = squares = 0
    for piece in _BETWEEN_KEYS.split(_masked(text)):
        dots = piece.count(".")
        squares += dots**2
        if dots >= MAX_PARTS or squares > MAX_SQUARES:
            return text.count("\n", 0, start) + 1
        start += len(piece) + 1
    return None
