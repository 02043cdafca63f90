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
from snstat.sweeps.cell import SCHEMA, VERSION, Outcome
from snstat.sweeps.store import rows_of, summed_up

if TYPE_CHECKING:
    import pyarrow as pa

PARTS = ".parts"
_WORDS = ("cell", "name", "verdict", "error")
_COUNTS = ("layers", "layer")
_META = b"snstat.sweep"


def load_pyarrow() -> Any:
    """Return pyarrow.parquet. Raises SnstatError without it."""
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
        self.folder = Path(f"{path}{PARTS}")
        self._numbers = frozenset(self.columns[self.columns.index("name") + 1 : -2])
        self._number = 0
        known: set[str] = set()
        try:
            for part in self._files():
                known |= self._keys(part)
            self.folder.mkdir(exist_ok=True)
            for leftover in self.folder.glob(".*"):  # of a process that was killed
                leftover.unlink()
        except OSError as error:
            raise writing_error(path, error) from None
        self.done = frozenset(known)

    def _files(self) -> list[Path]:
        """Return the file, if there is one, and the parts in their order."""
        whole = Path(self.path)
        parts = sorted(self.folder.glob("part-*.parquet")) if self.folder.is_dir() else []
        if parts:
            self._number = 1 + int(parts[-1].stem.rpartition("-")[2])
        return [*([whole] if whole.exists() else []), *parts]

    def _keys(self, part: Path) -> set[str]:
        """Return the cells of a file that did not fail.

        Raises InputFileError for a file that is no table of this sweep, or of another version.
        """
        try:
            file = self.pq.ParquetFile(part)
            found, meta = file.schema_arrow.names, file.schema_arrow.metadata or {}
            columns = file.read(columns=["cell", "error"]) if _META in meta else None
        except (self.pa.ArrowException, OSError, KeyError) as error:
            words = " ".join(str(error).split())
            raise InputFileError(
                part, f"is not a table of a sweep ({words})", "use another -o"
            ) from None
        if columns is None:
            raise InputFileError(part, "is not a table of a sweep", "use another -o")
        version = meta[_META].decode("utf-8", "replace").rpartition(" ")[2]
        if version != VERSION:
            reason = f"holds cells of snstat {version}, and this is {VERSION}"
            remedy = f"use another -o, or go on with: pip install 'snstat=={version}.*'"
            raise InputFileError(part, reason, remedy)
        if set(found) != set(self.columns):
            names = ", ".join(sorted(set(found) ^ set(self.columns)))
            reason = f"holds a sweep with other columns ({names})"
            raise InputFileError(part, reason, "use another -o, or remove the file")
        cells, errors = (columns[name].to_pylist() for name in ("cell", "error"))
        return {cell for cell, error in zip(cells, errors, strict=True) if not error}

    def write(self, outcomes: Sequence[Outcome]) -> None:
        """Add a part with some cells, and wait until it is on the disk. Raises OutputFileError."""
        rows = [row for outcome in outcomes for row in rows_of(outcome, self.columns)]
        target = self.folder / f"part-{self._number:06}.parquet"
        with whole_file(target, binary=True) as file:
            self.pq.write_table(self._table(rows), file)
            file.flush()
            os.fsync(file.fileno())
        self._number += 1

    def _table(self, rows: Sequence[Sequence[Any]]) -> pa.Table:
        """Return rows as a table. Options are numbers if all of their values are, else texts."""
        arrays = []
        for name, values in zip(self.columns, zip(*rows, strict=True), strict=True):
            arrays.append(
                self.pa.array([_plain(value) for value in values], self._type(name, values))
            )
        return self.pa.table(arrays, schema=self._schema([array.type for array in arrays]))

    def _schema(self, types: Sequence[Any]) -> pa.Schema:
        fields = list(zip(self.columns, types, strict=True))
        return self.pa.schema(fields, metadata={_META: f"{SCHEMA} {VERSION}".encode()})

    def _type(self, name: str, values: Sequence[Any]) -> Any:
        if name in _WORDS:
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
        if all(isinstance(value, int) and value >= 0 for value in there):
            return self.pa.uint64()
        if all(isinstance(value, int | float) for value in there):
            return self.pa.float64()
        return self.pa.string()

    def _all(self) -> pa.Table | None:
        """Return the rows of all files, None without any."""
        tables = [self.pq.read_table(part) for part in self._files()]
        if not tables:
            return None
        return self.pa.concat_tables(tables, promote_options="permissive")

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
        if len(self._files()) == 1 and rows == list(range(len(cells))):
            shutil.rmtree(self.folder, ignore_errors=True)
            if Path(self.path).exists():
                return
        meta = {_META: f"{SCHEMA} {VERSION}".encode()}
        table = table.take(rows).replace_schema_metadata(meta)
        with whole_file(self.path, binary=True) as file:
            self.pq.write_table(table, file)
            file.flush()
            os.fsync(file.fileno())
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
        return sum(self.pq.ParquetFile(part).metadata.num_rows for part in self._files())

    def close(self) -> None:
        """Remove an empty folder of parts."""
        if self.folder.is_dir() and not any(self.folder.iterdir()):
            self.folder.rmdir()


def _plain(value: Any) -> Any:
    return " ".join(map(str, value)) if isinstance(value, list | tuple) else value


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
