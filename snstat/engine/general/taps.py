"""Windows as kernels read them."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from snstat.engine.kernels.patches import Taps
from snstat.layers.window import Window
from snstat.layers.window_axis import NOWHERE, Index


@lru_cache(maxsize=256)
def taps_of(window: Window) -> Taps:
    """Return what the taps of a window take, as kernels read it."""
    return _taps(window.sources, window.size)


@lru_cache(maxsize=256)
def turned_taps(window: Window) -> Taps:
    """Return from which position after the window each position before it gets a gradient, tap by
    tap: none gets two by one tap."""
    found = np.full((len(window.sources), window.size), NOWHERE)
    for own, sources in zip(found, window.sources, strict=True):
        there = np.flatnonzero(sources != NOWHERE)
        own[sources[there]] = there
    return _taps(found, window.positions)


def _taps(sources: Index, size: int) -> Taps:
    places = np.arange(sources.shape[1])
    shifted = len(places) == size
    shifts, edges, ends = np.zeros(len(sources), np.int64), list[np.ndarray](), [0]
    inside = np.zeros(sources.shape, np.bool_)
    for tap, own in enumerate(sources):
        there = own != NOWHERE
        apart = own[there] - places[there]
        if shifted and apart.size:
            found, counts = np.unique(apart, return_counts=True)
            shifts[tap] = found[counts.argmax()]
            inside[tap] = there & (own == places + shifts[tap])
        edges.append(places[there & ~inside[tap]] if shifted else places)
        ends.append(ends[-1] + len(edges[-1]))
    return Taps(size, sources, shifted, shifts, inside, np.concatenate(edges), np.array(ends))
