"""Theory of layers at every position of a grid, of which `walk` has the averages."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from itertools import chain

import numpy as np

from snstat.gaussian.quadrature import FloatArray
from snstat.layers.container_step import ContainerStep
from snstat.layers.signal import Signal, Step
from snstat.layers.squares import diagonal
from snstat.network.network import Network
from snstat.results import InputMoments
from snstat.theory.start import steps_of


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


def profiles(
    network: Network,
    batch: int,
    inputs: InputMoments,
    numbers: Collection[int],
    *,
    train: bool = True,
) -> dict[int, Profile]:
    """Return theory of the layers of these `numbers`, 0 for the input; see `walk`."""
    start, step = steps_of(network, batch, inputs, train=train)
    wanted, last = set(numbers), max(numbers, default=-1)
    found = {}
    for number, signal in enumerate(chain([start], _signals(step))):
        if number > last:
            break
        if number in wanted:
            found[number] = _profile(signal)
    return found


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
    square, gap = (diagonal(part).reshape(signal.shape.grid) for part in (signal.same, signal.gap))
    with np.errstate(divide="ignore", invalid="ignore"):
        return Profile(square, 1.0 - gap / square)
