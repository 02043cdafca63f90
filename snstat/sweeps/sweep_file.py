"""A sweep as a TOML file: [sweep], [run] and [grid]."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from snstat.disk.toml_file import TomlFile
from snstat.errors import InputFileError, SnstatError, UnknownNameError, quoted
from snstat.sweeps.subject import SweepSubject

SWEEP, RUN, GRID = TABLES = ("sweep", "run", "grid")
# The keys of [sweep], and those of [run] that name the subject.
KEYS = ("output", "theory", "layers", "threads", "seeds", "zip")
NETWORK, TRACE, SET = "network", "trace", "set"


@dataclass(frozen=True)
class SweepFile:
    """What a file asks for, as a command line would: see `Sweeping`."""

    subject: SweepSubject
    options: Mapping[str, Any]
    set: Mapping[str, Any]
    grid: Mapping[str, Any]
    settings: Mapping[str, Any] = field(default_factory=dict)


def is_sweep(root: Mapping[str, Any]) -> bool:
    """Return whether the content of a TOML file is that of a sweep, and not of a network."""
    return "layers" not in root and any(name in root for name in TABLES)


def read_sweep_file(path: str | os.PathLike[str]) -> SweepFile:
    """Return the sweep that the file at `path` describes. Files it names are beside it.

    Raises InputFileError for keys, tables and values that no sweep has.
    """
    file = TomlFile.read(path)
    try:
        return _read(file)
    except InputFileError:
        raise
    except SnstatError as error:
        raise InputFileError(os.fspath(path), str(error)) from None


def _read(file: TomlFile) -> SweepFile:
    for name, value in file.root.items():
        if name not in TABLES:
            raise UnknownNameError("table", name, TABLES)
        if not isinstance(value, dict):
            raise InputFileError(file.path, f"{name} is {quoted(value)}, but must be a table")
    settings = file.root.get(SWEEP, {})
    for key in settings:
        if key not in KEYS:
            raise UnknownNameError(f"key of [{SWEEP}]", key, KEYS)
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
    options = {}
    for key, value in run.items():
        own, kind = subject.named(key)
        if kind is None:
            raise UnknownNameError(f"key of [{RUN}]", key, subject.options)
        options[own] = _beside(folder, own, kind.plain(own, value))
    settings = dict(settings)
    if isinstance(settings.get("output"), str):
        settings["output"] = os.fspath(folder / settings["output"])
    return SweepFile(subject, options, changes, file.root.get(GRID, {}), settings)


def _beside(folder: Path, name: str, value: Any) -> Any:
    """Return the name of a file of data from the folder of the sweep's file."""
    if name == "inputs" and isinstance(value, str) and value not in ("normal", "uniform"):
        return os.fspath(folder / value)
    return value
