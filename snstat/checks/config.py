"""The configuration of `snstat check`: named checks in pyproject.toml or snstat.toml.

In pyproject.toml the section is `[tool.snstat.check]`, in any other file `[check]`. Its own keys
are defaults for all checks; each table in it is a check, named by its key, whose keys override
them. A section without tables is one check, called "default". No check may have the name of a key.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from snstat.checks.config_keys import KEYS, dashed, read_options, shown, unknown_key
from snstat.disk.toml_file import TomlFile
from snstat.errors import InputFileError, SnstatError
from snstat.network.settings import NetworkSettings
from snstat.results import DEFAULT_NAME, Source
from snstat.values.option import options_of

__all__ = ["KEYS", "Declared", "find_config", "load_config", "located"]

PYPROJECT, OWN = "pyproject.toml", "snstat.toml"
MAX_CHECKS = 1000
# Keys that exclude each other: a check's own key replaces the other key in the defaults.
CONTRADICT = (
    ("weight_gain", "weight_std"),
    ("widths", "depth"),
    ("widths", "width"),
    *(("network", name) for name in options_of(NetworkSettings)),
    ("module", "network"),
    *(("module", name) for name in options_of(NetworkSettings)),
)
MAX_NAME = 100


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
    `.git`) or of the file system. It is named relative to a relative `folder`.

    Raises InputFileError where both files have one, and for anything of these names on the way that
    cannot be read: damaged, no plain file, a link to nothing.
    """
    start = Path(folder)
    try:
        real = start.resolve()
    except (OSError, RuntimeError, ValueError) as error:  # it is gone, or a loop of links
        raise InputFileError(repr(os.fspath(folder)), f"is no folder ({error})") from None
    above = real.parents if start.is_absolute() else [start / up for up in _upward(real)]
    for place in (start, *above):
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


def _upward(folder: Path) -> Iterator[Path]:
    """Yield "..", "../..", as far as there are folders above."""
    for number in range(1, len(folder.parents) + 1):
        yield Path(*[os.pardir] * number)


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
    return InputFileError(f"{source.path}:{source.line}", f"check {name!r}: {error.told(_key)}")


def overridden(defaults: dict[str, Any], own: dict[str, Any]) -> dict[str, Any]:
    """Return `defaults` with the keys of a check, which also replace those that would contradict
    them."""
    replaced = {one for pair in CONTRADICT for one, other in (pair, pair[::-1]) if other in own}
    return {key: value for key, value in defaults.items() if key not in replaced} | own


def _key(name: str) -> str:
    """Return an argument as the configuration spells it, if it is one of its keys."""
    return dashed(name) if dashed(name) in KEYS else name


def _declares_checks(path: Path) -> bool:
    # A broken link is an error, not a missing configuration, so whatever exists is read.
    # os.path.lexists is False, not an error, where a folder may not be searched.
    return os.path.lexists(path) and _Section.read(path) is not None


def _place(path: Path) -> tuple[str, ...]:
    """Return the keys that lead to the section in the file at `path`."""
    return ("tool", "snstat", "check") if path.name == PYPROJECT else ("check",)


class _Section(NamedTuple):
    """The section for checks of one file."""

    file: TomlFile
    keys: tuple[str, ...]  # that lead to it
    table: dict[str, Any]

    @classmethod
    def read(cls, path: Path) -> _Section | None:
        """Return the section of the file at `path`, None if it has none."""
        file, keys = TomlFile.read(path), _place(path)
        header = f"[{'.'.join(keys)}]"
        table: Any = file.root
        for depth, key in enumerate(keys, start=1):
            # What stands beside the section is ours too, but for other tools' tables.
            for other in table if depth == len(keys) else ():
                if other != key:
                    place = _named(file, keys[: depth - 1])
                    raise unknown_key(place, other, [key], f"checks go under {header}")
            if key not in table:
                return None
            table = table[key]
            if not isinstance(table, dict):
                reason = f"{key} is {shown(table)}, but must be a table"
                raise InputFileError(_named(file, keys[:depth]), reason, f"write {header}")
        return cls(file, keys, table)

    def checks(self) -> Iterator[Declared]:
        """Yield the checks."""
        tables = {
            key: value
            for key, value in self.table.items()
            if isinstance(value, dict) and dashed(key) not in KEYS
        }
        own = {key: value for key, value in self.table.items() if key not in tables}
        defaults = self._options(self.keys, own)
        if len(tables) > MAX_CHECKS:
            raise InputFileError(
                _named(self.file, self.keys),
                f"declares {len(tables)} checks",
                f"declare at most {MAX_CHECKS}",
            )
        if not tables:
            yield Declared(DEFAULT_NAME, MappingProxyType(defaults), self._declared_at(self.keys))
        for name, table in tables.items():
            keys = (*self.keys, name)
            if not (name.strip() and len(name) <= MAX_NAME and name.isprintable()):
                raise InputFileError(
                    _named(self.file, self.keys),
                    f"a check is called {shown(name)}",
                    f"a name has 1 to {MAX_NAME} printable characters",
                )
            options = overridden(defaults, self._options(keys, table))
            yield Declared(name, MappingProxyType(options), self._declared_at(keys))

    def _declared_at(self, keys: tuple[str, ...]) -> Source:
        return Source(str(self.file.path), self.file.line_of(keys))

    def _options(self, keys: tuple[str, ...], table: dict[str, Any]) -> dict[str, Any]:
        """Return the options that the `table` of these `keys` gives."""
        return read_options(table, _named(self.file, keys), self.file.path.parent)


def _named(file: TomlFile, keys: tuple[str, ...]) -> str:
    """Return the place of a table for a message: file, line of its header, and section."""
    place = f"{file.path}:{file.line_of(keys)}"
    return f"{place}: [{'.'.join(keys)}]" if keys else place
