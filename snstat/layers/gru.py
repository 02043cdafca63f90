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
        both, third = slice(0, 2 * width), slice(2 * width, None)
        h, recurrent = np.empty((2, times, width, batch), gates.dtype)
        start = np.zeros((width, batch), gates.dtype)
        first = end[0] if end else start
        for now, own in enumerate(gates):
            before = h[now - 1] if now else first
            added = units.times(before) + units.biases
            own[both] += added[both]
            own[both] = draw.activate(resolve(SIGMOID), own[both]).values
            r, z, n = own.reshape(3, width, batch)
            recurrent[now] = added[third]
            n += r * added[third]
            n[:] = draw.activate(resolve(TANH), n).values
            h[now] = (1.0 - z) * n + z * before

        def back(slope: Values) -> Values:
            found = np.empty_like(gates)
            carried: Values = start
            for now in reversed(range(times)):
                r, z, n = gates[now].reshape(3, width, batch)
                before = h[now - 1] if now else start
                whole = slope[now] + carried
                parts = found[now].reshape(3, width, batch)
                parts[1] = whole * (before - n) * z * (1.0 - z)
                parts[2] = whole * (1.0 - z) * (1.0 - n * n)
                parts[0] = parts[2] * recurrent[now] * r * (1.0 - r)
                through = np.concatenate([found[now][both], parts[2] * r])
                carried = whole * z + units.back(through)
            return found

        return Hidden(h, back, (h[-1],))
