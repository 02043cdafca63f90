"""Where in its file a layer stands that cannot be as it is."""

from __future__ import annotations

from snstat.errors import LayerError, NetworkFormError
from snstat.layers.block import Block
from snstat.layers.entry import Entry
from snstat.layers.keys import LAYERS
from snstat.layers.layer import Layer
from snstat.layers.residual_block import SHORTCUT, Residual


def in_form(block: Block, error: LayerError) -> NetworkFormError:
    """Return the error of a layer within the block of a network, with its path in plain data:
    "layers.0.block.layers.2.dense"."""
    layer: Layer = block
    path, names, turns = list[str](), list(error.path), list[int]()
    while names:
        if isinstance(layer, Block) and layer.times is not None:
            turns.append(int(names.pop(0)))
            if not names:  # what is wrong is the block itself
                break
        key, entries = _held(layer, names)
        name = names.pop(0)
        place, entry = next(
            (n, entry) for n, entry in enumerate(entries) if name == (entry.name or str(n))
        )
        layer = entry.layer
        path += [key, str(place), layer.kind]
    reason = str(error.reason)
    if any(turns):
        reason = f"in repetition {'.'.join(map(str, turns))}, counted from 0, {reason}"
    return NetworkFormError(".".join(path), reason)


def _held(layer: Layer, names: list[str]) -> tuple[str, tuple[Entry, ...]]:
    """Return the key of a container under which the layer called by the first of `names` is, and
    all that are there. The name of a shortcut is taken from `names`."""
    if isinstance(layer, Residual) and layer.shortcut is not None and names[0] == SHORTCUT:
        del names[0]
        return SHORTCUT, layer.shortcut
    assert isinstance(layer, Block | Residual)  # noqa: S101  # no other kinds hold layers
    return LAYERS, layer.entries
