"""What recurrent kinds share: a cell with the same weights at every time."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import MISSING, dataclass, replace
from typing import NamedTuple

import numpy as np

from snstat.activation import Pair
from snstat.layers.dense import Dense
from snstat.layers.draw import Draw, Pass, Tied, Values
from snstat.layers.layer import Layer, one
from snstat.layers.options import WeightOptions
from snstat.layers.shape import Shape
from snstat.layers.weights import Weights
from snstat.layers.window_options import time_of
from snstat.limits import MAX_WIDTH
from snstat.values.kinds import Name, Whole
from snstat.values.option import option

SEQUENCE, LAST = OUTPUTS = "sequence", "last"
# So many times are sampled at once where more would take memory that grows with their number.
SEGMENT = 1024
# PyTorch's own initialiser of its recurrent modules.
TORCH = "torch_default"

# From ∂L/∂h (time, width, batch) to ∂L/∂(what inputs add to pre-activations), (time, gates · width,
# batch).
Back = Callable[[Values], Values]


class Hidden(NamedTuple):
    """What a cell gives: `states` h (time, width, batch), the way `back`, and the `end` that later
    times start from: the last h, and what else the cell remembers, (width, batch) each."""

    states: Values
    back: Back
    end: tuple[Values, ...]


class Recurrence(NamedTuple):
    """What a cell starts from: U x + b of all gates and times, `driven` (time, gates · width,
    batch), which it may overwrite; and `units`, the matrices W of all gates on the units before,
    with their biases. It starts from the `end` of earlier times, or from 0; the way back is that of
    a cell that starts from 0."""

    driven: Values
    units: Tied
    end: tuple[Values, ...] = ()


class _Cell(NamedTuple):
    """The matrices of all gates, on the inputs and on the units before."""

    of_inputs: Tied
    of_units: Tied

    def given(self, values: Values, end: tuple[Values, ...] = ()) -> Recurrence:
        """Return what the cell starts from, fed with `values` (channels, batch, time)."""
        driven = self.of_inputs.times(_times_first(values))
        driven += self.of_inputs.biases
        return Recurrence(driven, self.of_units, end)


@dataclass(frozen=True, kw_only=True)
class Recurrent(WeightOptions, Layer):
    """A cell of `width` units with h_0 = 0, on a grid of one axis, which is time.

    Each gate has a matrix U on the inputs and a matrix W on the units before, with biases both, as
    in PyTorch.
    """

    width: int = option(Whole(1, MAX_WIDTH), "Units.", default=MISSING)
    output: str = option(
        Name(OUTPUTS),
        "sequence: the units at every time. last: those at the end.",
        default=SEQUENCE,
    )

    @property
    @abstractmethod
    def functions(self) -> tuple[str | Pair, ...]:
        """The activation of each gate, in PyTorch's order."""

    @abstractmethod
    def hidden(self, given: Recurrence, draw: Draw) -> Hidden:
        """Return the units at all times."""

    def shape(self, inputs: Sequence[Shape]) -> Shape:
        """See Layer. Raises InvalidValueError unless the grid has one axis."""
        shape = one(inputs)
        time_of(shape)
        for channels in (shape.channels, self.width):
            self._dense(self.functions[0]).shape([Shape(channels)])
        return Shape(self.width, shape.grid if self.output == SEQUENCE else ())

    def matrices(self, inputs: Sequence[Shape]) -> tuple[Weights, ...]:
        """See Layer: U of all gates, which act on the first input, then W, which act on the units
        before."""
        found: list[Weights] = []
        for fan_in in (one(inputs).channels, self.width):
            alike = {own: self._matrix(fan_in, own) for own in dict.fromkeys(self.functions)}
            found += [alike[own] for own in self.functions]
        return tuple(found)

    def tied(self, matrices: Sequence[Weights]) -> Sequence[Sequence[Weights]]:
        """See Layer: U of all gates, and W of all gates."""
        gates = len(matrices) // 2
        return matrices[:gates], matrices[gates:]

    def steps(self, inputs: Sequence[Shape]) -> float:
        """See Layer: every time needs a product, and each array a function of it."""
        return one(inputs).positions * self.arrays / 2

    def beside(self, inputs: Sequence[Shape]) -> int:
        """See Layer: of the last units, what all those before have."""
        times = one(inputs).positions - 1 if self.output == LAST else 0
        return self.arrays * self.width * times

    def at_once(self, inputs: Sequence[Shape]) -> float:
        """See Layer: a segment."""
        return min(SEGMENT / one(inputs).positions, 1.0)

    def sample(self, inputs: Sequence[Values], draw: Draw) -> Pass:
        """See Layer."""
        values = one(inputs)
        matrices = self.matrices([Shape(len(values))])
        cell = _Cell(*draw.tied(self.tied(matrices), values[0].size))
        if values.shape[2] <= SEGMENT:
            return self._run(cell, values, draw)
        # What the way back needs of so many times is made again for it.
        found = self._by_segments(cell, values, draw)
        return Pass(found, lambda slope: self._run(cell, values, draw).pull(slope))

    def _run(self, cell: _Cell, values: Values, draw: Draw) -> Pass:
        """Return the units at all times, or the last ones."""
        states, back, _ = self.hidden(cell.given(values), draw)
        sequence, shape = self.output == SEQUENCE, states.shape
        out = _times_last(states) if sequence else states[-1].copy()

        def pull(slope: Values) -> tuple[Values, ...]:
            if sequence:
                own = _times_first(slope)
            else:
                own = np.zeros(shape, slope.dtype)
                own[-1] = slope
            return (_times_last(cell.of_inputs.back(back(own))),)

        return Pass(out, pull)

    def _by_segments(self, cell: _Cell, values: Values, draw: Draw) -> Values:
        """Return the units at all times, or the last ones, and keep no more than a segment."""
        times, sequence = values.shape[2], self.output == SEQUENCE
        shape = self.width, values.shape[1], times if sequence else 1
        out, end = np.empty(shape, values.dtype), tuple[Values, ...]()
        for first in range(0, times, SEGMENT):
            part = slice(first, first + SEGMENT)
            states, _, end = self.hidden(cell.given(values[:, :, part], end), draw)
            if sequence:
                out[:, :, part] = _times_last(states)
            else:
                out[:, :, 0] = states[-1]
        return out if sequence else out[:, :, 0]

    def _matrix(self, fan_in: int, function: str | Pair) -> Weights:
        """Return what a matrix on `fan_in` inputs or units is drawn from."""
        own = self._dense(function).at(fan_in)
        if self.init != TORCH:
            return own
        # PyTorch draws all weights and biases from ±1/√width, those of inputs too.
        if self.weight_gain is None and self.weight_std is None:
            own = replace(own, square_gain=fan_in / (3.0 * self.width))
        if self.bias_std is None:
            own = replace(own, bias_std=math.sqrt(1.0 / (3.0 * self.width)))
        return own

    def _dense(self, function: str | Pair) -> Dense:
        return Dense(self.width, function, **self.weight_options())


def _times_first(values: Values) -> Values:
    """Return (time, channels, batch) of (channels, batch, time)."""
    return np.ascontiguousarray(np.moveaxis(values, 2, 0))


def _times_last(values: Values) -> Values:
    """Return (channels, batch, time) of (time, channels, batch)."""
    return np.ascontiguousarray(np.moveaxis(values, 0, 2))
