"""What weights are, as JSON: the form of the contract, `snstat.weights/1`, and baselines of it."""

from __future__ import annotations

import json
import os
from typing import Any

from snstat import __version__
from snstat.errors import InputFileError, quoted
from snstat.files.json_text import object_in
from snstat.files.npy import failures, require_regular
from snstat.files.saved import plain
from snstat.results import WEIGHTS_SCHEMA, Weights

# Some 100 bytes a number of a hundred rows, and 10⁴ tensors.
MOST_BYTES = 2**26
REMEDY = "write it with: snstat weights FILE --format json"


def weights_to_json(found: Weights) -> str:
    """Return the JSON document; whatever is not finite is null."""
    form = {"schema": WEIGHTS_SCHEMA, "version": __version__, **plain(found)}
    return json.dumps(form, allow_nan=False, indent=1) + "\n"


def load_schemes(path: str | os.PathLike[str]) -> dict[str, tuple[str, ...]]:
    """Return the names of the schemes that fitted each tensor of a saved document.

    Raises InputFileError for a file that is missing, damaged, or of another schema.
    """
    name = os.fsdecode(path)
    with failures(name, f"{WEIGHTS_SCHEMA} file", REMEDY):
        require_regular(name, REMEDY)
        form = object_in(name, MOST_BYTES, "content", REMEDY)
    if (seen := form.get("schema")) != WEIGHTS_SCHEMA:
        raise InputFileError(name, f"its schema is {quoted(seen)}, not {WEIGHTS_SCHEMA}", REMEDY)
    tensors = form.get("tensors")
    if not isinstance(tensors, list) or not all(map(_is_tensor, tensors)):
        raise InputFileError(name, "holds no tensors with their schemes", REMEDY)
    return {
        tensor["name"]: tuple(scheme["name"] for scheme in tensor["schemes"]) for tensor in tensors
    }


def _is_tensor(form: Any) -> bool:
    return (
        isinstance(form, dict)
        and isinstance(form.get("name"), str)
        and isinstance(form.get("schemes"), list)
        and all(
            isinstance(scheme, dict) and isinstance(scheme.get("name"), str)
            for scheme in form["schemes"]
        )
    )
