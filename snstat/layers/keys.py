"""The keys of a kind of layers in files."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import MISSING, Field, fields
from functools import cache
from types import MappingProxyType
from typing import Any, NamedTuple

from snstat.errors import InvalidValueError
from snstat.layers.layer import Layer
from snstat.values.option import Option, options_of

# Keys of every layer, whatever its kind.
KIND, NAME, INPUT, INPUTS, WHEN = "kind", "name", "input", "inputs", "when"
OF_EVERY_LAYER = (KIND, NAME, INPUT, INPUTS, WHEN)
# The layers that a container holds: their key, where the field of the class is called otherwise.
LAYERS = "layers"
_SPELLED = {"entries": LAYERS}
# The sources that are no names of layers: the container's input, and the layer before.
PREVIOUS = "previous"
# No numbers, which stand for layers without a name; no dots, which join the names in a path.
_LAYER_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,99}", re.ASCII)
NAME_WORDS = "a letter or _, then letters, digits, - or _, at most 100"


class Key(NamedTuple):
    """One key of a kind: the field of its class, what it holds, and its default, MISSING for a key
    that must be given."""

    field: str
    option: Option
    default: Any

    @property
    def required(self) -> bool:
        """Whether a layer must have it."""
        return self.default is MISSING


@cache
def keys_of(kind: type[Layer]) -> Mapping[str, Key]:
    """Return the keys of a kind, by name: those that must be given first."""
    declared = options_of(kind)
    entries = [entry for entry in fields(kind) if entry.name in declared]  # type: ignore[arg-type]  # kinds are dataclasses
    found = [Key(entry.name, declared[entry.name], _default(entry)) for entry in entries]
    found.sort(key=lambda key: not key.required)
    return MappingProxyType({_SPELLED.get(key.field, key.field): key for key in found})


def _default(entry: Field[Any]) -> Any:
    made = entry.default_factory
    return entry.default if made is MISSING else made()


def require_names(names: Collection[str]) -> None:
    """Raise InvalidValueError for what cannot name layers of one container: characters that paths
    and lists of layers use, the words `input` and `previous`, and names that occur twice. Empty
    ones stand for no name."""
    seen = set[str]()
    for name in filter(None, names):
        if not _LAYER_NAME.fullmatch(name):
            raise InvalidValueError(NAME, name, NAME_WORDS)
        if name in (INPUT, PREVIOUS):
            bound = "another word: input and previous say where a layer starts from"
            raise InvalidValueError(NAME, name, bound)
        if name in seen:
            raise InvalidValueError(NAME, name, "the name of one layer of its container only")
        seen.add(name)
