"""The outcomes of a sweep as Parquet: parts while it runs, one file in the end.

Parts stand in the folder FILE.parts and are renamed into place when they are on the disk, so each
is whole. When all is done they become the file, in the order of the grid, and the folder goes.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from snstat.disk.atomic import whole_file, writing_error
from snstat.errors import InputFileError, SnstatError
from snstat.results.sweep import WORDS, as_text
from snstat.sweeps.cell import SCHEMA, VERSION, Outcome
from snstat.sweeps.store import require_columns, require_version, rows_of, summed_up

if TYPE_CHECKING:
    import pyarrow as pa

PARTS = ".parts"
_COUNTS = ("layers", "layer")
# Whole numbers up to here are floats too.
_EXACT = 2**53
_META = b"snstat.sweep"
_OWN = {_META: f"{SCHEMA} {VERSION}".encode()}


def load_pyarrow() -> Any:
    """Return pyarrow and pyarrow.parquet. Raises SnstatError without it."""
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError:
        raise SnstatError(
            "Parquet needs pyarrow: pip install 'snstat[parquet]'; or use -o FILE.csv"
        ) from None
    return pa, pq


class ParquetStore:
    """The file at `path`, with the given `columns`; use it within a lock. See `CsvStore`."""

    def __init__(self, path: str, columns: Sequence[str]) -> None:
        self.pa, self.pq = load_pyarrow()
        self.path, self.columns = path, tuple(columns)
        self.folder = _folder(path)
        self._numbers = frozenset(self.columns[self.columns.index("name") + 1 : -2])
        try:
            self.done = keys_in(path, columns)
            parts = _parts(path)
            self._number = 1 + int(parts[-1].stem.rpartition("-")[2]) if parts else 0
            self.folder.mkdir(exist_ok=True)
            for leftover in self.folder.glob(".*"):  # of a process that was killed
                leftover.unlink()
        except OSError as error:
            raise writing_error(path, error) from None

    def write(self, outcomes: Sequence[Outcome]) -> None:
        """Add a part with some cells, and wait until it is on the disk. Raises OutputFileError."""
        rows = [row for outcome in outcomes for row in rows_of(outcome, self.columns)]
        target = self.folder / f"part-{self._number:06}.parquet"
        self._put(self._table(rows), target)
        self._number += 1

    def _put(self, table: pa.Table, path: str | Path) -> None:
        """Write a whole file, and wait until it is on the disk. Raises OutputFileError."""
        with whole_file(path, binary=True) as file:
            self.pq.write_table(table, file)
            file.flush()
            os.fsync(file.fileno())

    def _table(self, rows: Sequence[Sequence[Any]]) -> pa.Table:
        """Return rows as a table. Options are numbers if all of their values are, else texts."""
        columns = zip(self.columns, zip(*rows, strict=True), strict=True)
        arrays = [self._array(name, values) for name, values in columns]
        return self.pa.table(arrays, names=self.columns, metadata=_OWN)

    def _array(self, name: str, values: Sequence[Any]) -> pa.Array:
        kind = self._type(name, values)
        converts: dict[Any, Callable[[Any], Any]] = {
            self.pa.string(): as_text,
            self.pa.float64(): float,
        }
        if kind in converts:
            convert = converts[kind]
            values = [None if value is None else convert(value) for value in values]
        return self.pa.array(values, kind)

    def _type(self, name: str, values: Sequence[Any]) -> Any:
        if name in WORDS:
            return self.pa.string()
        if name in _COUNTS:
            return self.pa.int64()
        if name in self._numbers:
            return self.pa.float64()
        there = [value for value in values if value is not None]
        if not there:
            return self.pa.null()
        if all(isinstance(value, bool) for value in there):
            return self.pa.bool_()
        if any(isinstance(value, bool) or not isinstance(value, int | float) for value in there):
            return self.pa.string()
        whole = [value for value in there if isinstance(value, int)]
        low, high = min(whole, default=0), max(whole, default=0)
        if len(whole) < len(there):
            exact = low >= -_EXACT and high <= _EXACT
            return self.pa.float64() if exact else self.pa.string()
        if low >= 0:
            return self.pa.uint64() if high < 2**64 else self.pa.string()
        return self.pa.int64() if low >= -(2**63) and high < 2**63 else self.pa.string()

    def _all(self) -> pa.Table | None:
        """Return the rows of all files, None without any."""
        tables = [self.pq.read_table(part) for part in _files(self.path)]
        if not tables:
            return None
        columns = []
        for name in self.columns:
            found = [table[name] for table in tables]
            if len({column.type for column in found}) > 1:  # the kinds of values differ
                values = [value for column in found for value in column.to_pylist()]
                columns.append(self._array(name, values))
            else:
                chunks = [chunk for column in found for chunk in column.chunks]
                columns.append(self.pa.chunked_array(chunks, found[0].type))
        return self.pa.table(columns, names=self.columns)

    def finish(self, keys: Iterable[str]) -> None:
        """Make one file of the parts, with the cells `keys` in this order, before all others."""
        table = self._all()
        if table is None:
            return
        places: dict[str, list[int]] = {}
        cells, errors = (table[name].to_pylist() for name in ("cell", "error"))
        for row, cell in enumerate(cells):
            own = places.get(cell)
            if own is None or errors[own[0]]:  # what came later stands for what had failed
                places[cell] = [row]
            else:
                own.append(row)
        order = [key for key in dict.fromkeys(keys) if key in places]
        chosen = set(order)
        order += [key for key in places if key not in chosen]
        rows = [row for key in order for row in places[key]]
        if len(_files(self.path)) == 1 and rows == list(range(len(cells))):
            shutil.rmtree(self.folder, ignore_errors=True)
            if Path(self.path).exists():
                return
        self._put(table.take(rows).replace_schema_metadata(_OWN), self.path)
        shutil.rmtree(self.folder, ignore_errors=True)

    def ends(self, keys: Iterable[str]) -> Iterator[dict[str, Any]]:
        """See Store."""
        table = self._all()
        if table is None:
            return
        cells = table["cell"].to_pylist()
        first: dict[str, int] = {}
        last: dict[str, int] = {}
        for row, cell in enumerate(cells):
            first.setdefault(cell, row)
            last[cell] = row
        found = [key for key in keys if key in first]
        ends = (table.take([place[key] for key in found]).to_pylist() for place in (first, last))
        for before, after in zip(*ends, strict=True):
            yield summed_up(before, after)

    @property
    def rows(self) -> int:
        """The number of rows."""
        return sum(self.pq.ParquetFile(part).metadata.num_rows for part in _files(self.path))

    def close(self) -> None:
        """Remove an empty folder of parts."""
        if self.folder.is_dir() and not any(self.folder.iterdir()):
            self.folder.rmdir()


def keys_in(path: str, columns: Sequence[str]) -> frozenset[str]:
    """Return the cells of the file at `path` and of its parts that did not fail.

    Raises InputFileError for a file that is no table of this sweep, or of another version.
    """
    return frozenset(key for part in _files(path) for key in _keys(part, columns))


def _folder(path: str) -> Path:
    return Path(f"{path}{PARTS}")


def _parts(path: str) -> list[Path]:
    """Return the parts of the file at `path` in their order."""
    return sorted(_folder(path).glob("part-*.parquet"))


def _files(path: str) -> list[Path]:
    """Return the file, if there is one, and its parts."""
    whole = Path(path)
    return [*([whole] if whole.exists() else []), *_parts(path)]


def _keys(part: Path, columns: Sequence[str]) -> Iterator[str]:
    """Yield the cells of a file that did not fail. See `keys_in`."""
    pa, pq = load_pyarrow()
    try:
        file = pq.ParquetFile(part)
        found, meta = file.schema_arrow.names, file.schema_arrow.metadata or {}
        table = file.read(columns=["cell", "error"]) if _META in meta else None
    except (pa.ArrowException, OSError, KeyError) as error:
        words = " ".join(str(error).split())
        raise InputFileError(
            part, f"is not a table of a sweep ({words})", "use another -o"
        ) from None
    if table is None:
        raise InputFileError(part, "is not a table of a sweep", "use another -o")
    require_version(part, meta[_META].decode("utf-8", "replace").rpartition(" ")[2])
    if set(found) != set(columns):
        require_columns(part, columns, found)
    cells, errors = (table[name].to_pylist() for name in ("cell", "error"))
    yield from (cell for cell, error in zip(cells, errors, strict=True) if not error)


def read_parquet(
    path: str | os.PathLike[str], choose: Callable[[Sequence[str]], list[int]]
) -> tuple[tuple[str, ...], list[Any]]:
    """Return the names and the values of the columns that `choose` takes from the names of all.

    Raises InputFileError for a file that is no table of a sweep.
    """
    pa, pq = load_pyarrow()
    try:
        file = pq.ParquetFile(path)
        if _META not in (file.schema_arrow.metadata or {}):
            raise InputFileError(path, "is not the table of a sweep", "snstat sweep writes one")
        names = file.schema_arrow.names
        chosen = [names[place] for place in choose(names)]
        table = file.read(columns=chosen)
    except FileNotFoundError:
        raise InputFileError(path, "no such file") from None
    except (pa.ArrowException, OSError) as error:
        words = " ".join(str(error).split())
        raise InputFileError(path, f"cannot be read ({words})") from None
    return tuple(chosen), [table[name].to_pylist() for name in chosen]
