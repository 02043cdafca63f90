"""Names: look-up in any case, with or without hyphens, or by an alias, and how they are shown."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from types import MappingProxyType

from snstat.errors import UnknownNameError

# Names that other frameworks use.
ACTIVATION_ALIASES: Mapping[str, str] = MappingProxyType({"swish": "silu", "linear": "identity"})
INIT_ALIASES: Mapping[str, str] = MappingProxyType(
    {
        f"{other}_{kind}": f"{own}_{kind}"
        for other, own in (("kaiming", "he"), ("xavier", "glorot"))
        for kind in ("normal", "uniform", "truncated")
    }
)
# How the literature writes them.
DISPLAY_NAMES = {
    "selu": "SELU",
    "relu": "ReLU",
    "leaky_relu": "leaky ReLU",
    "elu": "ELU",
    "gelu": "GELU",
    "silu": "SiLU",
    "hard_tanh": "hard tanh",
    "mish": "Mish",
    "gelu_tanh": "GELU (tanh)",
    "relu6": "ReLU6",
    "hard_sigmoid": "hard sigmoid",
    "hard_swish": "hard swish",
    "relu_squared": "squared ReLU",
}
NO_ALIASES: Mapping[str, str] = MappingProxyType({})


def known(
    name: str, value: object, names: Collection[str], aliases: Mapping[str, str] = NO_ALIASES
) -> str:
    """Return the entry of `names` that `value` means: leaky_relu for LeakyReLU or leaky-relu.

    `aliases` maps other names to them, such as "swish" to "silu". Raises UnknownNameError, which
    names the argument `name` and suggests the nearest known name.
    """
    if isinstance(value, str):
        if value in names:
            return value
        word = _plain(value)
        word = next((_plain(own) for other, own in aliases.items() if _plain(other) == word), word)
        for entry in names:
            if _plain(entry) == word:
                return entry
    raise UnknownNameError(name, value, names, aliases)


def _plain(text: str) -> str:
    return text.strip().lower().replace("-", "").replace("_", "")


def display_name(activation: str) -> str:
    """Return an activation's name as the literature writes it, followed by its parameter. The name
    of a pair of functions stays as it is."""
    name, _, parameter = activation.partition(":")
    if name == "custom":
        return activation
    return f"{DISPLAY_NAMES.get(name, name)} {parameter}".strip()
