"""Which store a file of a sweep is, by its name."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import PurePath

from snstat.errors import InputFileError, InvalidValueError
from snstat.sweeps.store import MemoryStore, Store

CSV, PARQUET = SUFFIXES = (".csv", ".parquet")


def opened(path: str | os.PathLike[str] | None, columns: Sequence[str]) -> Store:
    """Return the store at `path`, None for one in memory; use it within a lock.

    Raises InvalidValueError for a file of another format.
    """
    if path is None:
        return MemoryStore(columns)
    if require_format(path) == PARQUET:
        from snstat.sweeps.parquet_store import ParquetStore

        return ParquetStore(os.fspath(path), columns)
    from snstat.sweeps.csv_store import CsvStore

    return CsvStore(os.fspath(path), columns)


def done_in(path: str | os.PathLike[str], columns: Sequence[str]) -> frozenset[str]:
    """Return the keys of the cells that the file at `path` has, as its store would; nothing is
    written. Raises SnstatError as the store does."""
    name = os.fspath(path)
    try:
        if require_format(path) == PARQUET:
            from snstat.sweeps.parquet_store import keys_in

            return keys_in(name, columns)
        from snstat.sweeps.csv_blocks import blocks_of

        return frozenset(blocks_of(name, columns)[0])
    except OSError as error:
        raise InputFileError(name, f"cannot be read ({error.strerror})") from None


def require_format(path: str | os.PathLike[str]) -> str:
    """Return the suffix of a file, which names its format.

    Raises InvalidValueError for a format that sweeps do not write, and SnstatError where its
    package is missing.
    """
    suffix = PurePath(os.fspath(path)).suffix.lower()
    if suffix not in SUFFIXES:
        raise InvalidValueError("output", os.fspath(path), f"named {' or '.join(SUFFIXES)}")
    if suffix == PARQUET:
        from snstat.sweeps.parquet_store import load_pyarrow

        load_pyarrow()
    return suffix
