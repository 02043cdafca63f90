"""A sweep as a TOML file: [sweep], [run] and [grid]."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from snstat.disk.toml_file import TomlFile
from snstat.errors import InputFileError, InvalidValueError, SnstatError, UnknownNameError, quoted
from snstat.network.run_settings import DRAWN
from snstat.sweeps.subject import SweepSubject
from snstat.sweeps.values import ROWS, SEEDS, THREADS, listed_values
from snstat.values.kinds import File, Flag, Kind, Texts

SWEEP, RUN, GRID = TABLES = ("sweep", "run", "grid")


class _Groups(Kind):
    """Groups of names: [["width", "batch"]]."""

    words = 'a list of lists of names, such as [["width", "batch"]]'

    def plain(self, name: str, value: Any) -> list[tuple[str, ...]]:
        """See Kind."""
        if not isinstance(value, list) or not all(isinstance(group, list) for group in value):
            raise InvalidValueError(name, value, self.words)
        return [Texts().plain(name, group) for group in value]


# The keys of [sweep], and those of [run] that name the subject.
KEYS: Mapping[str, Kind] = {
    "output": File(),
    "theory": Flag(),
    "layers": ROWS,
    "threads": THREADS,
    "seeds": SEEDS,
    "zip": _Groups(),
}
NETWORK, TRACE, SET = "network", "trace", "set"


@dataclass(frozen=True)
class SweepFile:
    """What a file asks for, as a command line would: see `Sweeping`."""

    subject: SweepSubject
    options: Mapping[str, Any] = field(default_factory=dict)
    set: Mapping[str, Any] = field(default_factory=dict)
    grid: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)


def is_sweep(root: Mapping[str, Any]) -> bool:
    """Return whether the content of a TOML file is that of a sweep, and not of a network."""
    return "layers" not in root and any(name in root for name in TABLES)


def sweep_of_file(file: TomlFile) -> SweepFile:
    """Return the sweep that a file describes. Files it names are beside it.

    Raises InputFileError for keys, tables and values that no sweep has.
    """
    try:
        return _read(file)
    except InputFileError:
        raise
    except SnstatError as error:
        raise InputFileError(file.path, str(error)) from None


def _read(file: TomlFile) -> SweepFile:
    for name, value in file.root.items():
        if name not in TABLES:
            raise UnknownNameError("table", name, TABLES)
        if not isinstance(value, dict):
            raise InputFileError(file.path, f"{name} is {quoted(value)}, but must be a table")
    settings = {}
    for key, value in file.root.get(SWEEP, {}).items():
        if key not in KEYS:
            raise UnknownNameError(f"key of [{SWEEP}]", key, KEYS)
        settings[key] = KEYS[key].plain(key, value)
    run = dict(file.root.get(RUN, {}))
    named = [key for key in (NETWORK, TRACE) if key in run]
    if len(named) > 1:
        raise InputFileError(file.path, f"[{RUN}] names a {NETWORK} and a {TRACE}", "leave one out")
    folder = file.path.parent
    given = run.pop(named[0]) if named else None
    if named == [NETWORK] and isinstance(given, str):
        given = os.fspath(folder / given)
    subject = SweepSubject.of(given)
    changes = run.pop(SET, {})
    if not isinstance(changes, dict):
        raise InputFileError(file.path, f"{SET} is {quoted(changes)}, but must be a table")
    for key in changes:
        subject.named(key, f"key of {SET} in [{RUN}]")
    grid = file.root.get(GRID, {})
    for key, values in grid.items():
        own, kind = subject.named(key, f"key of [{GRID}]")
        listed_values(f"{own} in [{GRID}]", values, kind)
    options = {}
    for key, value in run.items():
        own, kind = subject.named(key, f"key of [{RUN}]")
        if kind is None:
            raise UnknownNameError(f"key of [{RUN}]", key, subject.options)
        options[own] = _beside(folder, own, kind.plain(own, value))
    if "output" in settings:
        settings["output"] = os.fspath(folder / settings["output"])
    return SweepFile(subject, options, changes, grid, settings)


def _beside(folder: Path, name: str, value: Any) -> Any:
    """Return the name of a file of data from the folder of the sweep's file."""
    if name == "inputs" and isinstance(value, str) and value not in DRAWN:
        return os.fspath(folder / value)
    return value
