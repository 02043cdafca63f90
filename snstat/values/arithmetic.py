"""Numbers as people write them: 1e3, 2/3, sqrt(2), 2**64 - 1, and 4*width on parameters."""

from __future__ import annotations

import ast
import math
import operator
import warnings
from collections.abc import Callable, Mapping
from types import MappingProxyType

from snstat.errors import InvalidValueError, UnknownNameError

Number = int | float
# A parameter that is no number may stand alone only.
Parameter = Number | str

# The longest text that is parsed. It bounds the parser's work and the digits of integers.
MOST_LETTERS = 200
# Powers of whole numbers are exact up to this many bits and floats beyond.
MOST_BITS = 1024
EXAMPLES = "write for example 1.5, 1e-3, 2/3 or sqrt(2)"
WHOLE_EXAMPLES = "write for example 64, 1e3 or 2**10"
ON_PARAMETERS = "write for example =4*width or =sqrt(2)/blocks"
# Floats count whole numbers exactly up to here.
_EXACT = 2.0**53


def _power(base: Number, exponent: Number) -> Number:
    """Return base**exponent: an exact integer of bounded size, or else a real float."""
    exact = isinstance(base, int) and isinstance(exponent, int) and exponent >= 0
    if exact and int(base).bit_length() * exponent <= MOST_BITS:
        power: int = int(base) ** int(exponent)
        return power
    return math.pow(base, exponent)


_BINARY: dict[type[ast.operator], Callable[[Number, Number], Number]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Pow: _power,
}
_UNARY: dict[type[ast.unaryop], Callable[[Number], Number]] = {
    ast.UAdd: operator.pos,
    ast.USub: operator.neg,
}
_FUNCTIONS: dict[str, Callable[[Number], Number]] = {"sqrt": math.sqrt}


def real(name: str, text: str) -> float:
    """Return the number written in `text`: a decimal, or arithmetic on decimals.

    Operators are ``+ - * / // **``, parentheses and ``sqrt``. "inf" and "nan" are accepted; the
    caller checks bounds. Raises InvalidValueError, which names the argument `name`.
    """
    try:
        return float(text)
    except ValueError:
        pass
    try:
        return float(_evaluate(text))
    except (ValueError, ArithmeticError) as error:
        raise InvalidValueError(name, text, "a number", _remedy(error, EXAMPLES)) from None


def whole(name: str, text: str) -> int:
    """Return the whole number written in `text`, in the notation of `real`: 1e3 is exactly 1000.

    Raises InvalidValueError, which names the argument `name`.
    """
    if len(text) <= MOST_LETTERS:
        try:
            return int(text)
        except ValueError:
            pass
    remedy = WHOLE_EXAMPLES
    try:
        value = _evaluate(text)
        if value == int(value):
            return int(value)
    except (ValueError, ArithmeticError) as error:
        remedy = _remedy(error, WHOLE_EXAMPLES)
    raise InvalidValueError(name, text, "a whole number", remedy)


def computed(name: str, text: str, parameters: Mapping[str, Parameter]) -> Parameter:
    """Return the value of arithmetic on numbers and `parameters`, in the notation of `real`.

    Results without a fraction are whole numbers. The name of a parameter alone stands for its
    value, which may be text. Raises InvalidValueError, which names the argument `name`, and
    UnknownNameError for an unknown parameter.
    """
    alone = parameters.get(text.strip())
    if alone is not None:
        return alone
    numbers = {key: own for key, own in parameters.items() if not isinstance(own, str | bool)}
    bound = "arithmetic (+ - * / // ** sqrt) on numbers and parameters"
    try:
        value = _evaluate(text, numbers)
    except _UnknownWordError as error:
        if error.args[0] in parameters:
            remedy = f"the parameter {error.args[0]} is no number: it may only stand alone"
            raise InvalidValueError(name, f"={text}", bound, remedy) from None
        raise UnknownNameError("parameter", error.args[0], parameters) from None
    except (ValueError, ArithmeticError) as error:
        remedy = _remedy(error, ON_PARAMETERS)
        raise InvalidValueError(name, f"={text}", bound, remedy) from None
    if not isinstance(value, float):
        return value
    if not math.isfinite(value):
        raise InvalidValueError(name, f"={text}", bound, _remedy(OverflowError(), ON_PARAMETERS))
    return int(value) if value.is_integer() and abs(value) <= _EXACT else value


class _UnknownWordError(ValueError):
    """A name in arithmetic that is no parameter."""


def _remedy(error: Exception, examples: str) -> str:
    if isinstance(error, OverflowError):
        return "its result is too large"
    return "it divides by zero" if isinstance(error, ZeroDivisionError) else examples


def _evaluate(text: str, names: Mapping[str, Number] = MappingProxyType({})) -> Number:
    """Return the value of an arithmetic expression, in which `names` may stand for numbers.

    Raises ValueError for anything else, ArithmeticError for a result that is not a number.
    """
    if len(text) > MOST_LETTERS:
        raise ValueError("too long")
    try:
        with warnings.catch_warnings(action="ignore"):  # of numbers that run into words
            tree = ast.parse(text.strip(), mode="eval")
    except (SyntaxError, RecursionError, MemoryError) as error:
        raise ValueError("no arithmetic") from error
    return _value(tree.body, names)


def _value(node: ast.expr, names: Mapping[str, Number]) -> Number:
    match node:
        case ast.Constant(value=int() | float() as value) if not isinstance(value, bool):
            return value
        case ast.UnaryOp() if type(node.op) in _UNARY:
            return _UNARY[type(node.op)](_value(node.operand, names))
        case ast.BinOp() if type(node.op) in _BINARY:
            return _BINARY[type(node.op)](_value(node.left, names), _value(node.right, names))
        case ast.Call(func=ast.Name(id=name), args=[argument], keywords=[]) if name in _FUNCTIONS:
            return _FUNCTIONS[name](_value(argument, names))
        case ast.Name(id=name) if name in names:
            return names[name]
        case ast.Name(id=name):
            raise _UnknownWordError(name)
    raise ValueError("no arithmetic")
