"""Layers in order, put into blocks: what starts from one layer and ends in one is a layer itself.

Theory to first order in 1/width follows a sum only as far as the container that it is in, so
x + f(x) has to be a container of its own, a residual.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from snstat.layers.add import Add
from snstat.layers.block import Block
from snstat.layers.entry import Entry
from snstat.layers.residual_block import Residual


def nested(entries: Sequence[Entry]) -> tuple[Entry, ...]:
    """Return the same layers with a container for each part that ends where paths join. Their order
    stays. Every one of the `entries` says which others it starts from."""
    starts = _starts(entries)
    return _within(entries, starts, 0, len(entries))


def _starts(entries: Sequence[Entry]) -> dict[int, int]:
    """Return the number of the entry that a part starts from, by that of the join that it ends
    with.

    Nothing within a part starts from what is before, and nothing after it from what is within.
    """
    last = [0] * (len(entries) + 1)  # the last entry that starts from each
    for number, entry in enumerate(entries, 1):
        for source in entry.inputs:
            last[source] = number
    found = {}
    for end, join in enumerate(entries, 1):
        if len(join.inputs) < 2:
            continue
        earliest = min(join.inputs)
        for start in range(end - 1, -1, -1):
            if start <= earliest:
                found[end] = start
                break
            if last[start] > end:
                break
            earliest = min(earliest, *entries[start - 1].inputs)
    return found


def _within(
    entries: Sequence[Entry], starts: dict[int, int], begin: int, end: int
) -> tuple[Entry, ...]:
    """Return the entries after `begin` up to `end`, numbered from 1; `begin` is the input."""
    spans, last = list[tuple[int, int]](), end
    while last > begin:
        start = starts.get(last, last - 1)
        # The join of the whole itself is no part of it.
        start = last - 1 if (start, last) == (begin, end) else start
        spans.append((start, last))
        last = start
    numbers, found = {begin: 0}, []
    for place, (start, last) in enumerate(reversed(spans)):
        entry = entries[last - 1]
        inputs: tuple[int, ...] = (numbers[start],)
        if last - start == 1:
            inputs = tuple(numbers[n] for n in entry.inputs)
        else:
            entry = Entry(_container(_within(entries, starts, start, last)))
        found.append(replace(entry, inputs=() if inputs == (place,) else inputs))
        numbers[last] = place + 1
    return tuple(found)


def _container(entries: tuple[Entry, ...]) -> Block | Residual:
    """Return the container of layers of which the last joins paths: a residual if that adds what
    was before to what the others return."""
    *branch, join = entries
    if type(join.layer) is Add and not join.name and sorted(join.inputs) == [0, len(branch)]:
        return Residual(tuple(branch))
    return Block(entries)
