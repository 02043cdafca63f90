"""Networks of every registered kind, with options drawn from what the kind declares."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import strategies as st

from snstat.activation.kind import ActivationName
from snstat.errors import SnstatError
from snstat.layers.block import Block
from snstat.layers.entry import Entries, Entry
from snstat.layers.keys import keys_of
from snstat.layers.layer import Layer
from snstat.layers.registry import KINDS
from snstat.layers.shape import Shape
from snstat.network.input_law import InputLaw
from snstat.network.network import Network
from snstat.values.kinds import Flag, Kind, Name, Real, Whole
from snstat.values.sizes import GridSizes
from tests.layers.kinds import INPUTS, layer_of

NAMES = st.from_regex(r"\A[a-z_][a-z0-9_-]{0,5}\Z").filter(lambda n: n not in ("input", "previous"))
ACTIVATIONS = st.sampled_from(["relu", "gelu", "leaky_relu:0.2", "identity", "sine:30"])
MOST_NESTED = 3


def values(kind: Kind) -> st.SearchStrategy[Any] | None:
    """Return values of a kind, None for one that is not known here."""
    if isinstance(kind, Whole):
        return st.integers(kind.low, min(kind.high, kind.low + 8))
    if isinstance(kind, Real):
        low, high = max(kind.low, -1e100), min(kind.high, 1e100)
        return st.floats(low, high) | st.sampled_from([x for x in (0.5, 2.0) if low <= x <= high])
    if isinstance(kind, Name):
        return st.sampled_from(kind.table)
    if isinstance(kind, ActivationName):
        return ACTIVATIONS
    if isinstance(kind, Flag):
        return st.booleans()
    if isinstance(kind, GridSizes):
        sizes = st.integers(kind.low, kind.low + 3)
        return sizes | st.lists(sizes, min_size=1, max_size=2)
    if isinstance(kind, Entries):
        return None
    raise TypeError(f"draw values of {type(kind).__name__} in tests/network/networks.py")


@st.composite
def layers(draw: st.DrawFn, shape: Shape, depth: int = 0) -> Layer:
    """Draw a layer of any kind: that of the table of tests, with other options."""
    found = layer_of(draw(st.sampled_from(sorted(KINDS))))
    for key in keys_of(type(found)).values():
        held = isinstance(key.option.kind, Entries)
        drawn = values(key.option.kind)
        try:
            if held and depth < MOST_NESTED and (key.required or draw(st.booleans())):
                found = replace(found, **{key.field: draw(entries(shape, depth + 1))})
            elif drawn is not None and draw(st.booleans()):
                found = replace(found, **{key.field: draw(drawn)})
        except SnstatError:  # options that exclude each other
            continue
    return found


@st.composite
def entries(draw: st.DrawFn, shape: Shape, depth: int = 0) -> tuple[Entry, ...]:
    """Draw the entries of a container, which fit their inputs."""
    found, shapes, names = list[Entry](), [shape], set[str]()
    for _ in range(draw(st.integers(1, 4))):
        layer = draw(layers(shapes[-1], depth))
        several = INPUTS.get(layer.kind, 1)
        sources = st.lists(st.integers(0, len(found)), min_size=several, max_size=several)
        inputs = tuple(draw(sources)) if several > 1 or draw(st.booleans()) else ()
        name = draw(NAMES | st.just(""))
        if name in names:
            name = ""
        try:
            after = layer.shape([shapes[n] for n in inputs or (len(found),)])
        except SnstatError:
            continue
        names.add(name)
        shapes.append(after)
        found.append(Entry(layer, inputs, name))
    return tuple(found) or (Entry(layer_of("scale")),)


@st.composite
def networks(draw: st.DrawFn) -> Network:
    """Draw a network."""
    shape = Shape(draw(st.integers(1, 9)), tuple(draw(st.lists(st.integers(1, 5), max_size=2))))
    law = InputLaw(
        draw(st.sampled_from(["normal", "uniform"])),
        draw(st.sampled_from([0.0, -1.5, 1e-300])),
        draw(st.sampled_from([1.0, 0.0, 2 / 3])),
    )
    block = Block(draw(entries(shape)), draw(st.sampled_from([None, None, 1, 3])))
    try:
        return Network(shape, block, law, draw(st.sampled_from(["", "encoder", "é\"'\\n#"])))
    except SnstatError:  # the second time over, the layers may not fit
        return Network(shape, replace(block, times=None), law)
