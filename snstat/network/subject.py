"""The subject of `snstat.propagate` and `snstat.check`: an activation, or a network in any form."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from typing import Any, TypeGuard

from snstat.activation.kind import ActivationName
from snstat.errors import InvalidValueError
from snstat.layers.build import Named
from snstat.layers.entry import Entry
from snstat.layers.layer import Layer
from snstat.network.network import SUFFIX, Network
from snstat.network.stack import Stack
from snstat.results import Run
from snstat.values.kinds import Kind

# How the names of saved runs end.
SAVED = ".json"
_WORDS = "an activation, a network or the path of its file"


class Subject(Kind):
    """An activation, a network or a stack, or the path of a network file."""

    def check(self, name: str, value: Any) -> Any:
        """See Kind."""
        _require_whole(name, value)
        return value if is_network(value) else ActivationName().check(name, value)

    def names(self) -> Collection[str]:
        """See Kind."""
        return ActivationName().names()


def is_network(subject: Any) -> bool:
    """Return whether a subject is a network or the path of its file, not an activation."""
    if isinstance(subject, str):
        return subject.lower().endswith(SUFFIX)
    return isinstance(subject, Network | Stack | os.PathLike)


def is_saved(subject: Any) -> TypeGuard[str | os.PathLike[str]]:
    """Return whether a subject is the path of a saved run."""
    return isinstance(subject, str | os.PathLike) and str(subject).lower().endswith(SAVED)


def network_of(subject: Any, changes: Mapping[str, Any]) -> Network | None:
    """Return the network that a subject is, with its parameters changed, None for an activation.

    Raises InvalidValueError for changes of anything but a file, and for what is no subject.
    """
    _require_whole("activation", subject)
    if is_network(subject) and not isinstance(subject, Network | Stack):
        return Network.load(subject, set=changes)
    if changes:
        bound = "left out beside anything but a network file"
        raise InvalidValueError("set", dict(changes), bound, "it sets the parameters of a file")
    if isinstance(subject, Stack):
        return Network.of(subject)
    return subject if isinstance(subject, Network) else None


def _require_whole(name: str, value: Any) -> None:
    """Raise InvalidValueError for what a network can be made of, and for what has been made of
    one, with what to pass instead."""
    several = isinstance(value, list | tuple) and len(value) > 0
    first = value[0] if several else value
    if isinstance(first, Layer | Named | Entry):
        layers = "chain(...)" if several or isinstance(first, Named | Entry) else "layers"
        remedy = f"say how many units enter them: Network(512, {layers})"
        raise InvalidValueError(name, "layers without an input", "a network", remedy)
    if isinstance(first, Run) or is_saved(first):
        done, one = ("several runs", "one at a time") if several else ("a run", "it")
        raise InvalidValueError(name, done, _WORDS, f"snstat.check judges {one}")
    if isinstance(value, Mapping):
        raise InvalidValueError(name, "plain data", _WORDS, "pass Network.read(...) of them")
