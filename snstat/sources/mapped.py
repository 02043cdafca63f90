"""A module as layers that snstat has theory of: what a tracer of any framework may return."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from snstat.layers.block import Block
from snstat.layers.entry import Entry
from snstat.layers.shape import Shape
from snstat.results import BoolArray
from snstat.results.module import Left
from snstat.sources.nested import nested

# Why theory does not know a layer, by its kind, though it knows what the layer starts from.
UNKNOWN: Mapping[str, str] = {
    "activation": "it follows values that are not Gaussian",
    "batch_norm": "it follows values that are not Gaussian",
    "add": "its summands depend on the same weights",
    "multiply": "its factors depend on the same weights",
    "group_norm": "theory needs 32 channels a group",
}


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

    `entries` start from each other as those of a block do: 0 is the input, which has `units`
    independent values of the law `inputs`, "normal" or "uniform", of mean 0 and variance 1; without
    a law there is no theory. `places` say where they come from. `rows` are the rows of the trace
    that have the values of an entry, each with its number. `ends` is where theory ends, and
    `missing` what stands against the whole module being these layers, empty if nothing does: the
    last of them is then its only output. `train` is whether dropout and the statistics of batches
    are on, and `drawn` whether every trial draws the weights anew, over which theory averages.
    `gradients` says that those of the trace are of an independent read-out of all outputs.
    """

    units: int
    inputs: str
    train: bool
    entries: tuple[Entry, ...] = ()
    places: tuple[Place, ...] = ()
    rows: tuple[tuple[int, int], ...] = ()
    ends: tuple[Left, ...] = ()
    missing: str = ""
    drawn: bool = True
    gradients: bool = True

    @property
    def shape(self) -> Shape:
        """The shape of the input as a vector."""
        return Shape(self.units)

    @property
    def block(self) -> Block:
        """The layers as one block, with residuals in it."""
        return Block(nested(self.entries))

    def unknown(self, known: BoolArray) -> Iterator[Left]:
        """Yield the calls of layers that are not `known`, (entries + 1,), though all that they
        start from are."""
        for number, (entry, place) in enumerate(zip(self.entries, self.places, strict=True), 1):
            sources = entry.inputs or (number - 1,)
            if not known[number] and known[list(sources)].all():
                reason = UNKNOWN.get(entry.layer.kind, "theory does not know it")
                yield Left(place.path, f"{place.kind}: {reason}", place.call)
