"""The order in which the layers of a block are sampled, and what has to be kept meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from snstat.layers.block import Block
from snstat.layers.layer import Layer


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


def places(block: Block, begin: int = 1) -> Iterator[Place]:
    """Yield the layers of a network's block from number `begin` on.

    Repetitions are neither unrolled in memory nor gone through before `begin`.
    """
    return _places(block, 0, 1, begin, frozenset(), ())


def _places(
    block: Block,
    source: int,
    first: int,
    begin: int,
    outside: frozenset[int],
    path: tuple[str, ...],
) -> Iterator[Place]:
    """Yield the layers of a block that starts from layer `source`, the first of which has number
    `first`. Its containers need the layers `outside` later."""
    length, ends = block.count // block.times, _ends(block)
    used = {index for indices in ends.values() for index in indices}
    labels = block.labels
    for turn in range(max(0, (begin - first) // length), block.times):
        number = first + turn * length
        # The numbers of the input and of the last layer of every entry.
        found = [source if turn == 0 else number - 1]
        needed = {0} & used
        for place, entry in enumerate(block.entries):
            sources = tuple(found[n] for n in entry.inputs or (place,))
            needed.difference_update(ends.get(place, ()))
            kept = outside.union(found[n] for n in needed)
            here = (*path, labels[place]) if block.times == 1 else (*path, str(turn), labels[place])
            after = number + entry.layer.count
            if after > begin and isinstance(entry.layer, Block):
                yield from _places(entry.layer, sources[0], number, begin, kept, here)
            elif after > begin:
                yield Place(number, entry.layer, sources, kept, here)
            number = after
            found.append(number - 1)
            if place + 1 in used:
                needed.add(place + 1)


def _ends(block: Block) -> dict[int, list[int]]:
    """Return which inputs are used for the last time by each entry, both by their places."""
    last: dict[int, int] = {}
    for place, entry in enumerate(block.entries):
        last.update(dict.fromkeys(entry.inputs or (place,), place))
    ends: dict[int, list[int]] = {}
    for index, place in last.items():
        ends.setdefault(place, []).append(index)
    return ends
