"""The grid of a sweep: axes of values, and the cells that they span."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice, product
from math import prod
from typing import Any

from snstat.errors import InvalidValueError, UnknownNameError

# A grid of more cells is probably a typing mistake.
MOST_CELLS = 10**7


@dataclass(frozen=True, slots=True)
class Axis:
    """One axis: `names` of options that change together, and their `values`, a tuple each."""

    names: tuple[str, ...]
    values: tuple[tuple[Any, ...], ...]


@dataclass(frozen=True, slots=True)
class Grid:
    """The product of axes. The first varies slowest."""

    axes: tuple[Axis, ...] = ()

    @classmethod
    def of(cls, values: Mapping[str, Sequence[Any]], zipped: Sequence[Sequence[str]] = ()) -> Grid:
        """Return the product of the `values` of options by name, each value once; those of the
        groups `zipped` change together.

        Raises InvalidValueError for groups of unequal numbers of values, and for too many cells;
        UnknownNameError for a group of what is no axis.
        """
        groups: dict[str, tuple[str, ...]] = {name: (name,) for name in values}
        for group in zipped:
            for name in group:
                if name not in values:
                    raise UnknownNameError("zip", name, values)
                if len(groups[name]) > 1 or len(set(group)) < len(group):
                    raise InvalidValueError("zip", name, "named once")
                groups[name] = tuple(group)
        axes = []
        for names in dict.fromkeys(groups.values()):
            lengths = {name: len(values[name]) for name in names}
            if len(set(lengths.values())) > 1:
                words = ", ".join(f"{name} has {number}" for name, number in lengths.items())
                bound = "names of equally many values"
                raise InvalidValueError("zip", ",".join(names), bound, words)
            points = zip(*(values[name] for name in names), strict=True)
            axes.append(Axis(names, tuple(dict.fromkeys(points))))
        grid = cls(tuple(axes))
        if len(grid) > MOST_CELLS:
            bound = f"at most {MOST_CELLS:,}"
            raise InvalidValueError("number of cells", len(grid), bound, "give fewer values")
        return grid

    def __len__(self) -> int:
        return prod(len(axis.values) for axis in self.axes)

    @property
    def names(self) -> tuple[str, ...]:
        """The options that the cells differ in."""
        return tuple(name for axis in self.axes for name in axis.names)

    def points(self, last: Collection[str] = (), step: int = 1) -> Iterator[dict[str, Any]]:
        """Yield the options of each cell, or of every `step`-th. Axes of the names `last` vary
        fastest, the others in their order."""
        ahead = [axis for axis in self.axes if not set(axis.names) <= set(last)]
        axes = [*ahead, *(axis for axis in self.axes if axis not in ahead)]
        names = [name for axis in axes for name in axis.names]
        for point in islice(product(*(axis.values for axis in axes)), 0, None, step):
            yield dict(zip(names, (value for group in point for value in group), strict=True))
