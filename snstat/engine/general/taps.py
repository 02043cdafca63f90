"""Windows as kernels read them."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from snstat.engine.kernels.patches import Taps
from snstat.layers.window import Window
from snstat.layers.window_axis import NOWHERE


@lru_cache(maxsize=256)
def taps_of(window: Window) -> Taps:
    """Return what the taps of a window take, as kernels read it."""
    sources, places = window.sources, np.arange(window.positions)
    shifted = window.positions == window.size
    shifts, edges, ends = np.zeros(len(sources), np.int64), list[np.ndarray](), [0]
    for tap, own in enumerate(sources):
        apart = own[own != NOWHERE] - places[own != NOWHERE]
        if shifted and apart.size:
            found, counts = np.unique(apart, return_counts=True)
            shifts[tap] = found[counts.argmax()]
        moved = places + shifts[tap]
        inside = shifted & (own == moved) & (own != NOWHERE)
        edges.append(places[~inside])
        ends.append(ends[-1] + len(edges[-1]))
    return Taps(window.size, sources, shifted, shifts, np.concatenate(edges), np.array(ends))
