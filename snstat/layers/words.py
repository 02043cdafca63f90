"""Kinds of layers in words, from their docstrings and the options they declare."""

from __future__ import annotations

import inspect
from typing import Any

from snstat.errors import python_spelling, spelled
from snstat.layers.keys import Key, keys_of
from snstat.layers.registry import kind
from snstat.limits import MAX_SCALE
from snstat.results.kinds import KeyWords, KindWords
from snstat.values.kinds import Flag, Kind, Name, Real, Whole


def words_of(name: str) -> KindWords:
    """Return the kind called `name` in words. Raises UnknownNameError with the nearest name."""
    found = kind(name)
    keys = tuple(
        KeyWords(key, _values(own.option.kind), _default(own), _spelled(own.option.help))
        for key, own in keys_of(found).items()
    )
    if found.second:
        meaning = "The layer that it reads beside the one before it."
        keys += (KeyWords(found.second, "name of a layer", "none", meaning),)
    return KindWords(found.kind, inspect.getdoc(found) or "", keys)


def _values(of: Kind) -> str:
    """Return the values that a kind of values takes."""
    if isinstance(of, Whole | Real):
        what = "whole number" if isinstance(of, Whole) else "number"
        if isinstance(of, Real) and of.low <= -MAX_SCALE and of.high >= MAX_SCALE:
            return what
        return f"{what} from {_number(of.low)}{_below(of.high)}"
    if isinstance(of, Flag):
        return of.words
    return " or ".join(of.table) if isinstance(of, Name) and len(of.table) <= 4 else of.name


def _below(high: float) -> str:
    return "" if high >= MAX_SCALE else f" to {_number(high)}"


def _number(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:g}"


def _default(key: Key) -> str:
    if key.required:
        return ""
    return _spelled(key.option.shown) or _written(key.default)


def _written(value: Any) -> str:
    if value is None or value == ():
        return "none"
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _spelled(text: str) -> str:
    """Return the words of an option, which name others as files do, not as the command line."""
    return spelled(text, python_spelling)
