"""The keys of a check in a configuration, and their values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from snstat.checks.settings import OPTIONS
from snstat.errors import InputFileError, InvalidValueError, UnknownNameError
from snstat.values.kinds import File

# As they are spelled in a file.
KEYS = {name.replace("_", "-"): declared.kind for name, declared in OPTIONS.items()}


def read_options(table: Mapping[str, Any], place: str, folder: Path) -> dict[str, Any]:
    """Return the options in a parsed table: keys with underscores, values of their kind.

    A key may be spelled with dashes or underscores; lists become tuples, and names of files are
    joined to `folder`. Raises InputFileError, which names the `place`, for a key that is unknown or
    given twice, and for a value that is not of its kind or out of bounds.
    """
    options: dict[str, Any] = {}
    for key, value in table.items():
        kind = KEYS.get(dashed(key))
        if kind is None:
            if isinstance(value, list) and value and isinstance(value[0], dict):
                raise InputFileError(
                    place, f"{shown(key)} is an array of tables", "write single brackets"
                )
            raise unknown_key(place, key, KEYS)
        option = key.replace("-", "_")
        if option in options:
            raise InputFileError(
                place,
                f"{dashed(key)} is given twice, with a dash and with an underscore",
                "keep one of them",
            )
        try:
            options[option] = kind.plain(option, value)
        except InvalidValueError as error:
            if isinstance(value, dict):
                reason = f"{key} is {shown(value)}, but must be {kind.words}"
                raise InputFileError(place, reason, "a check needs another name") from None
            raise InputFileError(place, error.told(dashed)) from None
        if isinstance(kind, File) and value not in kind.reserved:
            options[option] = str(folder / value)
    return options


def unknown_key(place: str, key: str, known: Iterable[str], advice: str = "") -> InputFileError:
    """Return the error for a key that is none of `known`: the nearest, else `advice`, else all."""
    error = UnknownNameError("key", dashed(key), known)
    if error.suggestions:
        remedy = f"did you mean {error.suggestions[0]!r}?"
    else:
        remedy = advice or "valid keys are " + ", ".join(error.known)
    return InputFileError(place, f"unknown key {shown(key)}", remedy)


def dashed(key: str) -> str:
    """Return `key` as KEYS spells it."""
    return key.replace("_", "-")


def shown(value: object) -> str:
    """Return `value` for a message, on one short line."""
    try:
        text = repr(value)
    except (ValueError, RecursionError):  # an integer of thousands of digits; a deep nest
        return "a value too long to show"
    return text if len(text) <= 60 else f"{text[:40]}…{text[-19:]}"
