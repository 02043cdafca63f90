"""Names of tables as people write them: in any case, LeakyReLU or leaky-relu, by an alias."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from types import MappingProxyType

from snstat.errors import UnknownNameError

# Names that other frameworks have for ours.
ACTIVATION_ALIASES: Mapping[str, str] = MappingProxyType({"swish": "silu", "linear": "identity"})
INIT_ALIASES: Mapping[str, str] = MappingProxyType(
    {
        f"{other}_{kind}": f"{own}_{kind}"
        for other, own in (("kaiming", "he"), ("xavier", "glorot"))
        for kind in ("normal", "uniform", "truncated")
    }
)
NO_ALIASES: Mapping[str, str] = MappingProxyType({})


def known(
    name: str, value: object, names: Collection[str], aliases: Mapping[str, str] = NO_ALIASES
) -> str:
    """Return which of `names` `value` is.

    `aliases` are other names for some of them: "swish" of "silu". Raises UnknownNameError for an
    argument called `name`, with the nearest name that is known.
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
