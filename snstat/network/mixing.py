"""The layers of a network in which samples depend on each other, and how many samples they need."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice

from snstat.errors import InvalidValueError
from snstat.layers.entry import at
from snstat.layers.shape import Shape
from snstat.network.network import Network
from snstat.network.rows import Row, different_layers


def mixing(network: Network, depth: int, *, train: bool) -> list[Row]:
    """Return those of the first `depth` layers in which a sample depends on the rest of its batch;
    equal ones once."""
    every = different_layers(network.block, network.input)
    if not train or not any(layer.mixes for layer, _ in every):
        return []
    found: dict[tuple[int, tuple[Shape, ...]], Row] = {}
    for row in islice(network.rows(), depth):
        if row.layer.mixes:
            found.setdefault((id(row.layer), row.before), row)
    return list(found.values())


def require_batch(rows: Sequence[Row], batch: int) -> None:
    """Raise LayerError for the first of these `rows` that has nothing to compare a sample with."""
    for row in rows if batch == 1 else ():
        if row.before[0].positions == 1:
            bound = "at least 2: one sample alone has no variance over the batch"
            with at(row.name):
                raise InvalidValueError("batch", batch, bound, "use a larger --batch, or --eval")
