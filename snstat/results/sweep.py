"""The table of a sweep: one row for each cell and layer."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from snstat.results.base import Record
from snstat.results.statistic import GRADIENT
from snstat.results.views import views

# The column of the name of a network or a module, which tables of stacks do not have.
SUBJECT = "subject"
# Columns of texts.
WORDS = ("cell", SUBJECT, "name", "verdict", "error")
# The column of a parameter that is called like another column begins so.
PARAMETER = "set."


@dataclass(frozen=True, slots=True, eq=False)
class Sweep(Record):
    """The rows of a sweep as `columns` by name, each (rows,): cell, subject (of networks and
    modules), the options, layer, name, the parts of each statistic, verdict and error.

    `over` names the options that cells differ in. Numbers that are missing are NaN, texts empty. A
    cell that failed has one row, whose layer is NaN.
    """

    columns: Mapping[str, npt.NDArray[Any]]
    over: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.columns["cell"])

    def __getitem__(self, name: str) -> Any:
        """Return a column by its name."""
        return self.columns[name]

    def keys(self) -> list[str]:
        """Return the names of the columns."""
        return [*self.columns]

    @property
    def last(self) -> npt.NDArray[np.bool_]:
        """Which rows are the last of their cell, (rows,)."""
        cells = self.columns["cell"]
        found: npt.NDArray[np.bool_] = np.append(cells[1:] != cells[:-1], [True])[: len(cells)]
        return found

    @property
    def failed(self) -> npt.NDArray[np.bool_]:
        """Which rows are of cells that failed, (rows,)."""
        found: npt.NDArray[np.bool_] = self.columns["error"] != ""
        return found

    @property
    def options(self) -> list[str]:
        """The names of the columns that say what was run: of a network or a module, and of all
        options and parameters."""
        names = [*self.columns]
        return [name for name in names[1 : names.index("layer")] if name != "layers"]

    @property
    def simulated(self) -> npt.NDArray[np.bool_]:
        """Which rows are of cells of which any statistic was measured anywhere, (rows,): of theory
        alone none was."""
        measured = np.zeros(len(self), bool)
        for name, values in self.columns.items():
            if name.endswith("_estimate") and values.dtype != object:
                measured |= np.isfinite(values)
        return self._of_cells({*self.columns["cell"][measured].tolist()})

    @property
    def repeated(self) -> npt.NDArray[np.bool_]:
        """Which rows are of cells that have all options of another cell, (rows,): other code,
        another network file or other data made one of the two, so no mean may have both.

        Theory alone repeats no simulation, and what failed repeats nothing.
        """
        chosen = self.last & ~self.failed
        rows = ([as_text(value) for value in self[name][chosen].tolist()] for name in self.options)
        known = self.simulated[chosen].tolist()
        alike: dict[Any, set[str]] = {}
        for cell, *own in zip(self["cell"][chosen].tolist(), known, *rows, strict=True):
            alike.setdefault(tuple(own), set()).add(cell)
        return self._of_cells({cell for own in alike.values() if len(own) > 1 for cell in own})

    def _of_cells(self, keys: set[str]) -> npt.NDArray[np.bool_]:
        return np.array([cell in keys for cell in self.columns["cell"].tolist()], bool)

    @property
    def cells(self) -> Sweep:
        """The last row of every cell: its options, its verdict, and its last layer. The gradient is
        that of its first row: relative to the last layer, that of the input says how it grows."""
        last = self.last
        first = np.append([True], last[:-1])[: len(last)]
        columns = {
            name: values[first if name.startswith(f"{GRADIENT}_") else last]
            for name, values in self.columns.items()
        }
        return Sweep(columns, self.over)

    def to_frame(self) -> Any:
        """Return the table as a pandas DataFrame. Raises SnstatError without pandas."""
        return views().sweep_frame(self)

    def __repr__(self) -> str:
        """Return how much it holds."""
        cells, failed = int(self.last.sum()), int((self.failed & self.last).sum())
        over = ", ".join(self.over) or "nothing"
        bad = f", {failed} failed" if failed else ""
        repeated = int((self.repeated & self.last).sum())
        alike = f", {repeated} with the options of others" if repeated else ""
        return f"<Sweep over {over}: {cells:,} cells{bad}{alike}, {len(self):,} rows>"


def sweep_of(names: tuple[str, ...], rows: list[Any], over: tuple[str, ...]) -> Sweep:
    """Return the table of `rows`, lists of values in the order of the columns `names`, which may be
    text as CSV holds it."""
    columns = [*zip(*rows, strict=True)] if rows else [()] * len(names)
    return sweep_of_columns(names, columns, over)


def sweep_of_columns(names: tuple[str, ...], columns: list[Any], over: tuple[str, ...]) -> Sweep:
    """Return the table of `columns`, lists of values, as `sweep_of` does."""
    arrays = {}
    for name, values in zip(names, columns, strict=True):
        if name in WORDS:  # which may look like numbers
            arrays[name] = _texts(values)
        else:
            arrays[name] = column_of(values)
    return Sweep(arrays, over)


def column_of(values: tuple[Any, ...]) -> npt.NDArray[Any]:
    """Return values as numbers, NaN where they are missing, if all that are there are numbers; else
    as text, empty where missing."""
    if any(isinstance(value, bool) for value in values):
        return _texts(values)
    try:
        numbers = [
            float("nan") if value is None or value == "" else float(value) for value in values
        ]
    except (TypeError, ValueError, OverflowError):
        return _texts(values)
    return np.array(numbers)


def _texts(values: Sequence[Any]) -> npt.NDArray[Any]:
    return np.array([as_text(value) for value in values], dtype=object)


def as_text(value: Any) -> str:
    """Return a value as the tables of sweeps hold it as text: with full precision, and empty where
    it is missing or not finite."""
    if type(value) is float:  # most are
        return repr(value) if math.isfinite(value) else ""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple | list):
        return " ".join(map(str, value))
    return str(value)
