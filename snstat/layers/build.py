"""Networks in Python: layers in order, repeated, around a shortcut, with names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from snstat.errors import UnknownNameError
from snstat.layers.block import Block
from snstat.layers.entry import Entry, require_layer
from snstat.layers.keys import INPUT, PREVIOUS
from snstat.layers.layer import Layer
from snstat.layers.residual_block import Residual


@dataclass(frozen=True, slots=True)
class Named:
    """A layer with a name, and the names of the layers that it starts from, () for the one
    before."""

    layer: Layer
    name: str = ""
    inputs: tuple[str, ...] = ()


def named(name: str, layer: Layer, *inputs: str) -> Named:
    """Return `layer` under a name.

    `inputs` name the layers of the same container that it starts from, "input" what enters the
    container, and "previous" the layer before, which is the default.
    """
    return Named(layer, name, inputs)


def chain(*layers: Layer | Named) -> Block:
    """Return layers in order. Raises UnknownNameError for an input that is no layer before."""
    return Block(_entries(layers))


def repeat(times: int, *layers: Layer | Named) -> Block:
    """Return layers in order, `times` over, with fresh weights each time."""
    return Block(_entries(layers), times)


def residual(
    *layers: Layer | Named,
    scale: float = 1.0,
    shortcut: Sequence[Layer | Named] | Layer | Named | None = None,
    skip: float = 1.0,
) -> Residual:
    """Return `skip`·shortcut(x) + `scale`·layers(x); without a `shortcut`, that is x itself."""
    alone = isinstance(shortcut, Layer | Named)
    around = None if shortcut is None else _entries([shortcut] if alone else shortcut)
    return Residual(_entries(layers), scale=scale, shortcut=around, skip=skip)


def _entries(layers: Any) -> tuple[Entry, ...]:
    found: list[Entry] = []
    numbers = {INPUT: 0}
    for place, given in enumerate(layers):
        layer = given.layer if isinstance(given, Named) else given
        require_layer(f"layer {place}", layer)
        own = given if isinstance(given, Named) else Named(layer)
        known = numbers | {PREVIOUS: place}
        for name in own.inputs:
            if name not in known:
                raise UnknownNameError("input", name, known)
        found.append(Entry(own.layer, tuple(known[name] for name in own.inputs), own.name))
        if own.name:
            numbers[own.name] = place + 1
    return tuple(found)
