"""The step of a container: what theory has of its parts, turn by turn."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from snstat.layers.entry import Entry, at
from snstat.layers.folded import Fold
from snstat.layers.layer import Layer
from snstat.layers.no_theory import NoTheory
from snstat.layers.signal import Signal, Slope, Step
from snstat.layers.spread import Spread

Pulls = Callable[[Step, Slope], tuple[Slope, ...]]
Spreads = Callable[[Layer, Step, Sequence[Spread] | NoTheory], Spread | NoTheory]
# Stands for a reason that has been told of the layer where theory ends.
TOLD = NoTheory("")


class Repeated(Protocol):
    """What a step asks of its container; see `container.Container`."""

    @property
    def repetitions(self) -> int:
        """How often the parts are gone through."""

    @property
    def count(self) -> int:
        """The number of layers, repetitions included."""

    @property
    def parts(self) -> tuple[Entry, ...]:
        """The layers of one turn."""

    def called(self, turn: int) -> str:
        """Return the name of a repetition."""

    def grown(self, steps: Sequence[Step]) -> tuple[Signal, float] | None:
        """Return what one turn adds to its input, and its factor."""

    def spreads(self, steps: Sequence[Step], before: Spread, through: Spreads) -> Spread | NoTheory:
        """Return the spread after one turn."""

    def back(self, steps: Sequence[Step], slope: Slope, pull: Pulls) -> list[Slope]:
        """Return the slopes of the inputs of one turn."""


@dataclass(frozen=True, slots=True, eq=False)
class ContainerStep(Step):
    """The step of a container: those of its parts, (turns, parts).

    Turns end where the state repeats: all later ones equal the last. Where it grows smoothly,
    `folds` stand for all after the first ones.
    """

    container: Repeated
    turns: tuple[tuple[Step, ...], ...]
    folds: tuple[Fold, ...] = ()

    @classmethod
    def of(
        cls,
        container: Repeated,
        before: tuple[Signal, ...],
        signal: Signal,
        turns: tuple[tuple[Step, ...], ...],
        folds: tuple[Fold, ...] = (),
    ) -> ContainerStep:
        """Return the step of `container` from `before`, all of its inputs, to `signal`."""

        def pull(slope: Slope) -> tuple[Slope, ...]:
            of_outer: list[Slope] = []
            *_, (back, _, _) = step.way_back(slope, _pull, of_outer)
            return (back, *of_outer)

        step = cls(before, signal, pull, container, turns, folds)
        return step

    @property
    def equal(self) -> int:
        """The number of turns beyond those that were followed, all equal to the last of them."""
        return 0 if self.folds else self.container.repetitions - len(self.turns)

    def _asked(self, *, folds: bool) -> int:
        """Return the number of turns, without those of folds unless they are asked for."""
        return len(self.turns) if self.folds and not folds else self.container.repetitions

    def steps_at(self, turn: int) -> tuple[Step, ...]:
        """Return the steps of a turn."""
        for fold in self.folds:
            if fold.stretch.first <= turn < fold.stretch.end:
                return fold.at(turn)
        return self.turns[min(turn, len(self.turns) - 1)]

    def way_of_spreads(
        self, before: Spread, through: Spreads, *, folds: bool = True
    ) -> Iterator[tuple[Spread | NoTheory, int]]:
        """Yield the spread after each turn, by what `through` returns of steps.

        Where it repeats, equal turns are left out: how many comes with it. The way ends after the
        first turn without one, or before those of `folds` unless they are asked for.
        """
        response, detailed = 1.0, False
        for turn in range(self._asked(folds=folds)):
            steps = self.steps_at(turn)
            with at(self.container.called(turn)):
                after = self.container.spreads(steps, before, through)
            rest = self.container.repetitions - turn - 1
            if isinstance(after, NoTheory):
                yield after, rest
                return
            settled = turn + 1 > len(self.turns) and not self.folds and after.repeats(before)
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
        self, slope: Slope, pull: Pulls, of_outer: list[Slope], *, folds: bool = True
    ) -> Iterator[tuple[Slope, int, float]]:
        """Yield the slope before each turn, from the last one on, by what `pull` returns of steps.

        Where it repeats but for its scale, equal turns are left out: how many, and what each adds
        to its logarithm, comes with the slope before the first of them. At the end `of_outer` has
        the slopes of the layers outside, sums over all turns. It begins before the turns of `folds`
        unless these are asked for.
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
        for turn in range(self._asked(folds=folds) - self.equal - 1, -1, -1):
            with at(self.container.called(turn)):
                slope, *parts = self.container.back(self.steps_at(turn), slope, pull)
            add(parts)
            yield slope, 0, 0.0


def _log_sum(rate: float, count: int) -> float:
    """Return ln of the sum of exp(rate·n), n from 1 to `count`."""
    if rate == 0.0:
        return math.log(count)
    # Beside its largest term.
    most = max(rate, rate * count)
    return most + math.log(math.expm1(-abs(rate) * count) / math.expm1(-abs(rate)))


def _pull(step: Step, slope: Slope) -> tuple[Slope, ...]:
    return step.pull(slope)
