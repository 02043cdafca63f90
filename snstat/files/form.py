"""Readers of parsed JSON: they return a value or raise FormError with what is wrong."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any

from snstat.errors import quoted
from snstat.network.run_settings import RunSettings
from snstat.values import number
from snstat.values.kinds import require_printable
from snstat.values.option import options_of

# From the name of a key and its value in a file to what it stands for.
Reader = Callable[[str, Any], Any]
DIGEST = re.compile("sha256:[0-9a-f]{64}")


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


def read(name: str, form: dict[str, Any], readers: dict[str, Reader]) -> dict[str, Any]:
    """Return the values of the object under `name`, each parsed by its reader."""
    entries = entries_of(name, entry_of("a run", form, name))
    return {key: read(key, entry_of(name, entries, key)) for key, read in readers.items()}


def digest(name: str, value: Any) -> str:
    """Return an identifier of content."""
    if not isinstance(value, str) or not DIGEST.fullmatch(value):
        raise FormError(f"{name} is {quoted(value)}, but must be sha256: and 64 hexadecimal digits")
    return value


def text(name: str, value: Any) -> str:
    """Return text that may be empty."""
    if not isinstance(value, str):
        raise FormError(f"{name} is {quoted(value)}, but must be a string")
    if value:
        require_printable(name, value)
    return value


def word(name: str, value: Any) -> str:
    """Return text that is not empty."""
    if value == "":
        raise FormError(f"{name} is empty")
    return text(name, value)


def or_null(read: Reader) -> Reader:
    """Return a reader that takes null too."""
    return lambda name, value: None if value is None else read(name, value)


# Readers of the options, as they are declared.
OPTIONS = {name: declared.kind.plain for name, declared in options_of(RunSettings).items()}


def options(*names: str) -> dict[str, Reader]:
    """Return the readers of some options."""
    return {name: OPTIONS[name] for name in names}
