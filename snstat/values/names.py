"""Names: look-up in any case, with or without hyphens, or by an alias; lists of them in words."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from types import MappingProxyType

from snstat.errors import UnknownNameError

# Names that other frameworks use.
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


def listed(names: Sequence[str]) -> str:
    """Return names in words: "mean", "mean and z", "mean, variance and z"."""
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last
