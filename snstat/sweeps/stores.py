"""Which store a file of a sweep is, by its name."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import PurePath

from snstat.errors import InvalidValueError
from snstat.sweeps.store import MemoryStore, Store

CSV = ".csv"
SUFFIXES = (CSV,)


def opened(path: str | os.PathLike[str] | None, columns: Sequence[str]) -> Store:
    """Return the store at `path`, None for one in memory; use it within a lock.

    Raises InvalidValueError for a file of another format.
    """
    if path is None:
        return MemoryStore(columns)
    require_format(path)
    from snstat.sweeps.csv_store import CsvStore

    return CsvStore(os.fspath(path), columns)


def require_format(path: str | os.PathLike[str]) -> None:
    """Raise InvalidValueError unless the file's name is that of a format that sweeps write."""
    suffix = PurePath(os.fspath(path)).suffix.lower()
    if suffix not in SUFFIXES:
        raise InvalidValueError("output", os.fspath(path), f"named {' or '.join(SUFFIXES)}")
