"""Networks of any layers, and the uniform stack as one of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, Self

from snstat.errors import InvalidValueError
from snstat.layers.block import Block
from snstat.layers.container import Container
from snstat.layers.dense import Dense
from snstat.layers.entry import Entry
from snstat.layers.initialisers import PLAIN
from snstat.layers.layer import Layer
from snstat.layers.options import defaults
from snstat.layers.shape import Shape
from snstat.limits import MAX_DEPTH
from snstat.network.stack import Stack
from snstat.network.widths import MAX_RUNS, joined

# Repetitions and layers that are looked at to find out whether a network is a stack.
_MOST_RUNS = 100_000


@dataclass(frozen=True, slots=True)
class Row:
    """One layer: its number from 1, its name (the names of its containers, the repetition of those
    with `times`, and its own, joined by dots), the layer, and the shapes before and after it."""

    number: int
    name: str
    layer: Layer
    before: tuple[Shape, ...]
    after: Shape


@dataclass(frozen=True, slots=True)
class Network:
    """A block of layers and the shape of its input.

    Raises LayerError with the path of a layer that its input does not fit, and InvalidValueError
    for more than 10⁹ layers.
    """

    input: Shape
    block: Block

    def __post_init__(self) -> None:
        """Validate the number of layers and their shapes."""
        if self.depth > MAX_DEPTH:
            raise InvalidValueError("layers", self.depth, f"at most {MAX_DEPTH:,}")
        self.block.shape([self.input])

    @classmethod
    def of(cls, stack: Stack) -> Network:
        """Return the network of a uniform stack."""
        return cls(Shape(stack.input_width), Block(tuple(_entries(stack))))

    @property
    def depth(self) -> int:
        """The number of layers."""
        return self.block.count

    def rows(self) -> Iterator[Row]:
        """Yield every layer in order; nothing is unrolled in memory."""
        rows = enumerate(_rows(self.block, self.input, ()), start=1)
        for number, (path, layer, before, after) in rows:
            yield Row(number, ".".join(path), layer, before, after)

    def turned(self, knob: str, value: Any) -> Self | None:
        """Return this network with an option of its layers set, None if no layer has it."""
        block = self.block.turned(knob, value)
        return None if block is None else replace(self, block=block)

    def uniform(self) -> Stack | None:
        """Return the stack that this network is: dense layers that are drawn alike, of which only
        the last may have another activation. None if it is another network."""
        found = list(islice(_runs(self.block), _MOST_RUNS + 1))
        dense = [(layer, times) for layer, times in found if isinstance(layer, Dense)]
        if self.input.grid or len(dense) < len(found) or len(found) > _MOST_RUNS:
            return None
        if any(layer.weights != PLAIN for layer, _ in dense):
            return None
        names = [layer.activation_name for layer, _ in dense]
        ends = dense[-1][1] == 1 and len(dense) > 1
        if len({*names[:-1]} if ends else {*names}) > 1 or len({_drawn(d) for d, _ in dense}) > 1:
            return None
        runs = joined((layer.width, times) for layer, times in dense)
        if len(runs) > MAX_RUNS:
            return None
        init, gain, weight_std, bias_std = _drawn(dense[0][0])
        return Stack(
            names[0],
            0,
            0,
            self.input.channels,
            init,
            gain,
            bias_std,
            last=names[-1],
            weight_std=weight_std,
            own_gain=gain is not None and dense[0][0].weight_gain is None,
        ).of_runs(runs)


def _entries(stack: Stack) -> Iterator[Entry]:
    """Yield the layers of a stack, with runs of equal ones as blocks."""
    runs = stack.runs or ((stack.width, stack.depth),)
    width, times = runs[-1]
    ends = ((width, times),) if stack.last is None else ((width, times - 1),)
    for units, count in (*runs[:-1], *ends):
        if count > 0:
            entry = Entry(_dense(stack, units, stack.activation))
            yield entry if count == 1 else Entry(Block((entry,), count))
    if stack.last is not None:
        yield Entry(_dense(stack, width, stack.last))


def _dense(stack: Stack, width: int, activation: str) -> Dense:
    init, gain = stack.init, stack.weight_gain
    if stack.own_gain and defaults(activation, None, None, None) == (init, gain):
        return Dense(width, activation, bias_std=stack.bias_std)
    return Dense(
        width,
        activation,
        init=init,
        weight_gain=gain,
        weight_std=stack.weight_std,
        bias_std=stack.bias_std,
    )


def _drawn(layer: Dense) -> tuple[str, float | None, float | None, float | None]:
    """Return initialiser, gain and standard deviation of the weights, and that of the biases."""
    init, gain = defaults(layer.activation_name, layer.init, layer.weight_gain, layer.weight_std)
    return init, gain, layer.weight_std, layer.bias_std


def _runs(layer: Layer) -> Iterator[tuple[Layer, int]]:
    """Yield the layers that follow each other, with their repetitions. A container in which a
    layer does not start from the one before is one of them."""
    if not isinstance(layer, Container):
        yield layer, 1
        return
    if any(entry.inputs not in ((), (place,)) for place, entry in enumerate(layer.parts)):
        yield layer, layer.times
        return
    if len(layer.parts) == 1:
        inner = list(islice(_runs(layer.parts[0].layer), 2))
        if len(inner) == 1:
            yield inner[0][0], inner[0][1] * layer.times
            return
    for _ in range(layer.times):
        for entry in layer.parts:
            yield from _runs(entry.layer)


def _rows(
    container: Container, shape: Shape, path: tuple[str, ...]
) -> Iterator[tuple[tuple[str, ...], Layer, tuple[Shape, ...], Shape]]:
    """Yield path, layer, shapes before and shape after of the layers in a container."""
    for turn in range(container.times):
        shapes = container.shapes(shape)
        shape = shapes[-1]
        here = path if container.times == 1 else (*path, str(turn))
        for place, (label, entry) in enumerate(zip(container.labels, container.parts, strict=True)):
            within = (*here, label) if label else here
            before = tuple(shapes[n] for n in entry.inputs or (place,))
            if isinstance(entry.layer, Container):
                yield from _rows(entry.layer, before[0], within)
            else:
                yield within, entry.layer, before, shapes[place + 1]
