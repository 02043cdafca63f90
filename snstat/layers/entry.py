"""The entries of a container: layers, and which of the others they start from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from snstat.errors import InvalidValueError, LayerError, SnstatError
from snstat.layers.keys import Key, require_names
from snstat.layers.layer import Layer
from snstat.values.kinds import Kind

T = TypeVar("T")
# Layers outside that one container may start from.
MOST_OUTER = 1000


@dataclass(frozen=True, slots=True)
class Entry:
    """A layer of a container.

    `inputs` are the numbers of the entries that it starts from, counted from 1; 0 is the input of
    the container, and -1, -2, ... are layers outside, the second, third, ... input that the
    container itself is given. () stands for the entry before. `name` defaults to its place among
    its siblings.
    """

    layer: Layer
    inputs: tuple[int, ...] = ()
    name: str = ""


def chosen(found: Sequence[T], outer: Sequence[T], numbers: Sequence[int]) -> list[T]:
    """Return those with these `numbers` of what is `found` within a container, 0 for its input,
    and of layers outside, from -1 down."""
    return [found[n] if n >= 0 else outer[-1 - n] for n in numbers]


class Entries(Kind):
    """The entries of a container."""

    name = "layers"
    words = "a list of layers"

    def check(self, name: str, value: Any) -> tuple[Entry, ...]:
        """Return layers and entries as entries. Raises InvalidValueError for none, for what is no
        layer, for an entry that starts from one that comes after it, and for names that no layers
        can have."""
        if isinstance(value, str) or not isinstance(value, Iterable):
            raise InvalidValueError(name, value, "a list of layers")
        found = tuple(e if isinstance(e, Entry) else Entry(e) for e in value)
        if not found:
            raise InvalidValueError(name, "none", "one layer or more")
        for place, entry in enumerate(found):
            require_layer(f"layer {place}", entry.layer)
            for source in entry.inputs:
                if not -MOST_OUTER <= source <= place:
                    bound = f"the number of a layer before it, 0 to {place}, or -1 of one outside"
                    raise InvalidValueError(f"inputs of layer {place}", source, bound)
        require_names([entry.name for entry in found])
        return found


def require_layer(name: str, value: Any) -> None:
    """Raise InvalidValueError for what is no layer."""
    if not isinstance(value, Layer):
        several = isinstance(value, list | tuple)
        remedy = "give them one by one: chain(*layers)" if several else ""
        raise InvalidValueError(name, value, "a layer, such as Dense(512)", remedy)


def holds_layers(key: Key) -> bool:
    """Return whether layers are the value of a key, rather than a number or a name."""
    return isinstance(key.option.kind, Entries)


def evaluated(entries: tuple[Entry, ...]) -> tuple[Entry, ...]:
    """Return the layers that these are in eval mode (see `Layer.evaluated`)."""
    found = []
    for place, entry in enumerate(entries):
        with at(entry.name or str(place)):
            found.append(replace(entry, layer=entry.layer.evaluated()))
    return tuple(found)


@contextmanager
def at(label: str) -> Iterator[None]:
    """Name a layer in errors; an empty `label` is no name."""
    try:
        yield
    except MemoryError:
        raise
    except Exception as error:  # noqa: BLE001  # whatever a kind raises is told with its path
        cause = None if isinstance(error, SnstatError) else error
        raise LayerError.of((label,) if label else (), error) from cause
