"""What a forward pass keeps for the way back, and how much memory that may take."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from snstat.network.stack import Stack, Stretch

# All trials together may keep this much of their forward pass. What needs more is made again by
# segments of √depth layers.
HISTORY_BYTES = 2**30
# Bytes of the objects that a layer of any kind keeps.
OBJECTS = 4096

State = npt.NDArray[np.floating]


def segment_length(depth: int) -> int:
    """Return how many layers of `depth` make a segment of the way back."""
    return max(1, math.isqrt(depth))


def units_of(stack: Stack, first: int, count: int) -> int:
    """Return the units of layers first..first+count−1 together."""
    return sum(s.count * s.later.fan_out for s in stack.stretches(first, count))


class History:
    """The pre-activations of layers first..first+count−1 of some trials."""

    def __init__(self, stack: Stack, first: int, count: int, memory: State, batch: int) -> None:
        """Lay the layers out in `memory` (trials, values), at least units_of(…) · batch values."""
        self.count = count
        self.parts: list[tuple[int, State]] = []
        begin = 0
        for stretch in stack.stretches(first, count):
            shape = (stretch.count, stretch.later.fan_out, batch)
            end = begin + math.prod(shape)
            self.parts.append((stretch.first, memory[:, begin:end].reshape(-1, *shape)))
            begin = end

    def of(self, stretch: Stretch) -> State:
        """Return the pre-activations (trials, layers, units, batch) of a stretch of the layers."""
        start, part = next(p for p in reversed(self.parts) if p[0] <= stretch.first)
        begin = stretch.first - start
        return part[:, begin : begin + stretch.count]


def nothing(trials: int, batch: int, dtype: Any) -> State:
    """Return what kernels take for a history that is not wanted, (trials, 0, 0, batch)."""
    return np.empty((trials, 0, 0, batch), dtype)
