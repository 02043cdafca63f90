"""One row of a trace, whatever the framework."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from snstat.results.module import Axes
from snstat.sources.calls.axes import Key

# Why a gradient is missing.
NO_PATH, CHANGED = "no path to the read-out", "changed in place"


@dataclass(eq=False)
class Row:
    """One output of one call: what it is, and its values by trial. `same_as` is the row that has
    the same tensor. `squares` are squared norms of gradients."""

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

    @property
    def key(self) -> Key:
        """What finds the row again in the next trial."""
        return self.path, self.call, self.output

    @property
    def origin(self) -> Row:
        """The row whose tensor this one has. That is no copy of a third."""
        return self.same_as or self
