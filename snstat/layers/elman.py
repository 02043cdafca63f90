"""An Elman network: the simplest recurrent layer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from snstat.activation import Pair, resolve
from snstat.activation.kind import ActivationName
from snstat.layers.draw import Draw, PullValues, Values
from snstat.layers.layer import one
from snstat.layers.no_theory import NoTheory
from snstat.layers.recurrent import SEQUENCE, Hidden, Recurrence, Recurrent
from snstat.layers.signal import Signal, Step
from snstat.layers.through_time import through_time
from snstat.values.option import option


@dataclass(frozen=True, kw_only=True)
class Elman(Recurrent):
    """h_t = φ(U x_t + b + W h_(t−1) + b') over time, a grid of one axis.

    It is PyTorch's nn.RNN, with h_0 = 0 and the same weights at every time. W and U are drawn
    alike, each with its own fan-in, but for init torch_default, which is PyTorch's own: all weights
    and biases uniform on ±1/√width. Pre-activations z_t are Gaussian, and at each time those of one
    sample and of two are as if every time had weights of its own: E[zz'] is G_W² E[h_(t−1)
    h'_(t−1)] + G_U² E[xx'] + the variances of both biases. Gradients add where they are read at
    several times: that of h_t is its own and G_W² E[φ'²] times that of h_(t+1). Weights that are
    shared correlate different times; theory does not follow these pairs.
    Sources: arXiv:1910.12478, arXiv:1806.05394.
    """

    kind: ClassVar[str] = "elman"
    arrays: ClassVar[int] = 2

    activation: str | Pair = option(ActivationName(), "Activation of the units.", default="tanh")

    @property
    def functions(self) -> tuple[str | Pair, ...]:
        """See Recurrent."""
        return (self.activation,)

    def moments(self, inputs: Sequence[Signal], batch: int) -> Step | NoTheory:  # noqa: ARG002
        """See Layer."""
        signal = one(inputs)
        of_inputs, of_units = self.matrices([signal.shape])
        every = self.output == SEQUENCE
        return through_time(resolve(self.activation), of_inputs, of_units, signal, every=every)

    def hidden(self, given: Recurrence, draw: Draw) -> Hidden:
        """See Recurrent."""
        function, (z, units, end) = resolve(self.activation), given
        z += units.biases
        h, pulls = np.empty_like(z), list[PullValues]()
        for now in range(len(z)):
            if now or end:
                z[now] += units.times(h[now - 1] if now else end[0])
            own = draw.activate(function, z[now])
            h[now] = own.values
            pulls.append(own.pull)

        def back(slope: Values) -> Values:
            found = np.empty_like(slope)
            for now in reversed(range(len(slope))):
                whole = slope[now]
                if now + 1 < len(slope):
                    whole = whole + units.back(found[now + 1])
                (found[now],) = pulls[now](whole)
            return found

        return Hidden(h, back, (h[-1],))
