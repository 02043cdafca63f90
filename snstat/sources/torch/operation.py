"""One operation of a graph, and what is known of the values that it takes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from snstat.layers.layer import Layer
from snstat.sources.torch.draws import Draws
from snstat.sources.torch.graph import Node, Ref

POSITIONS = "values with positions have no theory"
OTHERS = "it depends on other values than those of the input"


class NotMappedError(Exception):
    """Why an operation is no layer, in a few words; none where it simply has no theory."""


@dataclass
class Value:
    """What a node returns: the values of the layer number `entry` (0 is the input), or a
    `parameter`, or a `number`; or something else, of which nothing is known if `ended`, and which
    does not depend on the input if not. What has `ended` may be a view of its `bases`."""

    entry: int | None = None
    parameter: str | None = None
    number: float | None = None
    ended: bool = False
    bases: tuple[Value, ...] = ()

    def end(self) -> None:
        """Know nothing of it any more, nor of what it may be a view of."""
        self.entry, self.number, self.ended = None, None, True
        for base in self.bases:
            base.end()


class Made(NamedTuple):
    """The layer that an operation is, with the entries that it starts from, and the factors of
    these, if they are not 1; None for one that leaves the values as they are."""

    layer: Layer | None
    inputs: tuple[int, ...]
    factors: tuple[float, ...] = ()


@dataclass(frozen=True)
class Context:
    """What all nodes have in common: what is known of values and parameters, the shapes of values,
    whether the whole module is in train mode, and the ε of its numbers. `used` are the parameters
    that layers drew so far."""

    values: Mapping[str, Value]
    shapes: Mapping[str, tuple[int, ...]]
    draws: Draws
    train: bool
    epsilon: float
    used: set[str] = field(default_factory=set)


class Operation:
    """A node, and the values of its arguments."""

    def __init__(self, node: Node, context: Context) -> None:
        self.node, self.context = node, context
        self.draws, self.train = context.draws, context.train
        self._values, self._shapes = context.values, context.shapes

    def __getitem__(self, name: str) -> Any:
        """Return an argument as it is."""
        return self.node.arguments.get(name)

    def shape(self, name: str) -> tuple[int, ...]:
        """Return the shape of an argument, () of what is no tensor."""
        value = self[name]
        return self._shapes.get(value.name, ()) if isinstance(value, Ref) else ()

    def value(self, name: str) -> Value:
        """Return what is known of an argument."""
        found = self[name]
        return self._values[found.name] if isinstance(found, Ref) else Value()

    def entry(self, name: str) -> int:
        """Return the layer that an argument is the output of."""
        return self.entry_of(self[name])

    def entry_of(self, value: Any) -> int:
        """Return the layer that a value is the output of. Raises NotMappedError for others."""
        found = self._values[value.name].entry if isinstance(value, Ref) else None
        if found is None:
            raise NotMappedError(OTHERS)
        if len(self._shapes.get(value.name, ())) != 2:
            raise NotMappedError(POSITIONS)
        return found

    def number(self, name: str) -> float | None:
        """Return the number that an argument is, or that all its values are; None if it is none."""
        value = self[name]
        if not isinstance(value, Ref):
            return float(value) if isinstance(value, int | float) else None
        found = self._values[value.name]
        if found.parameter is not None:
            return self.draws.constant(found.parameter)
        return found.number

    def parameter(self, name: str) -> str | None:
        """Return the name of the parameter that an argument is, None if it is none."""
        return self.value(name).parameter

    def drawn(self, name: str, what: str) -> str:
        """Return the name of a parameter that a layer draws. Raises NotMappedError for values that
        are no parameter, or one that an earlier layer drew."""
        found = self.parameter(name)
        if found is None:
            raise NotMappedError(f"its {what} are computed from others")
        if found in self.context.used:
            raise NotMappedError(f"its {what} were used before")
        if self.draws.constant(found) != 0.0:
            self.context.used.add(found)
        return found

    def require(self, name: str, wanted: float, words: str) -> None:
        """Raise NotMappedError for an argument that is given and not this number throughout."""
        if self[name] is not None and self.number(name) != wanted:
            raise NotMappedError(words)
