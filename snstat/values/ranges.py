"""Numbers within bounds."""

from __future__ import annotations

import math
import operator

from snstat.errors import InvalidValueError


def integer(name: str, value: object, low: int, high: int) -> int:
    """Return `value` as an int within [low, high]; raise InvalidValueError otherwise."""
    bound = f"a whole number from {low} to {high}"
    try:
        result = operator.index(value)  # type: ignore[arg-type]  # a TypeError is the answer here
    except TypeError:
        raise InvalidValueError(name, value, bound) from None
    if isinstance(value, bool) or not low <= result <= high:
        raise InvalidValueError(name, value, bound)
    return result


def number(name: str, value: object, low: float = -math.inf, high: float = math.inf) -> float:
    """Return `value` as a finite float within [low, high]; raise InvalidValueError otherwise."""
    bound = "a finite number"
    if low > -math.inf:
        bound += f" of at least {low:g}" if high == math.inf else f" from {low:g} to {high:g}"
    try:
        if getattr(value, "mask", False):  # numpy warns of a masked number, and makes it NaN
            raise InvalidValueError(name, "masked", bound)
        result = float(value)  # type: ignore[arg-type]  # float() raises for what is not a number
    except (TypeError, ValueError, OverflowError):
        raise InvalidValueError(name, value, bound) from None
    if not (math.isfinite(result) and low <= result <= high):
        raise InvalidValueError(name, value, bound)
    return result
