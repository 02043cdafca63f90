"""Values of layers, (channels, batch, *grid), as the matrices that kernels take."""

from __future__ import annotations

from typing import Any

import numpy as np

from snstat.layers.draw import Values
from snstat.layers.shape import Shape


def columns(values: Values) -> Values:
    """Return (channels, batch · positions), contiguous: what a layer does at every position
    alike."""
    flat: Values = np.ascontiguousarray(values).reshape(len(values), -1)
    return flat


def on_grid(x: np.ndarray[Any, Any], shape: Shape) -> Values:
    """Return `x` (units, batch), with the channels of a position next to each other, as
    (channels, batch, *grid)."""
    whole = x.reshape(*shape.grid, shape.channels, x.shape[1])
    return np.ascontiguousarray(np.moveaxis(whole, (-2, -1), (0, 1)))
