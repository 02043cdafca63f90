"""The state of a backward pass through one trial."""

from __future__ import annotations

import math

import numpy as np

from snstat.engine.history import State
from snstat.engine.kernels import dense_backward
from snstat.engine.kernels.random import Draw
from snstat.engine.sampler import over_last
from snstat.network.stack import Stack
from snstat.results import FloatArray


class Way:
    """A backward pass: the gradient of the output of the layer it has come to, and the squared
    norms so far."""

    def __init__(
        self, stack: Stack, batch: int, dtype: np.dtype[np.floating], number: int, key: np.uint64
    ) -> None:
        self.batch, self.number = batch, number
        most = max(stack.input_width, stack.width)
        self.buffers = np.empty((2, most * batch), dtype)
        self.turn, self.units = 0, stack.width_of(stack.depth)
        self.norms = dense_backward.Norms(
            np.full(stack.depth + 1, math.nan), np.zeros(stack.depth + 1)
        )
        dense_backward.read_out(self.gradient, Draw(key, number, stack.depth))

    @property
    def gradient(self) -> State:
        """The gradient of the output of a layer (units, batch), a view of a buffer."""
        return self.view(self.turn, self.units)

    def view(self, turn: int, units: int) -> State:
        """Return the start of a buffer as (units, batch)."""
        view: State = self.buffers[turn, : units * self.batch].reshape(units, self.batch)
        return view

    def went(self, layers: int, units: int) -> None:
        """Note that `layers` layers are done, and that `units` units feed the last of them."""
        self.turn, self.units = (self.turn + layers) % 2, units

    def finish(self) -> FloatArray:
        """Return ln of all squared norms over the last."""
        squares, shifts = self.norms
        later = np.cumsum(shifts[::-1])[::-1] - shifts
        with np.errstate(divide="ignore"):
            return over_last(np.log(squares) + later)
