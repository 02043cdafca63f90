"""Layers that consist of others: their shapes, theory and samples.

The engine walks through them by itself (`engine/general/order.py`), because it measures each layer.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import ClassVar, TypeVar

from snstat.errors import InvalidValueError
from snstat.layers.container_pass import passed
from snstat.layers.draw import Draw, Pass, Values
from snstat.layers.entry import Entry, at, chosen
from snstat.layers.layer import Layer, one, shape_after
from snstat.layers.no_theory import NoTheory
from snstat.layers.shape import Shape
from snstat.layers.signal import PLACE, PRODUCTS, Signal, Slope, Step, unknown
from snstat.layers.spread import Spread

T = TypeVar("T")
Pulls = Callable[[Step, Slope], tuple[Slope, ...]]
Spreads = Callable[[Layer, Step, Sequence[Spread] | NoTheory], Spread | NoTheory]
# Stands for a reason that has been told of the layer where theory ends.
TOLD = NoTheory("")
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
        if not outer:
            signal = replace(signal, fresh=draws | own | last.fresh & {PLACE})
        return ContainerStep.of(self, (start, *outer), signal, tuple(turns))

    def _steps(self, signal: Signal, outer: Sequence[Signal], batch: int) -> Iterator[Step]:
        """Yield the steps of all entries, the first time over."""
        signals = [signal]
        for place, (label, entry) in enumerate(zip(self.labels, self.parts, strict=True)):
            given = chosen(signals, outer, entry.inputs or (place,))
            with at(label):
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


@dataclass(frozen=True, slots=True, eq=False)
class ContainerStep(Step):
    """The step of a container: those of its parts, (turns, parts).

    Turns end where the state repeats: all later ones equal the last.
    """

    container: Container
    turns: tuple[tuple[Step, ...], ...]

    @classmethod
    def of(
        cls,
        container: Container,
        before: tuple[Signal, ...],
        signal: Signal,
        turns: tuple[tuple[Step, ...], ...],
    ) -> ContainerStep:
        """Return the step of `container` from `before`, all of its inputs, to `signal`."""

        def pull(slope: Slope) -> tuple[Slope, ...]:
            of_outer: list[Slope] = []
            *_, (back, _, _) = step.way_back(slope, _pull, of_outer)
            return (back, *of_outer)

        step = cls(before, signal, pull, container, turns)
        return step

    @property
    def equal(self) -> int:
        """The number of turns beyond those that were followed, all equal to the last of them."""
        return self.container.repetitions - len(self.turns)

    def way_of_spreads(
        self, before: Spread, through: Spreads
    ) -> Iterator[tuple[Spread | NoTheory, int]]:
        """Yield the spread after each turn, by what `through` returns of steps.

        Where it repeats, equal turns are left out: how many comes with it. The way ends after the
        first turn without one.
        """
        response, detailed = 1.0, False
        for turn in range(self.container.repetitions):
            steps = self.turns[min(turn, len(self.turns) - 1)]
            with at(self.container.called(turn)):
                after = self.container.spreads(steps, before, through)
            rest = self.container.repetitions - turn - 1
            if isinstance(after, NoTheory):
                yield after, rest
                return
            settled = turn + 1 > len(self.turns) and after.repeats(before)
            # To that before the first turn. What has settled does not grow.
            (own,) = after.responses
            response *= (own ** (1 + rest) if abs(own) <= 1 else math.nan) if settled else own
            detailed = detailed or after.detailed
            after = after._replace(responses=(response,), detailed=detailed)
            yield after, rest if settled else 0
            if settled:
                return
            before = after

    def way_back(
        self, slope: Slope, pull: Pulls, of_outer: list[Slope]
    ) -> Iterator[tuple[Slope, int, float]]:
        """Yield the slope before each turn, from the last one on, by what `pull` returns of steps.

        Where it repeats but for its scale, equal turns are left out: how many, and what each adds
        to its logarithm, comes with the slope before the first of them. At the end `of_outer` has
        the slopes of the layers outside, sums over all turns.
        """

        def add(parts: Sequence[Slope], log: float = 0.0) -> None:
            parts = [replace(part, log=part.log + log) for part in parts]
            sums = zip(of_outer, parts, strict=True) if of_outer else ()
            of_outer[:] = [own + part for own, part in sums] or parts

        for rest in range(self.equal, 0, -1):
            with at(self.container.called(len(self.turns) + rest - 1)):
                after, (slope, *parts) = slope, self.container.back(self.turns[-1], slope, pull)
            add(parts)
            if slope.repeats(after):
                rate = slope.log - after.log
                if rest > 1:
                    add(parts, _log_sum(rate, rest - 1))
                slope = replace(slope, log=slope.log + (rest - 1) * rate)
                yield slope, rest - 1, rate
                break
            yield slope, 0, 0.0
        for turn in range(len(self.turns) - 1, -1, -1):
            with at(self.container.called(turn)):
                slope, *parts = self.container.back(self.turns[turn], slope, pull)
            add(parts)
            yield slope, 0, 0.0


def _log_sum(rate: float, count: int) -> float:
    """Return ln of the sum of exp(rate·n), n from 1 to `count`."""
    if rate == 0.0:
        return math.log(count)
    # Beside its largest term.
    most = max(rate, rate * count)
    return most + math.log(math.expm1(-abs(rate) * count) / math.expm1(-abs(rate)))


def _spread(layer: Layer, step: Step, inputs: Sequence[Spread] | NoTheory) -> Spread | NoTheory:
    return inputs if isinstance(inputs, NoTheory) else layer.spread(step, inputs)


def _varying(layer: Layer, step: Step, given: Sequence[Signal]) -> Step:
    """Return the step with what varies after the layer because it does before."""
    most = max(signal.varies for signal in given)
    if layer.renews:
        most = min(most, PRODUCTS)
    if most <= step.signal.varies:
        return step
    return replace(step, signal=replace(step.signal, varies=most))


def _pull(step: Step, slope: Slope) -> tuple[Slope, ...]:
    return step.pull(slope)
