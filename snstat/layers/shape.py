"""The shape of one sample between two layers."""

from __future__ import annotations

import math
from dataclasses import dataclass

from snstat.errors import InvalidValueError
from snstat.limits import MAX_WIDTH
from snstat.values import integer

MOST_AXES = 2


@dataclass(frozen=True, slots=True)
class Shape:
    """`channels` at every point of `grid`: () for vectors, (time,) or (height, width).

    Raises InvalidValueError for sizes out of bounds, or for more than 2**28 numbers.
    """

    channels: int
    grid: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        """Validate every size."""
        integer("channels", self.channels, 1, MAX_WIDTH)
        if len(self.grid) > MOST_AXES:
            raise InvalidValueError("grid", self.grid, f"at most {MOST_AXES} axes")
        for size in self.grid:
            integer("grid", size, 1, MAX_WIDTH)
        if self.units > MAX_WIDTH:
            raise InvalidValueError("shape", str(self), f"at most {MAX_WIDTH:,} numbers")

    @property
    def positions(self) -> int:
        """The number of points of the grid, 1 without one."""
        return math.prod(self.grid)

    @property
    def units(self) -> int:
        """The number of numbers: channels times positions."""
        return self.channels * self.positions

    @property
    def sizes(self) -> tuple[int, ...]:
        """The grid, then the channels: (height, width, channels)."""
        return (*self.grid, self.channels)

    def __str__(self) -> str:
        """Return the sizes as (height, width, channels)."""
        return f"({', '.join(map(str, self.sizes))})"
