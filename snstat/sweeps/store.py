"""Where the outcomes of a sweep go: a file, or memory."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol

from snstat.errors import InputFileError
from snstat.results import GRADIENT
from snstat.sweeps.cell import VERSION, Outcome


class Store(Protocol):
    """The place of outcomes. `done` are the keys of the cells that it had when it was opened."""

    done: frozenset[str]

    def write(self, outcomes: Sequence[Outcome]) -> None:
        """Add outcomes; they last when this returns."""
        ...

    def finish(self, keys: Iterable[str]) -> None:
        """Put the cells `keys` into this order, before all others."""
        ...

    def ends(self, keys: Iterable[str]) -> Iterator[dict[str, Any]]:
        """Yield for each of these cells that are there its last row, with the gradient of its
        first: see `summed_up`."""
        ...

    @property
    def rows(self) -> int:
        """The number of rows."""
        ...

    def close(self) -> None:
        """Free what the store holds."""
        ...


class MemoryStore:
    """Outcomes that nothing keeps beyond this process."""

    def __init__(self, columns: Sequence[str]) -> None:
        self.columns, self.outcomes = tuple(columns), dict[str, Outcome]()
        self.done: frozenset[str] = frozenset()

    def write(self, outcomes: Sequence[Outcome]) -> None:
        """Keep outcomes."""
        self.outcomes |= {outcome.key: outcome for outcome in outcomes}

    def finish(self, keys: Iterable[str]) -> None:
        """See Store."""
        self.outcomes = {key: self.outcomes[key] for key in keys if key in self.outcomes}

    def all_rows(self) -> Iterator[list[Any]]:
        """Yield all rows, in the order of the columns."""
        for outcome in self.outcomes.values():
            yield from rows_of(outcome, self.columns)

    def ends(self, keys: Iterable[str]) -> Iterator[dict[str, Any]]:
        """See Store."""
        for key in keys:
            if key in self.outcomes:
                rows = [*rows_of(self.outcomes[key], self.columns)]
                yield summed_up(
                    *(dict(zip(self.columns, row, strict=True)) for row in (rows[0], rows[-1]))
                )

    @property
    def rows(self) -> int:
        """The number of rows."""
        return sum(max(len(outcome.rows), 1) for outcome in self.outcomes.values())

    def close(self) -> None:
        """See Store."""


def rows_of(outcome: Outcome, columns: tuple[str, ...]) -> Iterator[list[Any]]:
    """Yield the rows of an outcome: one, without a layer, of a cell that failed."""
    place = columns.index("layer")
    head = [outcome.key, *(outcome.values.get(name) for name in columns[1:place])]
    nothing = (None,) * (len(columns) - place - 2)
    for row in outcome.rows or (nothing,):
        yield [*head, *row, outcome.verdict or None, outcome.error or None]


def summed_up(first: Mapping[str, Any], last: Mapping[str, Any]) -> dict[str, Any]:
    """Return the last row of a cell with the gradient of its first: relative to the last layer, the
    gradient there is 1, and that of the input is by how much it grows on the way back. Where only
    the last row was kept, the gradient is missing."""
    alone = first["layer"] == last["layer"]
    names = [name for name in first if name.startswith(f"{GRADIENT}_")]
    return {**last, **{name: None if alone else first[name] for name in names}}


def require_columns(path: str | os.PathLike[str], own: Sequence[str], other: Sequence[str]) -> None:
    """Raise InputFileError, which tells how the columns of a sweep and of a file differ."""
    names = ", ".join(sorted({*own} ^ {*other})) or "the order"
    reason = f"holds a sweep with other columns ({names})"
    raise InputFileError(path, reason, "use another -o, or remove the file")


def require_version(path: str | os.PathLike[str], version: str) -> None:
    """Raise InputFileError for cells of another version, which would be mixed with these."""
    if version != VERSION:
        reason = f"holds cells of snstat {version}, and this is {VERSION}"
        remedy = f"use another -o, or go on with: pip install 'snstat=={version}.*'"
        raise InputFileError(path, reason, remedy)
