"""Kinds of option values, from Python, the command line or a file."""

from __future__ import annotations

import math
import os
from collections.abc import Collection, Mapping
from difflib import get_close_matches
from typing import Any

from snstat.errors import InvalidValueError
from snstat.limits import MAX_INTEGER, MAX_SCALE, MAX_TEXT
from snstat.values.arithmetic import real, whole
from snstat.values.names import NO_ALIASES, known
from snstat.values.ranges import integer, number


class Kind:
    """A kind of values. All methods raise InvalidValueError, which names the option `name`."""

    # The name of a value in help, and a description of valid plain data.
    name = "text"
    words = "a string"

    def check(self, name: str, value: Any) -> Any:  # noqa: ARG002  # for others to use
        """Return a Python value in its normal form."""
        return value

    def read(self, name: str, text: str) -> Any:
        """Return the value that is typed as `text`."""
        return self.check(name, text)

    def plain(self, name: str, value: Any) -> Any:
        """Return the value of plain data, from JSON or TOML, in its normal form."""
        if not self.fits(value):
            raise InvalidValueError(name, value, self.words)
        if isinstance(value, str):
            require_printable(name, value)
        return self.check(name, value)

    def schema(self) -> dict[str, Any]:
        """Return the JSON schema of plain values."""
        return {"type": "string"}

    def names(self) -> Collection[str]:
        """Return the names that a value may have, for completion; empty if there is no list."""
        return ()

    def fits(self, value: Any) -> bool:
        """Return whether plain data have this kind, within bounds or not."""
        return isinstance(value, str)


class Whole(Kind):
    """A whole number from `low` to `high`: 64, 1e3, 2**10."""

    name = "whole number"
    words = "a whole number of at most 64 bits"

    def __init__(self, low: int, high: int) -> None:
        self.low, self.high = low, high

    def check(self, name: str, value: Any) -> int:
        """See Kind."""
        return integer(name, value, self.low, self.high)

    def read(self, name: str, text: str) -> int:
        """See Kind."""
        return self.check(name, whole(name, text))

    def plain(self, name: str, value: Any) -> Any:
        """See Kind. 1e3 is 1000, as it is where it is typed."""
        return super().plain(name, without_fraction(value))

    def schema(self) -> dict[str, Any]:
        """See Kind."""
        return {"type": "integer", "minimum": self.low, "maximum": self.high}

    def fits(self, value: Any) -> bool:
        """See Kind."""
        return type(value) is int and abs(value) <= MAX_INTEGER


class Real(Kind):
    """A finite number from `low` to `high`: 1.5, 1e-3, 2/3, sqrt(2)."""

    name = "number"
    words = "a finite number"

    def __init__(self, low: float = -MAX_SCALE, high: float = MAX_SCALE) -> None:
        self.low, self.high = low, high

    def check(self, name: str, value: Any) -> float:
        """See Kind."""
        return number(name, value, self.low, self.high)

    def read(self, name: str, text: str) -> float:
        """See Kind."""
        return self.check(name, real(name, text))

    def schema(self) -> dict[str, Any]:
        """See Kind."""
        return {"type": "number", "minimum": self.low, "maximum": self.high}

    def fits(self, value: Any) -> bool:
        """See Kind."""
        if isinstance(value, float):
            return math.isfinite(value)
        return type(value) is int and abs(value) <= MAX_INTEGER


class Name(Kind):
    """A name of a table in any case, or an alias of one."""

    name = "name"

    def __init__(self, names: Collection[str], aliases: Mapping[str, str] = NO_ALIASES) -> None:
        self.table, self.aliases = tuple(names), aliases

    def check(self, name: str, value: Any) -> str:
        """See Kind."""
        return known(name, value, self.table, self.aliases)

    def schema(self) -> dict[str, Any]:
        """See Kind."""
        return {"enum": list(self.table)}

    def names(self) -> Collection[str]:
        """See Kind."""
        return self.table


class Flag(Kind):
    """Yes or no."""

    name = "flag"
    words = "true or false"

    def check(self, name: str, value: Any) -> bool:  # noqa: ARG002  # see Kind
        """See Kind."""
        return bool(value)

    def schema(self) -> dict[str, Any]:
        """See Kind."""
        return {"type": "boolean"}

    def fits(self, value: Any) -> bool:
        """See Kind."""
        return isinstance(value, bool)


class File(Kind):
    """The name of a file, or one of the reserved `words`."""

    name = "file"

    def __init__(self, *words: str) -> None:
        self.reserved = words
        self.words = ", ".join(words) + " or a file name" if words else "a file name"

    def check(self, name: str, value: Any) -> Any:
        """See Kind. A near miss of a reserved word that names no file is an error."""
        if not isinstance(value, str) or value in self.reserved or os.path.lexists(value):
            return value
        word = value.strip().lower()
        if word in self.reserved:
            return word
        near = get_close_matches(word, self.reserved, n=1)
        if near:
            raise InvalidValueError(name, value, self.words, f"did you mean {near[0]!r}?")
        return value

    def names(self) -> Collection[str]:
        """See Kind."""
        return self.reserved


class Parameters(Kind):
    """Values by name: true, false, numbers and texts."""

    name = "parameters"
    words = "a table of numbers, texts, true and false, such as { width = 512 }"

    def schema(self) -> dict[str, Any]:
        """See Kind."""
        return {"type": "object", "additionalProperties": {"type": ["boolean", "number", "string"]}}

    def fits(self, value: Any) -> bool:
        """See Kind."""
        if not isinstance(value, dict):
            return False
        return all(isinstance(entry, bool | int | float | str) for entry in value.values())


class Texts(Kind):
    """A list of strings."""

    words = "a list of strings"

    def plain(self, name: str, value: Any) -> tuple[str, ...]:
        """See Kind."""
        if not isinstance(value, list) or not all(isinstance(entry, str) for entry in value):
            raise InvalidValueError(name, value, self.words)
        for text in value:
            require_printable(name, text)
        return tuple(value)

    def schema(self) -> dict[str, Any]:
        """See Kind."""
        return {"type": "array", "items": {"type": "string"}}


def without_fraction(value: Any) -> Any:
    """Return a float without a fraction as a whole number, and everything else as it is."""
    whole = isinstance(value, float) and value.is_integer() and abs(value) <= MAX_INTEGER
    return int(value) if whole else value


def require_printable(name: str, text: str) -> None:
    """Raise InvalidValueError for text that is empty, very long, or has control characters."""
    if not 0 < len(text) <= MAX_TEXT or any(ord(c) < 32 or 127 <= ord(c) < 160 for c in text):
        bound = f"text of 1 to {MAX_TEXT} characters, none of them a control character"
        raise InvalidValueError(name, text, bound)
