"""The layers of a network one after the other: all of them, or those of some numbers."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from snstat.activation import resolve
from snstat.layers.activation import Activation
from snstat.layers.container import Container
from snstat.layers.dense import Dense
from snstat.layers.entry import chosen
from snstat.layers.layer import Layer
from snstat.layers.shape import Shape


@dataclass(frozen=True, slots=True)
class Row:
    """One layer: its number from 1, its name (the names of its containers, the repetition of those
    with `times`, and its own, joined by dots), the layer, and the shapes before and after it. An
    `inner` layer is within a residual."""

    number: int
    name: str
    layer: Layer
    before: tuple[Shape, ...]
    after: Shape
    inner: bool = False

    @property
    def activation(self) -> str | None:
        """The name of the activation that the layer ends with, "identity" for a dense layer without
        one, None for other kinds."""
        if isinstance(self.layer, Activation):
            return resolve(self.layer.activation).name
        return self.layer.activation_name if isinstance(self.layer, Dense) else None


# Shapes after the parts of a container, by its identity and the shape before: a container within a
# repeated one is asked once.
Seen = dict[tuple[int, Shape, tuple[Shape, ...]], list[Shape]]
MOST_SEEN = 1024


def rows_of(container: Container, shape: Shape, numbers: Sequence[int]) -> Iterator[Row]:
    """Yield the layers of a network that have these `numbers`, which ascend.

    Repetitions and containers without any of them are passed over at once.
    """
    return _rows(container, (shape,), (), 1, numbers, {}, inner=False)


def different_layers(
    container: Container, shape: Shape, *outer: Shape
) -> Iterator[tuple[Layer, Sequence[Shape]]]:
    """Yield the layers of a container with the shapes before them, in order. Repetitions that
    change no shape come once."""
    for _ in range(container.repetitions):
        shapes = container.shapes(shape, outer)
        for place, entry in enumerate(container.parts):
            before = chosen(shapes, outer, entry.inputs or (place,))
            if isinstance(entry.layer, Container):
                yield from different_layers(entry.layer, *before)
            else:
                yield entry.layer, before
        if shapes[-1] == shape:
            return
        shape = shapes[-1]


def _rows(
    container: Container,
    inputs: Sequence[Shape],
    path: tuple[str, ...],
    first: int,
    wanted: Sequence[int],
    seen: Seen,
    *,
    inner: bool,
) -> Iterator[Row]:
    """Yield the `wanted` rows of a container whose first layer has the number `first`."""
    shape, outer = container.split(inputs)
    shapes = _shapes(container, shape, tuple(outer), seen)
    count, now, begun = container.count // container.repetitions, 0, 0
    while begun < len(wanted):
        turn = (wanted[begun] - first) // count
        while now < turn:
            before, shape = shape, shapes[-1]
            if shape == before:
                now = turn
            else:
                shapes, now = _shapes(container, shape, tuple(outer), seen), now + 1
        start = first + turn * count
        done = bisect_left(wanted, start + count)
        here = path if container.times is None else (*path, str(turn))
        own = wanted[begun:done]
        yield from _turn(container, (shapes, outer), here, start, own, seen, inner=inner)
        begun = done


def _turn(
    container: Container,
    known: tuple[Sequence[Shape], Sequence[Shape]],
    path: tuple[str, ...],
    number: int,
    wanted: Sequence[int],
    seen: Seen,
    *,
    inner: bool,
) -> Iterator[Row]:
    """Yield the `wanted` rows of one repetition, whose first layer is `number`. Shapes after
    its entries are `known`, and those of layers outside."""
    (shapes, outer), begun = known, 0
    for place, (label, entry) in enumerate(zip(container.labels, container.parts, strict=True)):
        done = bisect_left(wanted, number + entry.layer.count)
        if done > begun:
            before = tuple(chosen(shapes, outer, entry.inputs or (place,)))
            here = (*path, label) if label else path
            within = inner or (container.sums and place < len(container.parts) - 1)
            if isinstance(entry.layer, Container):
                yield from _rows(
                    entry.layer, before, here, number, wanted[begun:done], seen, inner=within
                )
            else:
                yield Row(number, ".".join(here), entry.layer, before, shapes[place + 1], within)
        number, begun = number + entry.layer.count, done


def _shapes(
    container: Container, shape: Shape, outer: tuple[Shape, ...], seen: Seen
) -> list[Shape]:
    key = id(container), shape, outer
    if key not in seen:
        if len(seen) >= MOST_SEEN:  # shapes that change with every repetition
            seen.clear()
        seen[key] = container.shapes(shape, outer)
    return seen[key]
