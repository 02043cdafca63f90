"""A gated recurrent unit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from snstat.activation import resolve
from snstat.layers.draw import Draw, Values
from snstat.layers.no_theory import NoTheory
from snstat.layers.recurrent import Hidden, Recurrence, Recurrent
from snstat.layers.signal import Signal

SIGMOID, TANH = "sigmoid", "tanh"


@dataclass(frozen=True, kw_only=True)
class Gru(Recurrent):
    """h_t = (1 − z) n + z h_(t−1) over time, a grid of one axis.

    It is PyTorch's nn.GRU, with h_0 = 0 and the same weights at every time. The gates r and z are
    σ(U x_t + b + W h_(t−1) + b'), each with matrices of its own, and n is tanh(U x_t + b +
    r (W h_(t−1) + b')): r multiplies what comes from the units, with its bias. Each matrix has its
    own fan-in, but for init torch_default, which is PyTorch's own: all weights and biases uniform
    on ±1/√width. Theory is null: with weights that are shared over time, a unit that is kept is
    correlated with its own gates, so that E[h_t²] is no function of moments at the time before.
    Sources: arXiv:1406.1078, arXiv:1901.08987.
    """

    kind: ClassVar[str] = "gru"
    arrays: ClassVar[int] = 6  # three gates, W h + c of n, and the units once more, by time

    @property
    def functions(self) -> tuple[str, ...]:
        """See Recurrent: r, z, n."""
        return SIGMOID, SIGMOID, TANH

    def moments(self, inputs: Sequence[Signal], batch: int) -> NoTheory:  # noqa: ARG002
        """See Layer."""
        return NoTheory("units that are kept depend on the weights of their own gates")

    def hidden(self, given: Recurrence, draw: Draw) -> Hidden:
        """See Recurrent."""
        gates, units, end = given
        times, width, batch = len(gates), self.width, gates.shape[2]
        r, z, n = np.moveaxis(gates.reshape(times, 3, width, batch), 1, 0)
        both, third = slice(0, 2 * width), slice(2 * width, None)
        sigmoid, tanh = resolve(SIGMOID), resolve(TANH)
        h, recurrent = np.empty((2, times, width, batch), gates.dtype)
        start = np.zeros((width, batch), gates.dtype)
        before = end[0] if end else start
        for now, own in enumerate(gates):
            added = units.times(before)
            added += units.biases
            own[both] += added[both]
            own[both] = draw.activate(sigmoid, own[both]).values
            recurrent[now] = added[third]
            n[now] += r[now] * added[third]
            n[now] = draw.activate(tanh, n[now]).values
            # (1 − z) n + z h of before
            np.add(n[now], z[now] * (before - n[now]), out=h[now])
            before = h[now]

        def back(slope: Values) -> Values:
            # First the derivatives of h_t by what each gate is a function of, then in their place
            # those of what is read, which need the times behind.
            found = np.empty_like(gates)
            of_each = found.reshape(times, 3, width, batch)
            np.multiply(1.0 - z, 1.0 - n * n, out=of_each[:, 2])
            np.multiply(of_each[:, 2] * recurrent, r * (1.0 - r), out=of_each[:, 0])
            np.multiply(z, 1.0 - z, out=of_each[:, 1])
            of_each[0, 1] *= -n[0]
            of_each[1:, 1] *= h[:-1] - n[1:]
            carried: Values = start
            for now in reversed(range(times)):
                whole = slope[now] + carried
                of_each[now] *= whole
                through = found[now].copy()
                through[third] *= r[now]
                carried = whole * z[now] + units.back(through)
            return found

        return Hidden(h, back, (h[-1],))
