"""Look-up of activations: names in any case, aliases, parameters after a colon."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType

from snstat.activation.base import Activation, Parameter
from snstat.activation.pair import NAME, Pair, PairName, of_name, of_pair
from snstat.activation.table import ACTIVATIONS
from snstat.errors import InvalidValueError, UnknownNameError
from snstat.values import real
from snstat.values.names import known

# Separates the name of an activation from its parameter.
PARAMETER_MARK = ":"


ALIASES: Mapping[str, str] = MappingProxyType(
    {alias: entry.name for entry in ACTIVATIONS.values() for alias in entry.aliases}
)
# The activations that take a parameter.
PARAMETERS: Mapping[str, Parameter] = MappingProxyType(
    {entry.name: entry.parameter for entry in ACTIVATIONS.values() if entry.parameter}
)


def resolve(activation: str | Pair | Activation, argument: str = "activation") -> Activation:
    """Return the activation for a name or a pair (φ, φ′) of functions; an Activation is returned
    unchanged.

    Names match in any case and by alias ("swish" is "silu"). A parameter follows a colon. The
    `name` of the result is canonical. Raises UnknownNameError, which suggests the nearest name, and
    InvalidValueError for a wrong parameter; both name the argument `argument`.
    """
    if isinstance(activation, Activation):
        return activation
    if isinstance(activation, PairName):
        return activation.activation
    if isinstance(activation, tuple | list) or callable(activation):
        return of_pair(activation, argument)
    if not isinstance(activation, str):
        raise UnknownNameError(argument, activation, ACTIVATIONS, ALIASES)
    return ACTIVATIONS.get(activation) or _resolve(activation, argument)


@lru_cache(maxsize=256)
def _resolve(text: str, argument: str) -> Activation:
    if NAME.fullmatch(text):
        return of_name(text)
    word, mark, rest = text.partition(PARAMETER_MARK)
    name = known(argument, word, ACTIVATIONS, ALIASES)
    if not mark:
        return ACTIVATIONS[name]
    parameter = PARAMETERS.get(name)
    if parameter is None:
        bound = f"{name} without a parameter"
        raise InvalidValueError(argument, text, bound, f"leave out {mark}{rest}")
    bound = f"{name}{mark}N with {parameter.name} N from {parameter.low:g} to {parameter.high:g}"
    try:
        value = real(argument, rest)
    except InvalidValueError:
        raise InvalidValueError(argument, text, bound) from None
    if not parameter.low <= value <= parameter.high:
        raise InvalidValueError(argument, text, bound)
    return _of_value(name, value)


@lru_cache(maxsize=256)
def _of_value(name: str, value: float) -> Activation:
    """Return the activation with a parameter, under its canonical name."""
    entry = ACTIVATIONS[name]
    if entry.parameters == (value,):
        return entry
    short = f"{value:g}"
    written = short if float(short) == value else repr(value)
    built = PARAMETERS[name].build(entry, value, f"{name}{PARAMETER_MARK}{written}")
    # Leaky ReLU of slope 0 is ReLU.
    same = (other for other in ACTIVATIONS.values() if built.form and other.form == built.form)
    return next(same, built)


def display_name(activation: str) -> str:
    """Return an activation's name as the literature writes it, followed by its parameter. The name
    of a pair of functions stays as it is."""
    name, _, parameter = activation.partition(PARAMETER_MARK)
    if name not in ACTIVATIONS:
        return activation
    return f"{ACTIVATIONS[name].display or name} {parameter}".strip()
