"""The shape of one sample between two layers."""

from __future__ import annotations

import math
from dataclasses import dataclass

from snstat.errors import InvalidValueError
from snstat.limits import MAX_WIDTH
from snstat.values import integer

MOST_AXES = 2
# Larger numbers are not all whole numbers of float32.
MOST_TOKENS = 2**24


@dataclass(frozen=True, slots=True)
class Shape:
    """`channels` at every point of `grid`: () for vectors, (time,) or (height, width).

    Where `tokens` is not 0, the only channel holds numbers of tokens: whole numbers from 0 that are
    smaller than it. Raises InvalidValueError for sizes out of bounds, or for more than 2**28
    numbers.
    """

    channels: int
    grid: tuple[int, ...] = ()
    tokens: int = 0

    @classmethod
    def of_tokens(cls, tokens: int, grid: tuple[int, ...] = ()) -> Shape:
        """Return the shape of a grid of numbers of tokens, 0 to `tokens` − 1."""
        integer("tokens", tokens, 1, MOST_TOKENS)
        return cls(1, grid, tokens)

    def __post_init__(self) -> None:
        """Validate every size."""
        integer("channels", self.channels, 1, MAX_WIDTH)
        integer("tokens", self.tokens, 0, MOST_TOKENS)
        if self.tokens and self.channels != 1:
            raise InvalidValueError("channels", self.channels, "1 for tokens")
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
