"""A block: layers in order, repeated with fresh weights each time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import MISSING, dataclass, replace
from typing import Any, ClassVar, Self

from snstat.errors import InvalidValueError, LayerError, SnstatError
from snstat.layers.layer import Layer, one
from snstat.layers.shape import Shape
from snstat.layers.signal import Signal, Slope, Step
from snstat.limits import MAX_DEPTH
from snstat.values.kinds import Kind, Whole
from snstat.values.option import option

Pulls = Callable[[Step, Slope], tuple[Slope, ...]]


@dataclass(frozen=True, slots=True)
class Entry:
    """A layer of a block.

    `inputs` are the numbers of the entries that it starts from, counted from 1; 0 is the input of
    the block. () stands for the entry before. `name` defaults to its place among its siblings.
    """

    layer: Layer
    inputs: tuple[int, ...] = ()
    name: str = ""


class Entries(Kind):
    """The entries of a block."""

    name = "layers"
    words = "a list of layers"

    def check(self, name: str, value: Any) -> tuple[Entry, ...]:
        """Return layers and entries as entries. Raises InvalidValueError for none, and for an
        entry that starts from one that comes after it."""
        found = tuple(e if isinstance(e, Entry) else Entry(e) for e in value)
        if not found:
            raise InvalidValueError(name, "none", "one layer or more")
        for place, entry in enumerate(found):
            for source in entry.inputs:
                if not 0 <= source <= place:
                    bound = f"the number of a layer before it, or 0 to {place}"
                    raise InvalidValueError(f"inputs of layer {place}", source, bound)
        return found


@dataclass(frozen=True, slots=True, eq=False)
class BlockStep(Step):
    """The step of a block: those of its entries, (turns, entries).

    Turns end where the state repeats: all later ones equal the last.
    """

    turns: tuple[tuple[Step, ...], ...]


@dataclass(frozen=True)
class Block(Layer):
    """Layers in order, `times` over, with fresh weights each time.

    It is never unrolled: theory stops where the state repeats.
    """

    kind: ClassVar[str] = "block"

    entries: tuple[Entry, ...] = option(Entries(), "The layers.", default=MISSING)
    times: int = option(Whole(1, MAX_DEPTH), "Repetitions, each with its own weights.", default=1)

    @property
    def count(self) -> int:
        """The number of layers that the block contains, repetitions included."""
        return self.times * sum(entry.layer.count for entry in self.entries)

    def shape(self, inputs: Sequence[Shape]) -> Shape:
        """See Layer. Raises LayerError with the path of the layer that an input does not fit."""
        shape = one(inputs)
        for _ in range(self.times):
            before, shape = shape, self.shapes(shape)[-1]
            if shape == before:
                break
        return shape

    def shapes(self, shape: Shape) -> list[Shape]:
        """Return the shapes of the input and after every entry, the first time over."""
        found = [shape]
        for place, (label, entry) in enumerate(zip(self.labels, self.entries, strict=True)):
            with _at(label):
                found.append(entry.layer.shape([found[n] for n in entry.inputs or (place,)]))
        return found

    @property
    def labels(self) -> tuple[str, ...]:
        """The names of the entries."""
        return tuple(entry.name or str(place) for place, entry in enumerate(self.entries))

    def moments(self, inputs: Sequence[Signal], batch: int) -> BlockStep | None:
        """See Layer."""
        signal, turns = one(inputs), list[tuple[Step, ...]]()
        for _ in range(self.times):
            steps = self._once(signal, batch)
            if steps is None:
                return None
            turns.append(steps)
            before, signal = signal, steps[-1].signal.held(signal)
            if signal.repeats(before):
                break

        equal = self.times - len(turns)  # turns beyond the last one, equal to it

        def pull(slope: Slope) -> tuple[Slope, ...]:
            for rest in range(equal, 0, -1):
                before, slope = slope, self.back(turns[-1], slope)
                if slope.repeats(before):
                    slope = replace(slope, log=slope.log + (rest - 1) * (slope.log - before.log))
                    break
            for steps in reversed(turns):
                slope = self.back(steps, slope)
            return (slope,)

        return BlockStep(signal, pull, tuple(turns))

    def _once(self, signal: Signal, batch: int) -> tuple[Step, ...] | None:
        """Return the steps of all entries, the first time over."""
        signals, steps = [signal], list[Step]()
        for place, (label, entry) in enumerate(zip(self.labels, self.entries, strict=True)):
            with _at(label):
                given = [signals[n] for n in entry.inputs or (place,)]
                step = entry.layer.moments(given, batch)
            if step is None:
                return None
            steps.append(step)
            signals.append(step.signal)
        return tuple(steps)

    def back(self, steps: Sequence[Step], slope: Slope, pull: Pulls | None = None) -> Slope:
        """Return the slope of the input of one turn, from that of its output.

        A signal that several layers start from has the sum of what they pull back, independent in
        the limit of large width. `pull` replaces the pull-backs of the steps.
        """
        slopes: list[Slope | None] = [None] * len(steps) + [slope]
        for place in range(len(steps), 0, -1):
            here, step = slopes[place], steps[place - 1]
            if here is None:  # no layer starts from it
                continue
            parts = step.pull(here) if pull is None else pull(step, here)
            sources = self.entries[place - 1].inputs or (place - 1,)
            for source, part in zip(sources, parts, strict=True):
                other = slopes[source]
                slopes[source] = part if other is None else other + part
        if slopes[0] is None:
            return Slope(0.0 * slope.same, 0.0 * slope.gap)
        return slopes[0].scaled(1.0)

    def turned(self, knob: str, value: Any) -> Self | None:
        """See Layer. A knob of the layers within turns all that have it."""
        if knob == "times":
            return super().turned(knob, value)
        turned = [entry.layer.turned(knob, value) for entry in self.entries]
        if all(layer is None for layer in turned):
            return None
        entries = tuple(
            entry if layer is None else replace(entry, layer=layer)
            for entry, layer in zip(self.entries, turned, strict=True)
        )
        return replace(self, entries=entries)


@contextmanager
def _at(label: str) -> Iterator[None]:
    """Name the layer in errors."""
    try:
        yield
    except LayerError as error:
        raise LayerError((label, *error.path), error.reason) from None
    except SnstatError as error:
        raise LayerError((label,), error) from None
