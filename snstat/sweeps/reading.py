"""Tables of sweeps, read back from their files."""

from __future__ import annotations

import csv
import os
from collections.abc import Collection, Sequence
from pathlib import PurePath
from typing import Any

from snstat.errors import InputFileError
from snstat.results.sweep import Sweep, sweep_of, sweep_of_columns
from snstat.sweeps.stores import PARQUET
from snstat.sweeps.subject import FIXED

# Options of a stack whose default depends on others, such as that of its activation.
FOLLOWING = ("init", "last", "weight_gain", "bias_std")


def load_sweep(
    path: str | os.PathLike[str],
    *,
    over: Sequence[str] = (),
    statistics: Collection[str] | None = None,
) -> Sweep:
    """Return the table in the file at `path`, with all statistics or only some. Without `over`, the
    options that differ are those the cells are over.

    Raises InputFileError for a file that is not the table of a sweep.
    """
    if PurePath(os.fspath(path)).suffix.lower() == PARQUET:
        from snstat.sweeps.parquet_store import read_parquet

        names, columns = read_parquet(path, lambda names: _chosen(names, statistics))
        found = sweep_of_columns(names, columns, tuple(over))
    else:
        found = _read_csv(path, over, statistics)
    if over:
        return found
    differ = [name for name in found.options if _differs(found[name])]
    return Sweep(found.columns, tuple(_free(found, differ)))


def _free(found: Sweep, differ: Sequence[str]) -> list[str]:
    """Return the names, of those that `differ`, whose values do not follow from the others."""
    free = [name for name in differ if name not in FOLLOWING]
    for name in FOLLOWING:
        if name in differ and _combinations(found, [*free, name]) > _combinations(found, free):
            free.append(name)
    return [name for name in differ if name in free]


def _combinations(found: Sweep, names: Sequence[str]) -> int:
    """Return how many combinations of values the columns have."""
    rows = zip(*(map(str, found[name]) for name in names), strict=True)
    return max(len(set(rows)), 1)


def _chosen(names: Sequence[str], statistics: Collection[str] | None) -> list[int]:
    """Return the places of the columns to read: all that are no statistics, and `statistics`."""
    first = names.index("name")
    return [
        place
        for place, name in enumerate(names)
        if statistics is None
        or place <= first
        or name in FIXED
        or name.rpartition("_")[0] in statistics
    ]


def _read_csv(
    path: str | os.PathLike[str], over: Sequence[str], statistics: Collection[str] | None
) -> Sweep:
    try:
        with open(path, encoding="utf-8", newline="") as file:  # noqa: PTH123
            lines = csv.reader(file)
            names = next(lines, [])
            if names[:1] != ["cell"] or not set(FIXED) <= set(names):
                raise InputFileError(path, "is not the table of a sweep", "snstat sweep writes one")
            chosen = _chosen(names, statistics)
            # The last line may not be whole, of a sweep that goes on.
            rows = [[row[place] for place in chosen] for row in lines if len(row) == len(names)]
            return sweep_of(tuple(names[place] for place in chosen), rows, tuple(over))
    except FileNotFoundError:
        raise InputFileError(path, "no such file") from None
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputFileError(path, f"cannot be read ({error})") from None


def _differs(values: Any) -> bool:
    return len({str(value) for value in values}) > 1
