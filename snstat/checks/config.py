"""The configuration of `snstat check`: named checks in pyproject.toml or snstat.toml.

In pyproject.toml the section is `[tool.snstat.check]`, in any other file `[check]`. Its own keys
are defaults for all checks; each table in it is a check, named by its key, whose keys override
them. A section without tables is one check, called "default".
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from snstat.checks.toml_file import TomlFile
from snstat.checks.toml_lines import Lines
from snstat.errors import InputFileError, SnstatError, UnknownNameError
from snstat.results import Source

PYPROJECT, OWN = "pyproject.toml", "snstat.toml"
DEFAULT_NAME = "default"
MAX_CHECKS = 1000
MAX_NAME = 100
MAX_TEXT = 4096
_SOUND_TEXT = re.compile(rf"[^\x00-\x1f\x7f-\x9f]{{1,{MAX_TEXT}}}")
# TOML promises 64 bits; seeds go to the end of the unsigned ones.
MAX_INTEGER = 2**64 - 1
# Values of `inputs` that are not files.
DRAWN_INPUTS = ("normal", "uniform")


class Kind(Enum):
    """What the value of a key must be, in words."""

    TEXT = "a string"
    INTEGER = "a whole number of at most 64 bits"
    NUMBER = "a finite number"
    FLAG = "true or false"
    TEXTS = "a list of strings"
    FILE = "a file name"
    INPUTS = "normal, uniform or a file name"


KEYS: Mapping[str, Kind] = MappingProxyType(
    {
        # The stack, and how it is sampled.
        "activation": Kind.TEXT,
        "depth": Kind.INTEGER,
        "width": Kind.INTEGER,
        "init": Kind.TEXT,
        "weight-gain": Kind.NUMBER,
        "bias-std": Kind.NUMBER,
        "batch": Kind.INTEGER,
        "trials": Kind.INTEGER,
        "inputs": Kind.INPUTS,
        "input-mean": Kind.NUMBER,
        "input-std": Kind.NUMBER,
        "seed": Kind.INTEGER,
        "dtype": Kind.TEXT,
        "sampler": Kind.TEXT,
        "backward": Kind.FLAG,
        "threads": Kind.INTEGER,
        # Rules and their bounds.
        "select": Kind.TEXTS,
        "ignore": Kind.TEXTS,
        "number-format": Kind.TEXT,
        "depth-limit": Kind.INTEGER,
        "second-moment-min": Kind.NUMBER,
        "second-moment-max": Kind.NUMBER,
        "target-mean": Kind.NUMBER,
        "target-variance": Kind.NUMBER,
        "target-tolerance": Kind.NUMBER,
        "target-layer": Kind.INTEGER,
        "gradient-decades": Kind.NUMBER,
        "cosine-max": Kind.NUMBER,
        "separation-max": Kind.NUMBER,
        "dead-max": Kind.NUMBER,
        "saturated-max": Kind.NUMBER,
        "fluctuation-max": Kind.NUMBER,
        # What the stack is compared with.
        "baseline": Kind.FILE,
        "same-seed": Kind.FLAG,
        "min-effect": Kind.NUMBER,
    }
)


@dataclass(frozen=True, slots=True)
class Declared:
    """A check as its file declares it.

    `options` maps keys of KEYS, with underscores, to values of their kind: defaults of the section
    included, lists as tuples, files relative to the configuration joined to its folder. Whether
    values are within their bounds is for those to say who take them (see `located`).
    """

    name: str
    options: Mapping[str, Any]
    source: Source


def find_config(folder: str | os.PathLike[str]) -> Path | None:
    """Return the configuration of `folder`, None where there is none.

    That is the first of this folder and its parents which has a section for checks in a
    pyproject.toml or a snstat.toml; the search ends with the root of a repository (a folder with a
    `.git`) or of the file system. A file in `folder` itself is named relative to it.

    Raises InputFileError where both files have one, and for a file on the way that is damaged.
    """
    start = Path(folder)
    try:
        parents = start.resolve().parents
    except (OSError, RuntimeError, ValueError) as error:  # it is gone, or a loop of links
        raise InputFileError(repr(os.fspath(folder)), f"is no folder ({error})") from None
    for place in (start, *parents):
        found = [path for path in (place / PYPROJECT, place / OWN) if _declares_checks(path)]
        if len(found) > 1:
            raise InputFileError(
                found[0], f"declares checks, and so does {found[1]}", "keep them in one of the two"
            )
        if found:
            return found[0]
        if os.path.lexists(place / ".git"):
            return None
    return None


def load_config(path: str | os.PathLike[str]) -> list[Declared]:
    """Return the checks that the file at `path` declares, in its order.

    Raises InputFileError for a file that cannot be read or has no section for checks, for a key
    that is unknown or given twice, and for a value that is not of its kind.
    """
    config = _Section.read(Path(path))
    if config is None:
        raise InputFileError(
            os.fspath(path), f"has no [{'.'.join(_place(Path(path)))}]", "declare a check there"
        )
    return list(config.checks())


def located(source: Source, name: str, error: SnstatError) -> InputFileError:
    """Return `error` of the check called `name` with the place where it was declared."""
    return InputFileError(f"{source.path}:{source.line}", f"check {name!r}: {error}")


def _declares_checks(path: Path) -> bool:
    # os.path.isfile is False, not an error, where a folder may not be searched.
    return os.path.isfile(path) and _Section.read(path) is not None  # noqa: PTH113


def _place(path: Path) -> tuple[str, ...]:
    """Return the keys that lead to the section in the file at `path`."""
    return ("tool", "snstat", "check") if path.name == PYPROJECT else ("check",)


class _Section(NamedTuple):
    """The section for checks of one file."""

    path: Path
    keys: tuple[str, ...]  # that lead to it
    table: dict[str, Any]
    lines: Lines

    @classmethod
    def read(cls, path: Path) -> _Section | None:
        """Return the section of the file at `path`, None if it has none."""
        file = TomlFile.read(path)
        keys = _place(path)
        lines = file.lines(keys[:-1])
        table: Any = file.root
        for depth, key in enumerate(keys, start=1):
            # What stands beside the section is ours too, but for other tools' tables.
            for other in table if depth == len(keys) else ():
                if other != key:
                    place = f"{path}:{lines.of((*keys[:-1], other))}"
                    raise _unknown(place, other, [key], f"checks go under [{'.'.join(keys)}]")
            if key not in table:
                return None
            table = table[key]
            if not isinstance(table, dict):
                raise InputFileError(
                    f"{path}:{lines.of(keys[:depth])}",
                    f"{key} is {_shown(table)}, but must be a table",
                    f"write [{'.'.join(keys)}]",
                )
        return cls(path, keys, table, lines)

    def checks(self) -> Iterator[Declared]:
        """Yield the checks."""
        tables = {
            key: value
            for key, value in self.table.items()
            if isinstance(value, dict) and _dashed(key) not in KEYS
        }
        own = {key: value for key, value in self.table.items() if key not in tables}
        defaults = self._options((), own)
        if len(tables) > MAX_CHECKS:
            line = self.lines.of((*self.keys, list(tables)[MAX_CHECKS]))
            raise InputFileError(
                f"{self.path}:{line}", f"check number {MAX_CHECKS + 1}", f"declare {MAX_CHECKS}"
            )
        if not tables:
            source = Source(str(self.path), self.lines.of(self.keys))
            yield Declared(DEFAULT_NAME, MappingProxyType(defaults), source)
        for name, table in tables.items():
            source = Source(str(self.path), self.lines.of((*self.keys, name)))
            _require_name(source, name)
            options = defaults | self._options((name,), table)
            yield Declared(name, MappingProxyType(options), source)

    def _options(self, within: tuple[str, ...], table: dict[str, Any]) -> dict[str, Any]:
        """Return the options that `table` gives, the table of the check `within` names."""
        options: dict[str, Any] = {}
        for key, value in table.items():
            place = f"{self.path}:{self.lines.of((*self.keys, *within, key))}"
            kind = KEYS.get(_dashed(key))
            if kind is None:
                advice = ""
                if not within and isinstance(value, list) and value and isinstance(value[0], dict):
                    advice = "a check is a table in single brackets"
                raise _unknown(place, key, KEYS, advice)
            option = key.replace("-", "_")
            if option in options:
                raise InputFileError(
                    place, f"{_dashed(key)} is given twice, with dashes and with underscores"
                )
            if not _fits(kind, value):
                raise InputFileError(place, f"{key} is {_shown(value)}, but must be {kind.value}")
            _require_sound_text(place, key, value)
            options[option] = self._converted(kind, value)
        return options

    def _converted(self, kind: Kind, value: Any) -> Any:
        if kind is Kind.NUMBER:
            return float(value)
        if kind is Kind.TEXTS:
            return tuple(value)
        if kind is Kind.FILE or (kind is Kind.INPUTS and value not in DRAWN_INPUTS):
            return str(self.path.parent / value)
        return value


def _fits(kind: Kind, value: object) -> bool:
    """Say whether `value` is of `kind`; true and false are no numbers."""
    if kind is Kind.FLAG:
        return isinstance(value, bool)
    if kind is Kind.INTEGER:
        return type(value) is int and abs(value) <= MAX_INTEGER
    if kind is Kind.NUMBER:
        if isinstance(value, float):
            return math.isfinite(value)
        return type(value) is int and abs(value) <= MAX_INTEGER
    if kind is Kind.TEXTS:
        return isinstance(value, list) and all(isinstance(entry, str) for entry in value)
    return isinstance(value, str)


def _require_sound_text(place: str, key: str, value: object) -> None:
    for text in value if isinstance(value, list) else [value]:
        if isinstance(text, str) and not _SOUND_TEXT.fullmatch(text):
            raise InputFileError(
                place,
                f"{key} holds {_shown(text)}, but a string here has"
                f" 1 to {MAX_TEXT} characters, none of them a control character",
            )


def _require_name(source: Source, name: str) -> None:
    if name.strip() and len(name) <= MAX_NAME and name.isprintable():
        return
    raise InputFileError(
        f"{source.path}:{source.line}",
        f"a check is called {_shown(name)}",
        f"a name has 1 to {MAX_NAME} printable characters",
    )


def _unknown(
    place: str, key: str, known: Mapping[str, Kind] | list[str], advice: str
) -> InputFileError:
    suggestions = UnknownNameError("key", _dashed(key), known).suggestions
    if suggestions:
        remedy = f"did you mean {suggestions[0]!r}?"
    else:
        remedy = advice or "valid keys are " + ", ".join(known)
    return InputFileError(place, f"unknown key {_shown(key)}", remedy)


def _dashed(key: str) -> str:
    return key.replace("_", "-")


def _shown(value: object) -> str:
    """Return `value` for a message, on one short line."""
    try:
        text = repr(value)
    except (ValueError, RecursionError):  # an integer of thousands of digits; a deep nest
        return f"a {type(value).__name__} too long to show"
    return text if len(text) <= 60 else f"{text[:40]}…{text[-19:]}"
