"""The base class and the types of all records."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import fields
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]
IntArray = npt.NDArray[np.int64]


class Record:
    """A dataclass that can be read like a mapping: `record["mean"]`, `dict(record)`.

    Records of one type are equal if all their fields are: arrays by value, and missing numbers
    (None, NaN, infinity: a file holds null for each) equal each other. So a record equals its copy
    and what is read back from its file.
    """

    __slots__ = ()

    def keys(self) -> list[str]:
        """Return the names of the fields."""
        return [entry.name for entry in fields(self)]  # type: ignore[arg-type]  # children are dataclasses

    def __reduce__(self) -> tuple[Any, ...]:
        """Copy and pickle by field values, with read-only mappings as dictionaries."""
        values = (getattr(self, key) for key in self.keys())
        plain = (dict(value) if isinstance(value, MappingProxyType) else value for value in values)
        return type(self), tuple(plain)

    def __eq__(self, other: object) -> bool:
        """Return whether `other` is a record of this type with equal fields."""
        if type(other) is not type(self):
            return NotImplemented
        return all(same(getattr(self, key), getattr(other, key)) for key in self._compared())

    def __hash__(self) -> int:
        """Return a hash of the fields that have exactly one value: names, integers and records."""
        values = [getattr(self, key) for key in self._compared()]
        exact = [value for value in values if isinstance(value, str | int | Record)]
        return hash((type(self), *exact))

    def _compared(self) -> list[str]:
        return [entry.name for entry in fields(self) if entry.compare]  # type: ignore[arg-type]  # as above

    def __getitem__(self, key: str) -> Any:
        """Return the field called `key`; KeyError if there is none."""
        if key not in self.keys():
            raise KeyError(key)
        return getattr(self, key)


def same(mine: Any, other: Any) -> bool:
    """Return whether two values of fields are equal; see `Record`."""
    if isinstance(mine, np.ndarray) or isinstance(other, np.ndarray):
        if np.shape(mine) != np.shape(other):
            return False
        return bool(np.all((mine == other) | ~(np.isfinite(mine) | np.isfinite(other))))
    if isinstance(mine, Mapping) and isinstance(other, Mapping):
        return mine.keys() == other.keys() and all(same(mine[key], other[key]) for key in mine)
    if isinstance(mine, tuple) and isinstance(other, tuple):
        return len(mine) == len(other) and all(map(same, mine, other))
    return bool(mine == other) or (_missing(mine) and _missing(other))


def _missing(value: Any) -> bool:
    return value is None or (isinstance(value, float) and not math.isfinite(value))


def optional(value: float) -> float | None:
    """Return `value` as a plain float, or None if it is not finite."""
    value = float(value)
    return value if math.isfinite(value) else None
