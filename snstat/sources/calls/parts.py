"""What containers hold, by its place in them: tuples, dicts and dataclasses."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

# Deeper outputs refer to themselves.
DEEPEST = 16


def parts_of(value: Any, place: str) -> list[tuple[str, Any]] | None:
    """Return the parts of a container at `place` and their places in it, or None of anything else,
    and of what is too deep."""
    if place.count("[") + place.count(".") > DEEPEST:
        return None
    if isinstance(value, Mapping):
        return [(_key(name), part) for name, part in value.items()]
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return [(f".{name}", getattr(value, name)) for name in value._fields]
    if isinstance(value, tuple | list):
        return [(f"[{number}]", part) for number, part in enumerate(value)]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return [(f".{f.name}", getattr(value, f.name)) for f in dataclasses.fields(value)]
    return None


def _key(name: Any) -> str:
    return f".{name}" if isinstance(name, str) and name.isidentifier() else f"[{name!r}]"
