"""The order in which the layers of a block are sampled, and what has to be kept meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import NamedTuple

from snstat.layers.container import Container
from snstat.layers.entry import chosen
from snstat.layers.layer import Layer

# Networks of at most so many layers are gone through once for all trials.
KEPT = 10_000


class Place(NamedTuple):
    """A layer within a network, by its `number` from 1.

    It starts from the layers with the numbers `sources`; 0 is the input. Beside its own values,
    later layers need those of the layers `kept`. `path` has the names of its containers and its
    own.
    """

    number: int
    layer: Layer
    sources: tuple[int, ...]
    kept: frozenset[int]
    path: tuple[str, ...]


class Order:
    """The layers of a network's block in order, which several trials go through."""

    def __init__(self, block: Container) -> None:
        self._block = block
        self._kept = list(places(block)) if block.count <= KEPT else None

    def since(self, begin: int) -> Iterator[Place]:
        """Yield the layers from number `begin` on."""
        if self._kept is None:
            return places(self._block, begin)
        return islice(self._kept, begin - 1, None)


def places(block: Container, begin: int = 1) -> Iterator[Place]:
    """Yield the layers of a network's block from number `begin` on.

    Repetitions are neither unrolled in memory nor gone through before `begin`.
    """
    return _places(block, (0,), 1, begin, frozenset(), (), {})


def _places(
    block: Container,
    given: tuple[int, ...],
    first: int,
    begin: int,
    outside: frozenset[int],
    path: tuple[str, ...],
    seen: dict[int, list[_Entry]],
) -> Iterator[Place]:
    """Yield the layers of a block that starts from the layers `given`, the first of which has
    number `first`. Its containers need the layers `outside` later. `seen` are the entries of blocks
    by the identity of these: a block within a repeated one is looked at once."""
    if id(block) not in seen:
        seen[id(block)] = list(_entries(block))
    source, *outer = given
    outside = outside.union(outer)  # in all turns
    length, entries = block.count // block.repetitions, seen[id(block)]
    used = {index for entry in entries for index in entry.ends}
    for turn in range(max(0, (begin - first) // length), block.repetitions):
        number = first + turn * length
        above = path if block.times is None else (*path, str(turn))
        # The numbers of the input and of the last layer of every entry.
        found = [source if turn == 0 else number - 1]
        needed = {0} & used
        for place, (layer, inputs, ends, label) in enumerate(entries, 1):
            sources = tuple(chosen(found, outer, inputs))
            needed.difference_update(ends)
            kept = outside.union([found[n] for n in needed]) if needed else outside
            after = number + layer.count
            within = (*above, label) if label else above
            if after > begin and isinstance(layer, Container):
                yield from _places(layer, sources, number, begin, kept, within, seen)
            elif after > begin:
                yield Place(number, layer, sources, kept, within)
            number = after
            found.append(number - 1)
            if place in used:
                needed.add(place)


class _Entry(NamedTuple):
    """An entry of a block: its layer and its inputs, which of these no later entry starts from (0
    is the input of the block), and its name."""

    layer: Layer
    inputs: tuple[int, ...]
    ends: tuple[int, ...]
    label: str


def _entries(block: Container) -> Iterator[_Entry]:
    """Yield the entries of a block."""
    inputs = [entry.inputs or (place,) for place, entry in enumerate(block.parts)]
    last = {index: place for place, own in enumerate(inputs) for index in own}
    for place, (entry, label) in enumerate(zip(block.parts, block.labels, strict=True)):
        ends = tuple({n for n in inputs[place] if last[n] == place})
        yield _Entry(entry.layer, inputs[place], ends, label)
