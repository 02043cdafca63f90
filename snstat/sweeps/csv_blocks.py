"""The cells of a sweep in a file of CSV: which are whole, and where their lines are."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from snstat.errors import OutputFileError
from snstat.sweeps.store import require_columns, require_version
from snstat.sweeps.text import csv_row


@dataclass(slots=True)
class Block:
    """Where the lines of a cell are in the file: from byte `first` to `end`, the last of them from
    `last` on."""

    key: str
    first: int
    last: int
    end: int


def blocks_of(path: str, columns: Sequence[str]) -> tuple[dict[str, Block], bool]:
    """Return the cells of a file that are whole and did not fail, by their keys, and whether it has
    anything else. A file that is missing or empty has none.

    Raises OutputFileError for what is no table of a sweep, InputFileError for one with other
    columns or of another version, and OSError for a file that cannot be read.
    """
    kept: dict[str, Block] = {}
    dropped = False
    if not Path(path).exists() or Path(path).stat().st_size == 0:
        return kept, dropped

    def keep(block: Block, last_line: bytes) -> bool:
        """Add a block unless its cell failed, or is there twice; return whether it was added."""
        failed = not last_line.rstrip(b"\r\n").endswith(b",") or block.key in kept
        if not failed:
            kept[block.key] = block
        return not failed

    with open(path, "rb") as file:  # noqa: PTH123
        first = file.readline()
        _require_header(path, first, csv_row(columns).encode())
        position, block, whole = len(first), None, True
        last_line = b""
        for line in file:
            key, _, _ = line.partition(b",")
            name = key.decode("ascii", "replace")
            if block is None or block.key != name:
                if block is not None:
                    dropped |= not keep(block, last_line)
                block = Block(name, position, position, position)
            block.last, position = position, position + len(line)
            block.end, last_line = position, line
            whole = line.endswith(b"\n")
        if block is not None:
            complete = whole and _is_whole(last_line, columns)
            dropped |= not (complete and keep(block, last_line))
    for name in kept:
        require_version(path, name.partition("-")[0])
    return kept, dropped


def _is_whole(line: bytes, columns: Sequence[str]) -> bool:
    """Return whether a line is the last one of its cell: that of its last layer, or of an error."""
    try:
        (cells,) = csv.reader([line.decode("utf-8", "replace")])
    except (csv.Error, ValueError):
        return False
    if len(cells) != len(columns):
        return False
    row = dict(zip(columns, cells, strict=True))
    return bool(row["error"]) or (row["layer"] != "" and row["layer"] == row["layers"])


def _require_header(path: str, first: bytes, header: bytes) -> None:
    """Raise OutputFileError or InputFileError for a file with another first line."""
    if first == header:
        return
    if not first.startswith(b"cell,"):
        reason = "exists and is not a table of a sweep"
        raise OutputFileError(path, reason, "use another -o")
    own, other = (line.decode("utf-8", "replace").strip().split(",") for line in (header, first))
    require_columns(path, own, other)
