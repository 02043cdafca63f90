"""Values as fields of CSV: full precision, and nothing where nothing is known."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from snstat.errors import escaped
from snstat.results.sweep import as_text

_QUOTED = frozenset(',"\n\r')


def csv_row(values: Iterable[Any], end: str = "\n") -> str:
    """Return one line of CSV, or a part of one."""
    return ",".join(map(field, values)) + end


def field(value: Any) -> str:
    """Return a value as CSV holds it. Missing and infinite numbers are empty."""
    if type(value) is float:  # most are, and need no quotes
        return as_text(value)
    text = escaped(as_text(value))
    return f'"{text.replace(chr(34), chr(34) * 2)}"' if _QUOTED & set(text) else text
