"""The keys of a check and the values they take."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping
from enum import Enum
from pathlib import Path
from types import MappingProxyType
from typing import Any

from snstat.errors import InputFileError, UnknownNameError

MAX_TEXT = 4096
_SOUND_TEXT = re.compile(rf"[^\x00-\x1f\x7f-\x9f]{{1,{MAX_TEXT}}}")
# TOML promises 64 bits; seeds go to the end of the unsigned ones.
MAX_INTEGER = 2**64 - 1
# Values of `inputs` that are not files.
DRAWN_INPUTS = ("normal", "uniform")


class Kind(Enum):
    """What the value of a key must be, in words."""

    TEXT = "a string"
    INTEGER = "a whole number of at most 64 bits"
    NUMBER = "a finite number"
    FLAG = "true or false"
    TEXTS = "a list of strings"
    FILE = "a file name"
    INPUTS = "normal, uniform or a file name"
    WIDTHS = "a string such as '784,512*3,10' or a list of whole numbers"


KEYS: Mapping[str, Kind] = MappingProxyType(
    {
        # The stack, and how it is sampled.
        "activation": Kind.TEXT,
        "depth": Kind.INTEGER,
        "width": Kind.INTEGER,
        "widths": Kind.WIDTHS,
        "last": Kind.TEXT,
        "init": Kind.TEXT,
        "weight-gain": Kind.NUMBER,
        "weight-std": Kind.NUMBER,
        "bias-std": Kind.NUMBER,
        "batch": Kind.INTEGER,
        "trials": Kind.INTEGER,
        "inputs": Kind.INPUTS,
        "input-mean": Kind.NUMBER,
        "input-std": Kind.NUMBER,
        "standardize": Kind.FLAG,
        "flatten": Kind.FLAG,
        "seed": Kind.INTEGER,
        "dtype": Kind.TEXT,
        "sampler": Kind.TEXT,
        "backward": Kind.FLAG,
        "threads": Kind.INTEGER,
        # Rules and their bounds.
        "select": Kind.TEXTS,
        "ignore": Kind.TEXTS,
        "number-format": Kind.TEXT,
        "depth-limit": Kind.INTEGER,
        "second-moment-min": Kind.NUMBER,
        "second-moment-max": Kind.NUMBER,
        "target-mean": Kind.NUMBER,
        "target-variance": Kind.NUMBER,
        "target-tolerance": Kind.NUMBER,
        "target-layer": Kind.INTEGER,
        "gradient-decades": Kind.NUMBER,
        "cosine-max": Kind.NUMBER,
        "separation-max": Kind.NUMBER,
        "dead-max": Kind.NUMBER,
        "saturated-max": Kind.NUMBER,
        "fluctuation-max": Kind.NUMBER,
        # What the stack is compared with.
        "baseline": Kind.FILE,
        "same-seed": Kind.FLAG,
        "min-effect": Kind.NUMBER,
    }
)


def read_options(
    table: Mapping[str, Any], place: Callable[[str], str], folder: Path
) -> dict[str, Any]:
    """Return the options in a parsed table: keys with underscores, values of their kind.

    A key may be spelled with dashes or underscores; lists become tuples, and names of files are
    joined to `folder`. Raises InputFileError, at `place` of the key, for a key that is unknown or
    given twice, and for a value that is not of its kind.
    """
    options: dict[str, Any] = {}
    for key, value in table.items():
        kind = KEYS.get(dashed(key))
        if kind is None:
            if isinstance(value, list) and value and isinstance(value[0], dict):
                raise InputFileError(
                    place(key), f"{shown(key)} is an array of tables", "write single brackets"
                )
            raise unknown_key(place(key), key, KEYS)
        option = key.replace("-", "_")
        if option in options:
            raise InputFileError(
                place(key),
                f"{dashed(key)} is given twice, with a dash and with an underscore",
                "keep one of them",
            )
        if not _fits(kind, value):
            remedy = "a check needs another name" if isinstance(value, dict) else ""
            raise InputFileError(
                place(key), f"{key} is {shown(value)}, but must be {kind.value}", remedy
            )
        for text in value if kind is Kind.TEXTS else [value]:
            if isinstance(text, str) and not _SOUND_TEXT.fullmatch(text):
                raise InputFileError(
                    place(key),
                    f"{key} holds {shown(text)}, but a string here must have"
                    f" 1 to {MAX_TEXT} characters, none of them a control character",
                )
        options[option] = _converted(kind, value, folder)
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


def _fits(kind: Kind, value: object) -> bool:
    """Say whether `value` is of `kind`; true and false are no numbers."""
    if kind is Kind.FLAG:
        return isinstance(value, bool)
    if kind is Kind.INTEGER:
        return type(value) is int and abs(value) <= MAX_INTEGER
    if kind is Kind.NUMBER:
        if isinstance(value, float):
            return math.isfinite(value)
        return type(value) is int and abs(value) <= MAX_INTEGER
    if kind is Kind.TEXTS:
        return isinstance(value, list) and all(isinstance(entry, str) for entry in value)
    if kind is Kind.WIDTHS and isinstance(value, list):
        return all(type(entry) is int and abs(entry) <= MAX_INTEGER for entry in value)
    return isinstance(value, str)


def _converted(kind: Kind, value: Any, folder: Path) -> Any:
    if kind is Kind.NUMBER:
        return float(value)
    if isinstance(value, list):
        return tuple(value)
    if kind is Kind.FILE or (kind is Kind.INPUTS and value not in DRAWN_INPUTS):
        return str(folder / value)
    return value
