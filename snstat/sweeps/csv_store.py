"""The outcomes of a sweep in one file of CSV, which an interruption leaves in order.

Lines are appended, those of a cell together, and whatever is not whole at the end is cut off when
the sweep goes on. When all is done, the cells are put into the order of the grid.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import IO

from snstat.disk.atomic import whole_file, writing_error
from snstat.sweeps.cell import Outcome
from snstat.sweeps.csv_blocks import Block, blocks_of
from snstat.sweeps.store import summed_up
from snstat.sweeps.text import csv_row

# Bytes that are copied at once.
_BLOCK = 2**22


class CsvStore:
    """The file at `path`, with the given `columns`; use it within a lock.

    `done` holds the keys of the cells that the file had when it was opened; failed ones are taken
    out, so that they are tried again.
    """

    def __init__(self, path: str, columns: Sequence[str]) -> None:
        self.path, self.columns = path, tuple(columns)
        try:
            self.blocks, others = blocks_of(path, self.columns)
            if not Path(path).exists() or Path(path).stat().st_size == 0:
                with whole_file(path) as file:
                    file.write(csv_row(self.columns))
            elif others:
                self._rewrite(self.blocks.values())
            self._file: IO[bytes] = open(path, "r+b", buffering=0)  # noqa: PTH123, SIM115
            self._end = self._file.seek(0, os.SEEK_END)
        except OSError as error:
            raise writing_error(path, error) from None
        self.done = frozenset(self.blocks)

    def _rewrite(self, blocks: Iterable[Block]) -> None:
        """Write the file again with these blocks only, in this order; it changes as a whole."""
        position = len(csv_row(self.columns).encode())
        moved: dict[str, Block] = {}
        with open(self.path, "rb") as source, whole_file(self.path, binary=True) as file:  # noqa: PTH123
            file.write(source.read(position))
            for block in blocks:
                source.seek(block.first)
                left = block.end - block.first
                while left:
                    part = source.read(min(left, _BLOCK))
                    file.write(part)
                    left -= len(part)
                shift = position - block.first
                moved[block.key] = Block(block.key, position, block.last + shift, block.end + shift)
                position = block.end + shift
            file.flush()
            os.fsync(file.fileno())
        self.blocks = moved

    def write(self, outcomes: Sequence[Outcome]) -> None:
        """Append the rows of some cells, and wait until they are on the disk.

        What does not fit on the disk is cut off again. Raises OutputFileError.
        """
        texts = [text_of(outcome, self.columns) for outcome in outcomes]
        data = b"".join(text for text, _ in texts)
        try:
            self._file.seek(self._end)
            view = memoryview(data)
            while view:
                view = view[self._file.write(view) :]
            os.fsync(self._file.fileno())
        except OSError as error:
            self._file.truncate(self._end)
            raise writing_error(self.path, error) from None
        for outcome, (text, last) in zip(outcomes, texts, strict=True):
            first = self._end
            self._end += len(text)
            self.blocks[outcome.key] = Block(outcome.key, first, first + last, self._end)

    def finish(self, keys: Iterable[str]) -> None:
        """Put the cells `keys` into this order, before all others."""
        order = [self.blocks[key] for key in keys if key in self.blocks]
        if len(order) < len(self.blocks):
            chosen = {block.key for block in order}
            order += [block for block in self.blocks.values() if block.key not in chosen]
        if any(before.first > after.first for before, after in pairwise(order)):
            self._rewrite(order)

    def ends(self, keys: Iterable[str]) -> Iterator[dict[str, str]]:
        """See Store."""
        with open(self.path, "rb") as file:  # noqa: PTH123
            for key in keys:
                if key in self.blocks:
                    block = self.blocks[key]
                    yield summed_up(*(self._row(file, at) for at in (block.first, block.last)))

    def _row(self, file: IO[bytes], place: int) -> dict[str, str]:
        """Return the row whose line begins there."""
        file.seek(place)
        line = file.readline().decode("utf-8", "replace")
        return dict(zip(self.columns, next(csv.reader([line])), strict=True))

    @property
    def rows(self) -> int:
        """The number of rows."""
        with open(self.path, "rb") as file:  # noqa: PTH123
            return sum(part.count(b"\n") for part in iter(lambda: file.read(_BLOCK), b"")) - 1

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def text_of(outcome: Outcome, columns: tuple[str, ...]) -> tuple[bytes, int]:
    """Return the lines of an outcome, and where the last of them begins."""
    head, tail = _ends(outcome, columns)
    lines = [f"{head}{csv_row(row, end='')}{tail}".encode() for row in outcome.rows]
    if not lines:
        empty = [None] * (len(columns) - columns.index("layer") - 2)
        lines = [f"{head}{csv_row(empty, end='')}{tail}".encode()]
    return b"".join(lines), sum(map(len, lines[:-1]))


def _ends(outcome: Outcome, columns: tuple[str, ...]) -> tuple[str, str]:
    """Return what stands before and after the numbers of every row of an outcome."""
    options = columns[1 : columns.index("layer")]
    head = [outcome.key, *(outcome.values.get(name) for name in options)]
    return csv_row(head, end=","), f",{csv_row((outcome.verdict, outcome.error))}"
