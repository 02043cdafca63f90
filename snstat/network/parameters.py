"""The parameters of a network's file, and the values that are arithmetic on them."""

from __future__ import annotations

import keyword
import operator
import re
from collections.abc import Mapping
from typing import Any

from snstat.errors import InvalidValueError, UnknownNameError
from snstat.limits import MAX_INTEGER
from snstat.values import number
from snstat.values.arithmetic import Parameter, computed
from snstat.values.kinds import require_printable

# The first character of a text that is arithmetic.
MARK = "="
# Lists in a value: more than any kind has, and little enough to follow.
_MOST_NESTED = 4
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,99}", re.ASCII)


def parameters_of(declared: Mapping[Any, Any], changes: Mapping[str, Any]) -> dict[str, Parameter]:
    """Return the parameters, some of which are `changes` of the `declared` ones.

    They are numbers, texts or flags. Raises InvalidValueError for others, for a text in the place
    of a number, and for a name that arithmetic cannot have; UnknownNameError for a change of a
    parameter that is not declared.
    """
    found: dict[str, Parameter] = {}
    for name, value in declared.items():
        if not isinstance(name, str) or not _NAME.fullmatch(name) or keyword.iskeyword(name):
            bound = "a word of letters, digits and _ that begins with no digit"
            raise InvalidValueError("name of a parameter", name, bound)
        found[name] = _value(name, value)
    for name, value in changes.items():
        if name not in found:
            raise UnknownNameError("parameter", name, found)
        changed, bound = _value(name, value), _sort(found[name])
        if _sort(changed) != bound:
            raise InvalidValueError(name, value, f"{bound}, as the file declares it")
        found[name] = changed
    return found


def _sort(value: Parameter) -> str:
    if isinstance(value, bool):
        return "true or false"
    return "text" if isinstance(value, str) else "a number"


def evaluated(name: str, value: Any, parameters: Mapping[str, Parameter], depth: int = 0) -> Any:
    """Return `value` with the result of every text in it that is arithmetic.

    Raises InvalidValueError, which names `name`, for arithmetic that has no result.
    """
    if isinstance(value, str) and value.startswith(MARK):
        return computed(name, value.removeprefix(MARK), parameters)
    if isinstance(value, list | tuple):
        if depth == _MOST_NESTED:
            raise InvalidValueError(name, value, f"nested at most {_MOST_NESTED} deep")
        return [evaluated(name, entry, parameters, depth + 1) for entry in value]
    return value


def _value(name: str, value: Any) -> Parameter:
    if isinstance(value, bool):
        return value
    if isinstance(value, str):
        require_printable(name, value)
        if not value.startswith(MARK):
            return value
    elif isinstance(value, float):
        return number(name, value)
    else:
        try:
            whole = operator.index(value)
        except TypeError:
            pass
        else:
            if abs(whole) <= MAX_INTEGER:
                return whole
    raise InvalidValueError(name, value, "a number of at most 64 bits, a text or true or false")
