"""Readers of parsed JSON: they return a value or raise FormError with what is wrong."""

from __future__ import annotations

import math
from typing import Any

from snstat.errors import quoted
from snstat.values import number


class FormError(ValueError):
    """Parsed JSON that does not describe a run."""


def entries_of(what: str, form: Any) -> dict[str, Any]:
    """Return `form` if it is a JSON object."""
    if not isinstance(form, dict):
        raise FormError(f"{what} is {quoted(form)}, but must be an object")
    return form


def list_of(key: str, form: dict[str, Any]) -> list[Any]:
    """Return the JSON array under `key`."""
    value = entry_of("it", form, key)
    if not isinstance(value, list):
        raise FormError(f"{key} is {quoted(value)}, but must be a list")
    return value


def entry_of(what: str, form: dict[str, Any], key: str) -> Any:
    """Return the value under `key`."""
    if key not in form:
        raise FormError(f"{what} has no {key!r}")
    return form[key]


def number_of(name: str, value: Any) -> float:
    """Return a finite number, NaN for null."""
    if value is None:
        return math.nan
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise FormError(f"{name} is {quoted(value)}, but must be a number or null")
    return number(name, value)
