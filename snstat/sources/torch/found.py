"""What of a module is found to be layers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from snstat.layers.entry import Entry
from snstat.layers.shape import Shape
from snstat.results.module import Left
from snstat.sources.mapped import Place


class Seen(NamedTuple):
    """A tensor of a shape that has the values of an `entry`, None if that is not known, and the
    numbers of its axes that are positions, and channels; None if these are mixed."""

    entry: int | None = None
    shape: tuple[int, ...] = ()
    axes: tuple[tuple[int, ...], tuple[int, ...]] | None = None


class Found(NamedTuple):
    """Layers of a module with an input of this shape, None if there are none, and the values that
    it is given (`own`), and that calls of modules and functions return. `missing` is what stands
    against the whole module being these layers, empty if nothing does."""

    input: Shape | None
    own: Seen
    entries: tuple[Entry, ...]
    places: tuple[Place, ...]
    calls: Mapping[tuple[str, int], Seen]
    functions: Mapping[str, Sequence[Seen]]
    ends: tuple[Left, ...]
    missing: str
