"""Layers that consist of others: their shapes, theory and samples.

The engine walks through them by itself (`engine/general/order.py`), because it measures each layer.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from typing import ClassVar, TypeVar

import numpy as np

from snstat.errors import InvalidValueError
from snstat.gaussian.quadrature import FloatArray
from snstat.layers.container_pass import passed
from snstat.layers.container_step import TOLD, ContainerStep, Pulls, Spreads
from snstat.layers.draw import Draw, Pass, Values
from snstat.layers.entry import Entry, at, chosen
from snstat.layers.equal_tokens import taken
from snstat.layers.folded import FIRST, Fold, RoughError, folds_of, summand_of
from snstat.layers.layer import Layer, one, shape_after
from snstat.layers.no_theory import NoTheory
from snstat.layers.shape import Shape
from snstat.layers.signal import PLACE, PRODUCTS, SQUARES, Signal, Slope, Step, unknown
from snstat.layers.spread import Spread

T = TypeVar("T")
OUTSIDE = NoTheory("it reads a layer outside of its block")


class Container(Layer):
    """A layer that consists of its `parts`, in order, `times` over with fresh weights each time.

    Its shape, theory and samples are those of its parts. It is never unrolled: theory stops where
    the state repeats.
    """

    # As it is written; None is one time, and no layer is named by its repetition.
    times: int | None = None
    # Whether the last part is the sum of those before, which are within it.
    sums: ClassVar[bool] = False
    takes_tokens: ClassVar[bool] = True

    @property
    @abstractmethod
    def parts(self) -> tuple[Entry, ...]:
        """The layers that it consists of, and what each starts from."""

    @cached_property
    def outer(self) -> int:
        """How many layers outside of it its parts start from, beside its own input: their numbers
        are -1, -2, and so on, of its second, third and further inputs, which all turns have."""
        return max((0, *(-n for entry in self.parts for n in entry.inputs)))

    @cached_property
    def labels(self) -> tuple[str, ...]:
        """The names of the parts. Those within a part without a name are named as if they were
        parts themselves."""
        return tuple(entry.name or str(place) for place, entry in enumerate(self.parts))

    @property
    def repetitions(self) -> int:
        """How often the parts are gone through."""
        return 1 if self.times is None else self.times

    @cached_property
    def count(self) -> int:
        """The number of layers that the container consists of, repetitions included."""
        return self.repetitions * sum(entry.layer.count for entry in self.parts)

    @cached_property
    def pairs(self) -> bool:
        """See Layer."""
        return any(entry.layer.pairs for entry in self.parts)

    def shape(self, inputs: Sequence[Shape]) -> Shape:
        """See Layer. Raises LayerError with the path of the layer that an input does not fit."""
        shape, outer = self.split(inputs)
        for turn in range(self.repetitions):
            with at(self.called(turn)):
                before, shape = shape, self.shapes(shape, outer)[-1]
            if shape == before:
                break
        return shape

    def split(self, inputs: Sequence[T]) -> tuple[T, Sequence[T]]:
        """Return the input that the first part starts from, and the layers outside. Raises
        InvalidValueError for another number of them."""
        if not self.outer:
            return one(inputs), ()
        if len(inputs) != 1 + self.outer:
            bound = f"{1 + self.outer}: its own, and what its layers read from outside"
            raise InvalidValueError("inputs", len(inputs), bound)
        return inputs[0], inputs[1:]

    def called(self, turn: int) -> str:
        """Return the name of a repetition, "" for the only one of a container without `times`."""
        return "" if self.times is None else str(turn)

    def shapes(self, shape: Shape, outer: Sequence[Shape] = ()) -> list[Shape]:
        """Return the shapes of the input and after every entry, the first time over. `outer` are
        those of the layers outside that entries start from."""
        found = [shape]
        for place, (label, entry) in enumerate(zip(self.labels, self.parts, strict=True)):
            with at(label):
                given = chosen(found, outer, entry.inputs or (place,))
                found.append(shape_after(entry.layer, given))
        return found

    def parameters(self, inputs: Sequence[Shape]) -> int:
        """See Layer."""
        (shape, outer), total = self.split(inputs), 0
        for turn in range(self.repetitions):
            shapes = self.shapes(shape, outer)
            own = 0
            for place, (label, entry) in enumerate(zip(self.labels, self.parts, strict=True)):
                with at(self.called(turn)), at(label):
                    given = chosen(shapes, outer, entry.inputs or (place,))
                    own += entry.layer.parameters(given)
            if shapes[-1] == shape:  # all later turns are alike
                return total + own * (self.repetitions - turn)
            shape, total = shapes[-1], total + own
        return total

    def moments(self, inputs: Sequence[Signal], batch: int) -> ContainerStep:
        """See Layer. What comes after a layer without theory is unknown: NaN."""
        start, outer = self.split(inputs)
        signal = start
        turns, draws, own = list[tuple[Step, ...]](), start.fresh - {PLACE}, frozenset[object]()
        folds = list[Fold]()
        for turn in range(self.repetitions):
            # A layer outside may depend on what the input does.
            before = signal if outer else signal.once
            with at(self.called(turn)):
                turns.append(tuple(self._steps(before, outer, batch)))
            last = turns[-1][-1].signal
            signal = last.held(signal)
            # One draw stands for all those within, and another one for those of the input.
            if not last.fresh & before.fresh - {PLACE}:
                draws = own = frozenset()
            if last.fresh - before.fresh - {PLACE}:
                own = frozenset((object(),))
            if signal.repeats(before):
                break
            if turn + 1 == FIRST and not outer:
                folds = self._folds(signal, turn + 1, batch)
                if folds:
                    signal = folds[-1].signal
                    break
        if not outer:
            signal = replace(signal, fresh=draws | own | last.fresh & {PLACE})
        return ContainerStep.of(self, (start, *outer), signal, tuple(turns), tuple(folds))

    def grown(self, steps: Sequence[Step]) -> tuple[Signal, float] | None:  # noqa: ARG002
        """Return what one turn with these `steps` adds to its input, and its factor, None where the
        output is no such sum."""
        return None

    def _folds(self, signal: Signal, first: int, batch: int) -> list[Fold]:
        """Return the folds of all turns from the `first` on, none where the signal is no sum that
        grows smoothly."""

        def turn(number: int, signal: Signal) -> tuple[Step, ...]:
            with at(self.called(number)):
                return tuple(self._steps(signal.once, (), batch))

        def added(state: FloatArray, steps: Sequence[Step]) -> FloatArray:
            whole = np.zeros_like(state)
            for step in steps:
                of_turn = isinstance(step, ContainerStep) and step.container.grown(step.turns[0])
                if not of_turn:
                    raise RoughError
                whole += summand_of(state + whole, *of_turn)
            return whole

        linear = all(entry.inputs in ((), (n,)) for n, entry in enumerate(self.parts))
        return folds_of(turn, added, signal, first, self.repetitions) if linear else []

    def _steps(self, signal: Signal, outer: Sequence[Signal], batch: int) -> Iterator[Step]:
        """Yield the steps of all entries, the first time over."""
        signals = [signal]
        for place, (label, entry) in enumerate(zip(self.labels, self.parts, strict=True)):
            given = chosen(signals, outer, entry.inputs or (place,))
            with at(label):
                within = isinstance(entry.layer, Container)
                given = given if within else taken(entry.layer, given)
                step = entry.layer.moments(given, batch)
                if isinstance(step, NoTheory):
                    step = unknown(entry.layer.shape([s.shape for s in given]), given, step.why)
                if not isinstance(step, ContainerStep):
                    step = _varying(entry.layer, step, given)
            signals.append(step.signal)
            yield step

    def sample(self, inputs: Sequence[Values], draw: Draw) -> Pass:
        """See Layer. All turns are kept until gradients have been pulled back."""
        values, outer = self.split(inputs)
        return passed(self.parts, self.repetitions, values, outer, draw)

    def spread(self, step: Step, inputs: Sequence[Spread]) -> Spread | NoTheory:
        """See Layer."""
        if not isinstance(step, ContainerStep):
            raise TypeError(step)
        *_, (spreads, _) = step.way_of_spreads(inputs[0], _spread)
        return spreads

    def spreads(self, steps: Sequence[Step], before: Spread, through: Spreads) -> Spread | NoTheory:
        """Return the spread after one turn from that `before` it; `through` is asked for that after
        each entry, with the reason in place of inputs that are not known."""
        start = before.alone()
        found: list[Spread | NoTheory] = [start]
        for place, (entry, step) in enumerate(zip(self.parts, steps, strict=True)):
            # What layers outside fluctuate by together with those within is not followed.
            given = chosen(found, [OUTSIDE] * self.outer, entry.inputs or (place,))
            known = [spread for spread in given if isinstance(spread, Spread)]
            ends = [spread for spread in given if isinstance(spread, NoTheory)]
            # Theory of a container may end within it.
            if not step.signal.known and not isinstance(step, ContainerStep):
                ends.append(TOLD)
            with at(self.labels[place]):
                after = through(entry.layer, step, ends[0] if ends else known)
            found.append(after.after(known) if isinstance(after, Spread) else TOLD)
        last = found[-1]
        if isinstance(last, NoTheory):
            return last
        detailed = any(start.own in source.seen for source in last.sources)
        return last._replace(
            responses=(last.sources.get(start.own, 0.0),), detailed=detailed, sources={}
        )

    def back(self, steps: Sequence[Step], slope: Slope, pull: Pulls) -> list[Slope]:
        """Return the slopes of the inputs of one turn, from that of its output.

        A signal that several layers start from has the sum of what they `pull` back, independent in
        the limit of large width.
        """
        # That of the input, where no layer starts from it, is 0 as well.
        slopes = [slope.scaled(0.0), *(Slope.zero(step.signal) for step in steps[:-1]), slope]
        of_outer: list[Slope | None] = [None] * self.outer
        for place in range(len(steps), 0, -1):
            with at(self.labels[place - 1]):
                step = steps[place - 1]
                parts = pull(step, slopes[place].of(step.signal))
            sources = self.parts[place - 1].inputs or (place - 1,)
            for source, part in zip(sources, parts, strict=True):
                if source < 0:
                    before = of_outer[-1 - source]
                    of_outer[-1 - source] = part if before is None else before + part
                else:
                    slopes[source] = slopes[source] + part
        return [slopes[0].scaled(1.0), *(own for own in of_outer if own is not None)]


def _spread(layer: Layer, step: Step, inputs: Sequence[Spread] | NoTheory) -> Spread | NoTheory:
    return inputs if isinstance(inputs, NoTheory) else layer.spread(step, inputs)


def _varying(layer: Layer, step: Step, given: Sequence[Signal]) -> Step:
    """Return the step with what varies after the layer because it does before."""
    most = max(SQUARES if signal.mixed else signal.varies for signal in given)
    equal, apart = max(signal.equal for signal in given), given[0].apart
    if layer.renews:
        most = min(most, PRODUCTS)
    now = step.signal
    if most <= now.varies and equal <= now.equal and apart == now.apart:
        return step
    most = max(most, now.varies)
    return replace(step, signal=replace(now, varies=most, equal=equal, apart=apart))
