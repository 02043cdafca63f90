"""Values as fields of CSV: full precision, and nothing where nothing is known."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from snstat.errors import escaped

_QUOTED = frozenset(',"\n\r')


def csv_row(values: Iterable[Any], end: str = "\n") -> str:
    """Return one line of CSV, or a part of one."""
    return ",".join(map(field, values)) + end


def field(value: Any) -> str:
    """Return a value as CSV holds it. Missing and infinite numbers are empty."""
    if type(value) is float:
        return repr(value) if math.isfinite(value) else ""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list | tuple):
        value = " ".join(map(str, value))
    text = escaped(str(value))
    return f'"{text.replace(chr(34), chr(34) * 2)}"' if _QUOTED & set(text) else text
