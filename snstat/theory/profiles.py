"""Theory of layers at every position of a grid, of which `walk` has the averages."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from itertools import chain

import numpy as np

from snstat.gaussian.quadrature import FloatArray
from snstat.layers.container_step import ContainerStep
from snstat.layers.equal_tokens import whole
from snstat.layers.signal import Signal, Step
from snstat.layers.squares import diagonal
from snstat.network.network import Network
from snstat.results import InputMoments
from snstat.theory.start import signal_of_sample, steps_of, why_no_pairs

# Numbers that are kept of profiles, in all layers together.
MOST_KEPT = 2**22


@dataclass(frozen=True, slots=True, eq=False)
class Profile:
    """Theory of one layer: arrays of the shape of its grid, () for a vector, NaN where there is
    none. `second_moment` is E[x²], and `cosine` that of two samples, at every position."""

    second_moment: FloatArray
    cosine: FloatArray

    @property
    def known(self) -> bool:
        """Whether there is theory, and a signal."""
        return bool(self.second_moment.max(initial=0.0) > 0)

    @property
    def share(self) -> FloatArray:
        """E[x²] at every position over the average of all."""
        found: FloatArray = self.second_moment / self.second_moment.mean()
        return found

    @property
    def weakest(self) -> tuple[int, ...]:
        """The position where E[x²] is least, the first of several."""
        place = np.unravel_index(int(np.argmin(self.second_moment)), self.second_moment.shape)
        return tuple(int(axis) for axis in place)


@np.errstate(over="ignore", invalid="ignore")  # of squares of data that overflow
def profiles(
    network: Network,
    batch: int,
    inputs: InputMoments,
    numbers: Collection[int],
    *,
    train: bool = True,
) -> dict[int, Profile]:
    """Return theory of the layers of these `numbers`, 0 for the input; see `walk`. That of samples
    that are followed one by one is the average over all."""
    wanted, found, samples = set(numbers), dict[int, Profile](), inputs.samples
    if samples is None or samples.left_out:
        start, step = steps_of(network, batch, inputs, train=train)
        return {number: _profile(signal) for number, signal in _chosen(start, step, wanted)}
    block, pairs = network.block if train else network.block.evaluated(), not why_no_pairs(network)
    squares: dict[int, FloatArray] = {}
    for values, share in zip(samples.values, samples.shares, strict=True):
        start = signal_of_sample(network.input, values, pairs=pairs)
        for number, signal in _chosen(start, block.moments([start], 1), wanted):
            own = share * diagonal(signal.same).reshape(signal.shape.grid)
            squares[number] = squares.get(number, 0.0) + own
    for number, square in squares.items():
        found[number] = Profile(square, np.full_like(square, math.nan))
    return found


class Profiles:
    """E[x²] at every position of all layers, added up over samples: as long as they are few."""

    def __init__(self) -> None:
        self._squares: list[FloatArray] | None = []

    def add(self, start: Signal, step: Step, share: float) -> None:
        """Add those of a sample, with the part that it is of all."""
        if self._squares is None:
            return
        first, size = not self._squares, 0
        for number, signal in enumerate(chain([start], _signals(step))):
            square = share * diagonal(signal.same)
            size += square.size
            if size > MOST_KEPT:
                self._squares = None
                return
            if first:
                self._squares.append(square)
            else:
                self._squares[number] += square

    def least(self, layers: int) -> FloatArray:
        """Return E[x²] where it is least over its average, of so many layers, NaN of one position,
        and where that is not known."""
        found = np.full(layers, math.nan)
        for number, square in enumerate(self._squares or []):
            average = float(square.mean())
            if square.size > 1 and average > 0:
                found[number] = float(square.min()) / average
        return found


def _chosen(start: Signal, step: Step, wanted: set[int]) -> Iterator[tuple[int, Signal]]:
    """Yield the signals of the layers of `wanted` numbers, with them."""
    last = max(wanted, default=-1)
    for number, signal in enumerate(chain([start], _signals(step))):
        if number > last:
            return
        if number in wanted:
            yield number, signal


def _signals(step: Step) -> Iterator[Signal]:
    """Yield the signal after every layer. Turns that are left out equal the last."""
    if not isinstance(step, ContainerStep):
        yield step.signal
        return
    for steps in step.turns:
        for inner in steps:
            yield from _signals(inner)
    for fold in step.folds:
        for number in range(fold.stretch.first, fold.stretch.end):
            for inner in fold.at(number):
                yield from _signals(inner)
    for _ in range(step.equal):
        for inner in step.turns[-1]:
            yield from _signals(inner)


def _profile(signal: Signal) -> Profile:
    signal = whole(signal)
    square, gap = (diagonal(part).reshape(signal.shape.grid) for part in (signal.same, signal.gap))
    with np.errstate(divide="ignore", invalid="ignore"):
        return Profile(square, 1.0 - gap / square)
