"""The values of one axis of a grid: lists, and ranges with equal steps or equal ratios."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

from snstat.errors import InvalidValueError, UnknownNameError
from snstat.limits import MAX_THREADS
from snstat.sweeps.cell import LAYERS
from snstat.values import real, whole
from snstat.values.kinds import Kind, Name, Real, Whole

# More values of one axis are probably a typing mistake.
MOST_VALUES = 10**6
# Values of sweeps themselves.
SEEDS, STEPS = Whole(1, MOST_VALUES), Whole(1, MOST_VALUES)
THREADS, ROWS = Whole(1, MAX_THREADS), Name(LAYERS)
LINEAR, LOG = SCALES = ("linear", "log")
RANGE = "FROM:TO:STEPS, such as 0.8:1.2:9, or FROM:TO:STEPS:log"
_KEYS = ("from", "to", "steps", "scale")


def typed_values(name: str, text: str, kind: Kind | None) -> list[Any]:
    """Return the values that are typed: "64,256,1024", or a range "0.8:1.2:9" of numbers.

    `kind` is that of the option, None for a parameter of any kind. Raises InvalidValueError.
    """
    numbers = kind is None or isinstance(kind, Whole | Real)
    parts = text.split(":")
    if numbers and len(parts) > 1 and (kind is not None or _are_numbers(parts[:2])):
        if len(parts) not in (3, 4):
            raise InvalidValueError(name, text, RANGE)
        low, high = (real(name, part) for part in parts[:2])
        steps = STEPS.read(f"steps of {name}", parts[2])
        scale = parts[3].strip().lower() if len(parts) > 3 else LINEAR
        return _checked(name, spaced(name, low, high, steps, scale, kind), kind)
    entries = [entry.strip() for entry in text.split(",")]
    if not all(entries):
        raise InvalidValueError(name, text, "values separated by commas, none of them empty")
    if kind is None:
        return [_plain(entry) for entry in entries]
    return [kind.read(name, entry) for entry in entries]


def listed_values(name: str, given: Any, kind: Kind | None) -> list[Any]:
    """Return the values of plain data: a list, or a range {"from": 0, "to": 9, "steps": 10}.

    Without steps a range is of whole numbers, each of them. Raises InvalidValueError.
    """
    if isinstance(given, Mapping):
        unknown = [key for key in given if key not in _KEYS]
        if unknown:
            raise UnknownNameError(f"key of {name}", unknown[0], _KEYS)
        if not {"from", "to"} <= given.keys():
            raise InvalidValueError(name, dict(given), "a range with from and to")
        low, high = (_number(name, given[key]) for key in ("from", "to"))
        steps, scale = given.get("steps"), given.get("scale", LINEAR)
        if steps is None:
            if not (float(low).is_integer() and float(high).is_integer() and low <= high):
                bound = "a range of whole numbers from the lower to the higher, or one with steps"
                raise InvalidValueError(name, dict(given), bound)
            if high - low >= MOST_VALUES:
                what = f"number of values of {name}"
                raise InvalidValueError(what, high - low + 1, f"at most {MOST_VALUES:,}")
            return _checked(name, list(range(int(low), int(high) + 1)), kind)
        steps = STEPS.check(f"steps of {name}", steps)
        found = spaced(name, low, high, steps, scale, kind)
        return _checked(name, found, kind)
    if hasattr(given, "tolist"):  # an array of numpy
        given = given.tolist()
    if isinstance(given, str) or not isinstance(given, Sequence):
        bound = "a list of values, or a range with from, to and steps"
        raise InvalidValueError(name, given, bound)
    if not len(given):
        raise InvalidValueError(name, [], "a list of at least one value")
    return _checked(name, list(given), kind)


def spaced(
    name: str, low: float, high: float, steps: int, scale: Any, kind: Kind | None
) -> list[Any]:
    """Return `steps` numbers from `low` to `high`, both included, with equal differences, or with
    equal ratios on the scale "log". Those of whole numbers with equal ratios are rounded."""
    if scale not in SCALES:
        raise UnknownNameError(f"scale of {name}", scale, SCALES)
    if steps == 1 and low != high:
        raise InvalidValueError(f"steps of {name}", steps, "at least 2 between two values")
    shares = [step / (steps - 1) if steps > 1 else 0.0 for step in range(steps)]
    if scale == LOG:
        if not (low > 0 and high > 0):
            raise InvalidValueError(name, min(low, high), "above 0 on the scale log")
        found = [low * (high / low) ** share for share in shares]
    else:
        found = [low + (high - low) * share for share in shares]
    found[-1] = high
    # 0.8 + 0.05 is 0.8500000000000001: what a person would type has fewer digits.
    tidy: list[Any] = [float(f"{value:.12g}") for value in found]
    if isinstance(kind, Whole) and scale == LOG:
        return [*dict.fromkeys(round(value) for value in found)]
    if not isinstance(kind, Real) and all(value.is_integer() for value in tidy):
        return [int(value) for value in tidy]
    if isinstance(kind, Whole):
        bound = "a number that gives whole numbers"
        raise InvalidValueError(f"steps of {name}", steps, bound, "or use the scale log")
    return tidy


def _checked(name: str, found: list[Any], kind: Kind | None) -> list[Any]:
    if kind is not None:
        return [kind.check(name, value) for value in found]
    for value in found:
        if not isinstance(value, Hashable):  # a list or a table of a file
            raise InvalidValueError(name, value, "a number, a text, true or false")
    return found


def _are_numbers(parts: Sequence[str]) -> bool:
    try:
        return all(math.isfinite(real("", part)) for part in parts)
    except InvalidValueError:
        return False


def _plain(text: str) -> Any:
    """Return true, false or a number where a value is one, else its text."""
    if text in ("true", "false"):
        return text == "true"
    for number in (whole, real):
        try:
            return number("", text)
        except InvalidValueError:
            continue
    return text


def _number(name: str, value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise InvalidValueError(name, value, "a range of finite numbers")
    return value
