"""One row of a trace, whatever the framework."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from snstat.results.module import Axes
from snstat.sources.calls.axes import Key

# Why a gradient is missing.
NO_PATH, CHANGED = "no path to the read-out", "changed in place"


@dataclass(eq=False)
class Row:
    """One output of one call: what it is, and its values by trial. `same_as` is the row that has
    the same tensor: an earlier one, or for a `function` that of a module that returned its result.
    `squares` are squared norms of gradients."""

    path: str
    call: int
    output: str
    kind: str
    shape: tuple[int, ...]
    dtype: str
    axes: Axes | None
    same_as: Row | None = None
    values: dict[int, tuple[bool, Any]] = field(default_factory=dict)
    squares: dict[int, float] = field(default_factory=dict)
    missing: str | None = None
    function: bool = False

    @property
    def key(self) -> Key:
        """What finds the row again in the next trial."""
        return self.path, self.call, self.output

    @property
    def origin(self) -> Row:
        """The row whose tensor this one has. That is no copy of a third."""
        return self.same_as or self

    def part(self) -> None:
        """Let a row that had the tensor of another one in earlier trials have its own."""
        if self.same_as is not None:
            self.squares, self.same_as = dict(self.same_as.squares), None


class Rows:
    """The rows of all trials, in the order in which calls ended."""

    def __init__(self) -> None:
        self.order: list[Row] = []
        self._known: dict[Key, Row] = {}
        self._place = 0

    def begin(self) -> None:
        """Begin a trial."""
        self._place = 0

    def at(self, key: Key, shape: tuple[int, ...], new: Callable[[], Row]) -> Row:
        """Return the row of a tensor, a `new` one after that of the tensor before it."""
        row = self._known.get(key)
        if row is None:
            self._known[key] = row = new()
            self.order.insert(self._place, row)
            self._place += 1
        else:
            if row.shape != shape:  # another one in this trial
                row.axes = None
            if self._place >= len(self.order) or self.order[self._place] is not row:
                self._place = self.order.index(row)
            self._place += 1
        return row
