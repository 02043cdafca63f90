"""Plain data written as TOML, tables within lists as inline tables."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

INDENT = 2


def toml_table(table: Mapping[str, Any]) -> str:
    """Return the keys of a table, one a line. Keys are words of letters, digits and _."""
    return "".join(f"{key} = {toml_value(value, INDENT)}\n" for key, value in table.items())


def toml_value(value: Any, indent: int = INDENT) -> str:
    """Return a text, flag, finite number, list or inline table. Tables in a list have a line each,
    indented by `indent` spaces."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        # Escapes of JSON are those of TOML, which escapes one more character.
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, Mapping):
        keys = (f"{key} = {toml_value(own, indent)}" for key, own in value.items())
        return f"{{ {', '.join(keys)} }}"
    return _list(value, indent)


def _list(values: Sequence[Any], indent: int) -> str:
    if not any(isinstance(value, Mapping) for value in values):
        return f"[{', '.join(toml_value(value, indent) for value in values)}]"
    space = " " * indent
    lines = "".join(f"{space}{toml_value(value, indent + INDENT)},\n" for value in values)
    return f"[\n{lines}{space[INDENT:]}]"
