"""The base class and the types of all records."""

from __future__ import annotations

import math
from dataclasses import fields
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]
IntArray = npt.NDArray[np.int64]


class Record:
    """A dataclass that can be read like a mapping: `record["mean"]`, `dict(record)`."""

    __slots__ = ()

    def keys(self) -> list[str]:
        """Return the names of the fields."""
        return [entry.name for entry in fields(self)]  # type: ignore[arg-type]  # children are dataclasses

    def __reduce__(self) -> tuple[Any, ...]:
        """Copy and pickle by field values, with read-only mappings as dictionaries."""
        values = (getattr(self, key) for key in self.keys())
        plain = (dict(value) if isinstance(value, MappingProxyType) else value for value in values)
        return type(self), tuple(plain)

    def __getitem__(self, key: str) -> Any:
        """Return the field called `key`; KeyError if there is none."""
        if key not in self.keys():
            raise KeyError(key)
        return getattr(self, key)


def optional(value: float) -> float | None:
    """Return `value` as a plain float, or None if it is not finite."""
    value = float(value)
    return value if math.isfinite(value) else None
