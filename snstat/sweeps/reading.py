"""Tables of sweeps, read back from their files."""

from __future__ import annotations

import csv
import os
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any

from snstat.errors import InputFileError
from snstat.results.sweep import Sweep, sweep_of

# Columns that every table has; the options stand between the first two.
_FIXED = ("cell", "layer", "name", "verdict", "error")


def read_table(
    names: Sequence[str], rows: Iterable[Sequence[Any]], over: Sequence[str] = ()
) -> Sweep:
    """Return the table of `rows`."""
    return sweep_of(tuple(names), list(rows), tuple(over))


def load_sweep(
    path: str | os.PathLike[str],
    *,
    over: Sequence[str] = (),
    columns: Collection[str] | None = None,
    last: bool = False,
) -> Sweep:
    """Return the table in the file at `path`: all of it, or some `columns`, or only the `last` row
    of every cell. Without `over`, the options that differ are those the cells are over.

    Raises InputFileError for a file that is not the table of a sweep.
    """
    try:
        with open(path, encoding="utf-8", newline="") as file:  # noqa: PTH123
            lines = csv.reader(file)
            names = next(lines, [])
            if names[:1] != ["cell"] or not set(_FIXED) <= set(names):
                raise InputFileError(path, "is not the table of a sweep", "see snstat sweep --help")
            chosen = [
                place
                for place, name in enumerate(names)
                if columns is None or name in columns or name in _FIXED
            ]
            rows = _last(lines, names) if last else _whole(lines, names)
            found = sweep_of(
                tuple(names[place] for place in chosen),
                [[row[place] for place in chosen] for row in rows],
                tuple(over),
            )
    except FileNotFoundError:
        raise InputFileError(path, "no such file") from None
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputFileError(path, f"cannot be read ({error})") from None
    if over:
        return found
    options = names[1 : names.index("layer")]
    differ = [name for name in options if name in found.columns and _differs(found[name])]
    return Sweep(found.columns, tuple(differ), partial=found.partial)


def _differs(values: Any) -> bool:
    return len({str(value) for value in values}) > 1


def _whole(lines: Iterable[list[str]], names: Sequence[str]) -> Iterator[list[str]]:
    """Yield the lines that are whole: the last one may not be, of a sweep that goes on."""
    return (line for line in lines if len(line) == len(names))


def _last(lines: Iterable[list[str]], names: Sequence[str]) -> Iterator[list[str]]:
    """Yield the last line of each cell."""
    before: list[str] | None = None
    for line in _whole(lines, names):
        if before is not None and before[0] != line[0]:
            yield before
        before = line
    if before is not None:
        yield before
