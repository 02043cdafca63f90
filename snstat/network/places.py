"""Tables of plain data, and errors with their path in them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from snstat.errors import NetworkFormError, SnstatError, UnknownNameError, quoted


class At:
    """A context that adds a path to errors about values."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __enter__(self) -> None:
        """Begin."""

    def __exit__(self, _type: object, error: BaseException | None, _trace: object) -> None:
        """Raise an error about a value again, with the path."""
        if isinstance(error, NetworkFormError):
            return
        if isinstance(error, UnknownNameError) and (error.suggestions or not error.known):
            raise unknown(self.path, error.name, error.value, error.known) from None
        if isinstance(error, SnstatError):
            raise NetworkFormError(self.path, str(error)) from None


def table_of(path: str, value: Any) -> Mapping[str, Any]:
    """Return `value` if it is a table."""
    if not isinstance(value, Mapping):
        raise NetworkFormError(path, f"{quoted(value)} is no table of keys")
    return value


def require_known(path: str, table: Mapping[str, Any], keys: Collection[str]) -> None:
    """Raise NetworkFormError for a key that is none of `keys`."""
    for key in table:
        if key not in keys:
            raise unknown(path, "key", key, keys)


def unknown(path: str, what: str, value: object, known: Collection[str]) -> NetworkFormError:
    """Return the error for a word that is none of the `known` ones: the nearest of them, else
    all."""
    error = UnknownNameError(what, value, known)
    if error.suggestions:
        advice = f"did you mean {error.suggestions[0]!r}?"
    else:
        advice = f"it may be {', '.join(error.known)}" if known else "there is none"
    return NetworkFormError(path, f"unknown {what} {quoted(value)}: {advice}")
