"""Look-up of activations: names in any case, aliases, parameters after a colon."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from types import MappingProxyType

import numpy as np

from snstat.activation.base import Activation, Asymptote, Elementwise, FloatArray, Form
from snstat.activation.pair import NAME, Pair, PairName, of_name, of_pair
from snstat.activation.sine import sine_with
from snstat.activation.table import ACTIVATIONS, elu_with, leaky_relu_with
from snstat.errors import InvalidValueError, UnknownNameError
from snstat.values import real
from snstat.values.names import ACTIVATION_ALIASES, known

# Separates the name of an activation from its parameter.
PARAMETER_MARK = ":"


@dataclass(frozen=True, slots=True)
class Parameter:
    """The parameter of an activation: its name, its bounds, and `build`, which makes the
    activation from a value and a name."""

    name: str
    low: float
    high: float
    build: Callable[[float, str], Activation]


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
        raise UnknownNameError(argument, activation, ACTIVATIONS, ACTIVATION_ALIASES)
    return ACTIVATIONS.get(activation) or _resolve(activation, argument)


@lru_cache(maxsize=256)
def _resolve(text: str, argument: str) -> Activation:
    if NAME.fullmatch(text):
        return of_name(text)
    word, mark, rest = text.partition(PARAMETER_MARK)
    name = known(argument, word, ACTIVATIONS, ACTIVATION_ALIASES)
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
    if name == "leaky_relu" and value in _STRAIGHT:
        return ACTIVATIONS[_STRAIGHT[value]]
    if ACTIVATIONS[name].parameters == (value,):
        return ACTIVATIONS[name]
    short = f"{value:g}"
    written = short if float(short) == value else repr(value)
    return PARAMETERS[name].build(value, f"{name}{PARAMETER_MARK}{written}")


def _scaled(base: str, argument: str) -> Callable[[float, str], Activation]:
    """Return a builder of φ(βx)/β, φ being `base`: β is N, or 1/N for an `argument` of "1/N"."""

    def build(value: float, name: str) -> Activation:
        return scaled(ACTIVATIONS[base], value if argument == "N" else 1.0 / value, name, value)

    return build


def scaled(entry: Activation, rate: float, name: str, parameter: float) -> Activation:
    """Return φ(rate·x)/rate with parameter `parameter`, where φ is the activation `entry`."""

    def within(x: FloatArray) -> FloatArray:
        with np.errstate(over="ignore"):
            return rate * x

    def shrunk(function: Elementwise) -> Elementwise:
        return lambda x: function(within(np.asarray(x, dtype=np.float64))) / rate

    def level(asymptote: Asymptote | None) -> Asymptote | None:
        if asymptote is None:
            return None
        return Asymptote(asymptote.level / rate, shrunk(asymptote.residual))

    bound = entry.formed("clip")
    form: Form | None = None if bound is None else ("clip", bound[0] / rate)
    return replace(
        entry,
        name=name,
        formula=f"φ({rate:g}·x)/{rate:g} with φ(x) = {entry.formula}",
        function=shrunk(entry.function),
        derivative=lambda x: entry.derivative(within(np.asarray(x, dtype=np.float64))),
        curvature=lambda x: rate * entry.curvature(within(np.asarray(x, dtype=np.float64))),
        kinks=tuple(kink / rate for kink in entry.kinks),
        flat=tuple((low / rate, high / rate) for low, high in entry.flat),
        left=level(entry.left),
        right=level(entry.right),
        pole_distance=entry.pole_distance / rate,
        bend=entry.bend / rate,
        form=form,
        parameters=(parameter,),
    )


# Slopes for which leaky ReLU is another activation.
_STRAIGHT = {0.0: "relu", 1.0: "identity"}

PARAMETERS: Mapping[str, Parameter] = MappingProxyType(
    {
        "leaky_relu": Parameter("slope", -1.0, 1.0, leaky_relu_with),
        "elu": Parameter("alpha", 1e-3, 100.0, elu_with),
        "silu": Parameter("beta", 1e-3, 1e3, _scaled("silu", "N")),
        "softplus": Parameter("beta", 1e-3, 1e3, _scaled("softplus", "N")),
        "hard_tanh": Parameter("bound", 1e-3, 1e3, _scaled("hard_tanh", "1/N")),
        "sine": Parameter("frequency", 1e-3, 1e4, sine_with),
    }
)
