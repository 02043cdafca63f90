"""Sizes on a grid: one for all axes, or one for each."""

from __future__ import annotations

from typing import Any

from snstat.errors import InvalidValueError
from snstat.values.kinds import Kind, without_fraction
from snstat.values.ranges import integer

Sizes = int | tuple[int, ...]


class GridSizes(Kind):
    """A whole number from `low` to `high` for all axes, or one for each: 3, [3, 5]."""

    name = "whole number, or one per axis"
    words = "a whole number or a list with one for each axis of the grid"

    def __init__(self, low: int, high: int) -> None:
        self.low, self.high = low, high

    def check(self, name: str, value: Any) -> Sizes:
        """See Kind."""
        if not isinstance(value, list | tuple):
            return integer(name, value, self.low, self.high)
        if not value:
            raise InvalidValueError(name, value, self.words)
        return tuple(integer(name, size, self.low, self.high) for size in value)

    def plain(self, name: str, value: Any) -> Sizes:
        """See Kind. 1e3 is 1000."""
        several = isinstance(value, list | tuple)
        sizes = [without_fraction(size) for size in value] if several else without_fraction(value)
        found: Sizes = super().plain(name, sizes)
        return found

    def schema(self) -> dict[str, Any]:
        """See Kind."""
        one = {"type": "integer", "minimum": self.low, "maximum": self.high}
        return {"anyOf": [one, {"type": "array", "items": one, "minItems": 1}]}

    def fits(self, value: Any) -> bool:
        """See Kind."""
        values = value if isinstance(value, list | tuple) else [value]
        return all(type(size) is int for size in values)


def of_axes(name: str, value: Sizes, axes: int) -> tuple[int, ...]:
    """Return the sizes of all `axes`. Raises InvalidValueError for another number of sizes."""
    if isinstance(value, int):
        return (value,) * axes
    if len(value) != axes:
        remedy = "give one number for all axes"
        bound = f"one for each of {axes} axes" if axes > 1 else "one number on a grid of one axis"
        raise InvalidValueError(name, list(value), bound, remedy if axes > 1 else "")
    return value
