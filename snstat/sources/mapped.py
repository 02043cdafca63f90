"""A module as layers that snstat has theory of: what a tracer of any framework may return."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from snstat.layers.block import Block
from snstat.layers.entry import Entry
from snstat.layers.no_theory import NO_PAIRS
from snstat.layers.shape import Shape
from snstat.results.module import Left
from snstat.results.theory_end import OF_SIGNAL, TheoryEnd
from snstat.sources.nested import nested


@dataclass(frozen=True)
class Place:
    """Where a layer comes from: the path of the module, the number of its call, its class, or the
    name of the function that its code calls."""

    path: str
    call: int
    kind: str


@dataclass(frozen=True)
class Mapped:
    """The layers of a module, as far as they are known.

    `entries` start from each other as those of a block do: 0 is the input, of this `shape`, which
    has independent values of the law `inputs`, "normal" or "uniform", of mean 0 and variance 1;
    without a law there is no theory. `places` say where they come from. `rows` are the rows of the
    trace that have the values of an entry, each with its number, and whether its positions and
    units are those of the entry. `ends` is where theory ends, and `missing` what stands against the
    whole module being these layers, empty if nothing does: the last of them is then its only
    output. `train` is whether dropout and the statistics of batches are on, and `drawn` whether
    every trial draws the weights anew, over which theory averages. `gradients` says that those of
    the trace are of an independent read-out of all outputs.
    """

    shape: Shape
    inputs: str
    train: bool
    entries: tuple[Entry, ...] = ()
    places: tuple[Place, ...] = ()
    rows: tuple[tuple[int, int, bool], ...] = ()
    ends: tuple[Left, ...] = ()
    missing: str = ""
    drawn: bool = True
    gradients: bool = True

    @property
    def block(self) -> Block:
        """The layers as one block, with residuals in it."""
        return Block(nested(self.entries))

    def left(self, ends: Iterable[TheoryEnd], why_no_pairs: str) -> Iterator[Left]:
        """Yield the calls of the layers at which theory of the signal `ends`, also for want of
        pairs of positions, which are not followed for this reason."""
        for end in ends:
            if end.of == OF_SIGNAL:
                place, reason = self.places[end.layer - 1], end.reason
                if reason == NO_PAIRS and why_no_pairs:  # else a layer before it has none
                    reason = f"{reason}, {why_no_pairs}; try smaller inputs"
                yield Left(place.path, f"{place.kind}: {reason}", place.call)
