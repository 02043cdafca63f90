"""The JSON Schemas of results: files, completed with the schemas of the declared options.

In the files, "shared" in "$defs" names other files, whose definitions that begin with a word belong
there too. `{"option": NAME}` stands for the schema of an option. Beside it, "nullable" says that
null is allowed, and other keys replace those of the option.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib.resources import files
from types import MappingProxyType
from typing import Any

from snstat.network.run_settings import RunSettings
from snstat.values.option import options_of

# Name of the result → file.
SCHEMAS: Mapping[str, str] = MappingProxyType(
    {
        "propagation": "propagation-2.json",
        "fixedpoint": "fixedpoint-1.json",
        "check": "check-1.json",
        "network": "network-1.json",
        "weights": "weights-1.json",
        "spectrum": "spectrum-1.json",
    }
)


def schema(name: str) -> dict[str, Any]:
    """Return the JSON Schema of a result: "propagation", "fixedpoint", "check",
    "network", "weights" or "spectrum"."""
    found = _read(SCHEMAS[name])
    for file, prefix in found["$defs"].pop("shared", {}).items():
        others = _read(file)["$defs"]
        found["$defs"] |= {key: form for key, form in others.items() if key.startswith(prefix)}
    return found


def _read(file: str) -> dict[str, Any]:
    text = files("snstat.files").joinpath("schemas", file).read_text(encoding="utf-8")
    found: dict[str, Any] = json.loads(text, object_hook=_with_options)
    return found


def _with_options(form: dict[str, Any]) -> dict[str, Any]:
    if not isinstance(form.get("option"), str):
        return form
    own = {key: value for key, value in form.items() if key not in {"option", "nullable"}}
    allowed = options_of(RunSettings)[form["option"]].kind.schema() | own
    if not form.get("nullable"):
        return allowed
    return {**own, "anyOf": [allowed, {"type": "null"}]}
