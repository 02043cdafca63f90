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
# PyTorch's own initialiser of its recurrent modules.
TORCH = "torch_default"

# From ∂L/∂h (time, width, batch) to ∂L/∂(what inputs add to pre-activations), (time, gates · width,
# batch).
Back = Callable[[Values], Values]


class Hidden(NamedTuple):
    """What a cell gives: `states` h (time, width, batch), and the way `back`."""

    states: Values
    back: Back


class Recurrence(NamedTuple):
    """What a cell starts from: U x + b of all gates and times, `driven` (time, gates · width,
    batch), which it may overwrite; and `units`, the matrices W of all gates on the units before,
    with their biases."""

    driven: Values
    units: Tied


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

    def parameters(self, inputs: Sequence[Shape]) -> int:
        """See Layer."""
        return self.held(inputs)

    def matrices(self, inputs: Sequence[Shape]) -> tuple[Weights, ...]:
        """See Layer: U of all gates, which act on the first input, then W, which act on the units
        before."""
        fans = one(inputs).channels, self.width
        return tuple(self._matrix(fan_in, own) for fan_in in fans for own in self.functions)

    def gathered(self, inputs: Sequence[Shape]) -> int:
        """See Layer: of the last units, what all those before have."""
        times = one(inputs).positions - 1 if self.output == LAST else 0
        return self.arrays * self.width * times

    def sample(self, inputs: Sequence[Values], draw: Draw) -> Pass:
        """See Layer."""
        values = one(inputs)
        x = _times_first(values)
        drawn = self.matrices([Shape(len(values), values.shape[2:])])
        gates, columns = len(drawn) // 2, len(x) * x.shape[2]
        of_inputs, of_units = (draw.tied(own, columns) for own in (drawn[:gates], drawn[gates:]))
        driven = of_inputs.times(x)
        driven += of_inputs.biases
        states, back = self.hidden(Recurrence(driven, of_units), draw)
        sequence, shape = self.output == SEQUENCE, states.shape
        out = _times_last(states) if sequence else states[-1].copy()

        def pull(slope: Values) -> tuple[Values, ...]:
            if sequence:
                own = _times_first(slope)
            else:
                own = np.zeros(shape, slope.dtype)
                own[-1] = slope
            return (_times_last(of_inputs.back(back(own))),)

        return Pass(out, pull)

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
