"""Networks with some of their layers changed, by the names that their file gives them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from snstat.layers.block import Block
from snstat.layers.entry import Entry
from snstat.layers.layer import Layer
from snstat.layers.residual_block import SHORTCUT, Residual
from snstat.layers.shape import Shape
from snstat.network.network import Network

# From the name of a layer, and the layer, to the entries that take its place: the first starts
# from what the layer started from, each other one from the one before.
Edit = Callable[[str, Layer], tuple[Layer, ...]]
Entries = tuple[Entry, ...]


def written(network: Network) -> Iterator[tuple[str, Layer]]:
    """Yield the name and the layer of everything that the file of a network lists, containers
    before what they hold.

    A name is that of the rows without the numbers of repetitions: "body.ffn".
    """
    yield from _written(network.block.entries, "")


def edited(network: Network, edit: Edit, shape: Shape | None = None) -> Network:
    """Return the network in which each layer, containers after what they hold, is what `edit`
    makes of it, with another `shape` of the input if one is given. Raises LayerError where layers
    do not fit each other then."""
    entries = _edited(network.block.entries, edit, "")
    block = replace(network.block, entries=entries)
    return replace(network, block=block, input=shape or network.input)


def begun(entries: Entries, layer: Layer) -> Entries:
    """Return the entries of a container with one more layer before them, from which all that
    started from the input of the container start."""
    moved = (replace(e, inputs=tuple(n + (n >= 0) for n in e.inputs)) for e in entries)
    return (Entry(layer), *moved)


def _held(layer: Layer) -> Iterator[tuple[str, str, Entries]]:
    """Yield the fields of a container that hold layers, what stands before their names, and the
    entries."""
    if isinstance(layer, Block | Residual):
        yield "entries", "", layer.entries
    if isinstance(layer, Residual) and layer.shortcut is not None:
        yield "shortcut", f"{SHORTCUT}.", layer.shortcut


def _written(entries: Entries, prefix: str) -> Iterator[tuple[str, Layer]]:
    for place, entry in enumerate(entries):
        name = f"{prefix}{entry.name or place}"
        yield name, entry.layer
        for _, before, held in _held(entry.layer):
            yield from _written(held, f"{name}.{before}")


def _edited(entries: Entries, edit: Edit, prefix: str) -> Entries:
    found: list[Entry] = []
    # The numbers of the entries that those of before have become; 0 is the container's input.
    numbers = [0]
    for place, entry in enumerate(entries):
        name, layer = f"{prefix}{entry.name or place}", entry.layer
        changes = {
            field: _edited(held, edit, f"{name}.{before}") for field, before, held in _held(layer)
        }
        if changes:
            layer = replace(layer, **changes)  # type: ignore[type-var]  # kinds are dataclasses
        first, *others = edit(name, layer)
        inputs = tuple(numbers[n] if n > 0 else n for n in entry.inputs)
        found.append(replace(entry, layer=first, inputs=inputs))
        found += [Entry(other) for other in others]
        numbers.append(len(found))
    return tuple(found)
