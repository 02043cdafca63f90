"""Repetitions of a block that are not followed one by one: the signal changes slowly with depth.

A residual stream that grows by a branch behind a norm never settles, but after the first turns what
a turn adds is a smooth function of ln n, the logarithm of its number. Over a stretch of turns it is
a polynomial through few of them, the nodes: with the state yₙ of the stream, yₙ₊₁ = yₙ + δ(yₙ), δ
is evaluated there alone, interpolated and summed, until the states repeat (Picard's iteration).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from snstat.gaussian.quadrature import FloatArray
from snstat.layers.higher import Higher
from snstat.layers.signal import Signal, Step

# Turns that are followed one by one first, and the fewest after them that are worth a stretch.
FIRST, FEWEST = 128, 512
# A stretch ends where the number of a turn is so many times that of the first one, and its
# polynomials have so many nodes, which are turns.
_RATIO, _NODES = 10.0, 28
# Rounds after which states that still change are no stretch.
_ROUNDS = 40
# Rounds that are mixed for the next one.
_MIXED = 6
# From the number of a turn and the signal before it to its steps.
Turn = Callable[[int, Signal], tuple[Step, ...]]
# From the state before a turn and its steps to what they add.
Added = Callable[[FloatArray, Sequence[Step]], FloatArray]
# From the numbers of turns and the states there, (nodes, numbers), to what these turns add.
Advance = Callable[[Sequence[int], FloatArray], FloatArray]


class Accuracy(NamedTuple):
    """States repeat where they change by less than `repeated`, relative to their size. Polynomials
    through half of the nodes agree with those through all of them to `smooth`. Columns below the
    part `faint` of the largest are rounding."""

    repeated: float
    smooth: float
    faint: float


# Of moments, and of fluctuations, which are differences.
EXACT, FEW_DIGITS = Accuracy(2e-15, 1e-9, 1e-12), Accuracy(1e-12, 1e-7, 1e-6)


class RoughError(Exception):
    """States are no smooth function of depth."""


@dataclass(frozen=True, slots=True, eq=False)
class Stretch:
    """The turns from `first` on, before `end`, and the `nodes` among them, with the `matrix`
    (turns, nodes) of the polynomials through these."""

    first: int
    end: int
    nodes: tuple[int, ...]
    matrix: FloatArray

    @classmethod
    def of(cls, first: int, end: int) -> Stretch:
        """Return the stretch from `first` on, at most to `end`."""
        near = math.ceil(_RATIO * first)
        end = near if end - near >= FEWEST else end
        low, high = math.log(first), math.log(end - 1)
        places = 0.5 - 0.5 * np.cos(math.pi * np.arange(_NODES) / (_NODES - 1))
        nodes = np.unique(np.round(np.exp(low + (high - low) * places)).astype(np.int64))
        return cls(first, end, tuple(nodes.tolist()), _through(nodes, np.arange(first, end)))

    def of_nodes(self, values: FloatArray, accuracy: Accuracy = EXACT) -> FloatArray:
        """Return at every turn, (turns, …), what the nodes have, (nodes, …). Raises RoughError
        where that is known at some nodes only, or no polynomial."""
        known = np.isfinite(values)
        same = (values == values[0]) | (np.isnan(values) & np.isnan(values[0]))
        if not np.all(known.all(axis=0) | same.all(axis=0)):
            raise RoughError
        flat = np.where(known, values, 0.0).reshape(len(values), -1)
        self._require_smooth(flat, accuracy)
        found: FloatArray = (self.matrix @ flat).reshape(-1, *values.shape[1:])
        found[:, ~known.all(axis=0)] = values[0][~known.all(axis=0)]
        return found

    def _require_smooth(
        self, flat: FloatArray, accuracy: Accuracy, least: FloatArray | float = 0.0
    ) -> None:
        nodes = np.array(self.nodes)
        kept = np.unique([*range(0, len(nodes), 2), len(nodes) - 1])
        again = _through(nodes[kept], nodes) @ flat[kept]
        if np.any(
            np.abs(again - flat) > accuracy.smooth * np.maximum(_sizes(flat, accuracy), least)
        ):
            raise RoughError

    def _all(self, start: FloatArray, steps: FloatArray, places: list[int]) -> FloatArray:
        """Return the states before every turn and after the last one."""
        found = self.matrix @ steps
        states = np.empty((len(found) + 1, len(start)))
        states[0] = start
        np.cumsum(found, axis=0, out=states[1:])
        states[1:] += start
        states[1:, places] = found[:, places]
        return states

    def followed(
        self,
        start: FloatArray,
        advance: Advance,
        accuracy: Accuracy = EXACT,
        renewed: Sequence[int] = (),
    ) -> FloatArray:
        """Return the states before every turn and after the last one, (turns + 1, numbers), from
        that at the `start`. Of numbers that are `renewed`, `advance` returns what they are after a
        turn, which does not depend on what they were. Raises RoughError where rounds do not
        converge."""
        turns = self.end - self.first
        at = np.array(self.nodes) - self.first
        places, kept = list(renewed), [n for n in range(len(start)) if n not in renewed]
        added = advance(self.nodes[:1], start[None])[0]
        added[places] = 0.0
        states: FloatArray = start + at[:, None] * added
        # To the sums of what is added before each node, and to what the turn before it adds.
        parts = np.add.reduceat(self.matrix, at, axis=0)
        sums, last = np.cumsum(parts, axis=0) - parts, self.matrix[at - 1]
        mixing = _Mixing()
        for _ in range(_ROUNDS):
            steps = advance(self.nodes, states)
            if not np.isfinite(steps).all():
                raise RoughError
            found = start + sums @ steps
            found[1:, places] = (last @ steps)[1:, places]
            found[0] = start
            size = _sizes(found, accuracy)
            moved = np.abs(found - states).max(axis=0)
            if np.all(moved[kept] <= accuracy.repeated * turns**0.5 * size[kept]):
                self._require_smooth(steps[:, kept], accuracy, size[kept] / turns)
                return self._all(start, steps, places)
            states = mixing.next(states, found, size)
        raise RoughError


class _Mixing:
    """Anderson's mixing: of the last rounds, what leads to a state that repeats if rounds are
    linear."""

    def __init__(self) -> None:
        self.states, self.found = list[FloatArray](), list[FloatArray]()

    def next(self, states: FloatArray, found: FloatArray, size: FloatArray) -> FloatArray:
        """Return the states to begin the next round with, from those that one began with, and those
        that it found. Numbers have this `size`."""
        self.states, self.found = [*self.states, states][-_MIXED:], [*self.found, found][-_MIXED:]
        if len(self.states) < 2:
            return found
        apart = [((g - x) / size).ravel() for x, g in zip(self.states, self.found, strict=True)]
        changes = np.stack([own - apart[-1] for own in apart[:-1]], axis=1)
        parts = np.linalg.lstsq(changes, apart[-1], rcond=1e-12)[0]
        back = [own - found for own in self.found[:-1]]
        mixed: FloatArray = found - sum(p * own for p, own in zip(parts, back, strict=True))
        return mixed


def _sizes(values: FloatArray, accuracy: Accuracy) -> FloatArray:
    """Return the size of each column; what is so much smaller than others is rounding."""
    size = np.abs(values).max(axis=0)
    found: FloatArray = np.maximum(size, accuracy.faint * size.max())
    return found


def _through(nodes: np.ndarray, turns: np.ndarray) -> FloatArray:
    """Return the matrix (turns, nodes) of the polynomials in ln n through these nodes."""
    x, t = np.log(nodes), np.log(turns)
    apart = (x[:, None] - x) * (4.0 / (x[-1] - x[0]))
    np.fill_diagonal(apart, 1.0)
    weights = 1.0 / apart.prod(axis=1)
    away = t[:, None] - x
    hit = away == 0
    found: FloatArray = weights / np.where(hit, 1.0, away)
    found /= found.sum(axis=1, keepdims=True)
    rows = hit.any(axis=1)
    found[rows] = hit[rows]
    return found


@dataclass(frozen=True, slots=True, eq=False)
class Fold:
    """A stretch of turns, the states of the signal before each of them and after the last one, and
    the `steps` of the turns at its nodes. `turn` makes those of any other one."""

    stretch: Stretch
    states: FloatArray
    steps: tuple[tuple[Step, ...], ...]
    turn: Turn
    like: Signal

    def at(self, number: int) -> tuple[Step, ...]:
        """Return the steps of a turn."""
        return self.turn(number, signal_of(self.states[number - self.stretch.first], self.like))

    @property
    def signal(self) -> Signal:
        """The signal after the last turn."""
        return signal_of(self.states[-1], self.like)


def folded(turn: Turn, added: Added, signal: Signal, first: int, end: int) -> Fold:
    """Return the fold of the turns from `first` on, at most to `end`, which start from `signal`,
    where `turn` makes their steps, which add what `added` returns. Raises RoughError where there
    is none."""
    found: dict[int, tuple[Step, ...]] = {}

    def advance(numbers: Sequence[int], states: FloatArray) -> FloatArray:
        rows = []
        for number, state in zip(numbers, states, strict=True):
            found[number] = turn(number, signal_of(state, signal))
            after = found[number][-1].signal
            if not alike(after, signal):
                raise RoughError
            rows.append(added(state, found[number]))
        return np.array(rows)

    stretch = Stretch.of(first, end)
    states = stretch.followed(state_of(signal), advance)
    return Fold(stretch, states, tuple(found[n] for n in stretch.nodes), turn, signal)


def folds_of(turn: Turn, added: Added, signal: Signal, first: int, end: int) -> list[Fold]:
    """Return the folds of all turns from `first` to `end`, none where they are few, on a grid, or
    where the signal does not grow smoothly."""
    found = list[Fold]()
    if end - first < FEWEST or not alike(signal, signal):
        return []
    try:
        while first < end:
            found.append(folded(turn, added, signal, first, end))
            signal, first = found[-1].signal, found[-1].stretch.end
    except RoughError:
        return []
    return found


def alike(one: Signal, other: Signal) -> bool:
    """Return whether signals without a grid differ in their moments alone."""
    return (
        one.known
        and not one.shape.grid
        and (one.shape, one.law, one.varies) == (other.shape, other.law, other.varies)
        and (one.higher is None) == (other.higher is None)
        and (_told(one) is None) == (_told(other) is None)
    )


def _told(signal: Signal) -> Higher | None:
    """Return moments beyond the second of one position, None where they are not known or follow
    from the law."""
    higher = signal.higher
    return None if higher is None or math.isnan(higher.fourth.item()) else higher


def state_of(signal: Signal) -> FloatArray:
    """Return the moments of a signal of one position, (numbers,)."""
    parts = [signal.mean.item(), signal.same.item(), signal.gap.item()]
    higher = _told(signal)
    if higher is not None:
        parts += [higher.third.item(), higher.fourth.item()]
    return np.array(parts)


def signal_of(state: FloatArray, like: Signal) -> Signal:
    """Return the signal with these moments that is `like` another one otherwise."""
    mean, same, gap, *more = state.tolist()
    higher = like.higher
    if higher is not None and more:
        higher = replace(higher, third=np.array(more[:1]), fourth=np.array(more[1:]))
    return replace(
        like,
        mean=np.array([mean]),
        same=np.array([[same]]),
        gap=np.array([[gap]]),
        higher=higher,
    )


def summand_of(state: FloatArray, summand: Signal, factor: float) -> FloatArray:
    """Return what an independent summand times a `factor` adds to the moments of a signal in this
    state, without cancellation. Raises RoughError where some are not known."""
    mean = factor * summand.mean.item()
    square = factor * factor
    added = [
        mean,
        2.0 * float(state[0]) * mean + square * summand.same.item(),
        square * summand.gap.item(),
    ]
    if len(state) > len(added):
        higher = summand.beyond
        if higher is None:
            raise RoughError
        times = higher.times(factor)
        added += [times.third.item(), times.fourth.item()]
    return np.array(added)
