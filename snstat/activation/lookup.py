"""From what people write to an activation: names in any case, aliases, parameters after a colon."""

from __future__ import annotations

from functools import lru_cache

from snstat.activation.base import Activation
from snstat.activation.table import ACTIVATIONS
from snstat.errors import InvalidValueError, UnknownNameError
from snstat.names import ACTIVATION_ALIASES, known

# What stands between the name of an activation and a parameter of it.
PARAMETER_MARK = ":"


def resolve(activation: str | Activation, argument: str = "activation") -> Activation:
    """Return the activation that `activation` names; one that is an Activation already stays.

    Names match whatever their case and by their aliases ("swish" is "silu"); a parameter follows a
    colon. The `name` of what is returned is canonical. Raises UnknownNameError with the nearest
    name, and InvalidValueError for a parameter, both for an argument called `argument`.
    """
    if isinstance(activation, Activation):
        return activation
    if not isinstance(activation, str):
        raise UnknownNameError(argument, activation, ACTIVATIONS, ACTIVATION_ALIASES)
    return ACTIVATIONS.get(activation) or _resolve(activation, argument)


@lru_cache(maxsize=256)
def _resolve(text: str, argument: str) -> Activation:
    word, mark, parameter = text.partition(PARAMETER_MARK)
    name = known(argument, word, ACTIVATIONS, ACTIVATION_ALIASES)
    if mark:
        bound = f"{name} alone, which takes no parameter"
        raise InvalidValueError(argument, text, bound, f"leave out {mark}{parameter}")
    return ACTIVATIONS[name]
