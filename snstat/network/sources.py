"""Which layers each layer of a network starts from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from snstat.layers.container import Container
from snstat.layers.entry import chosen
from snstat.layers.layer import Layer


@dataclass(frozen=True, slots=True)
class Sourced:
    """A layer, its number from 1, and the numbers of the layers that it starts from; 0 is the
    input of the network."""

    number: int
    layer: Layer
    sources: tuple[int, ...]


def sourced(
    container: Container, first: int = 1, source: int = 0, *outer: int
) -> Iterator[Sourced]:
    """Yield every layer of a container in order, repetitions included.

    Its own first layer has the number `first`, and it starts from layer `source`, and from the
    layers `outer` besides.
    """
    for _ in range(container.repetitions):
        ends = [source]
        for place, entry in enumerate(container.parts):
            given = tuple(chosen(ends, outer, entry.inputs or (place,)))
            if isinstance(entry.layer, Container):
                yield from sourced(entry.layer, first, *given)
            else:
                yield Sourced(first, entry.layer, given)
            first += entry.layer.count
            ends.append(first - 1)  # a container ends with its last layer
        source = ends[-1]
