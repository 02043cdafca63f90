"""A long short-term memory."""

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
from snstat.values.kinds import Real
from snstat.values.option import option

# Beyond it, a gate is closed or open to five digits.
LARGEST_BIAS = 10.0
SIGMOID, TANH = "sigmoid", "tanh"


@dataclass(frozen=True, kw_only=True)
class Lstm(Recurrent):
    """h_t = o tanh(c_t) with the memory c_t = f c_(t−1) + i g over time, a grid of one axis.

    It is PyTorch's nn.LSTM, with h_0 = c_0 = 0 and the same weights at every time. The gates i, f
    and o are σ and g is tanh of U x_t + b + W h_(t−1) + b', each with matrices of its own. Each
    matrix has its own fan-in, but for init torch_default, which is PyTorch's own: all weights and
    biases uniform on ±1/√width, so that the forget gate is near 1/2, and half of the memory is lost
    at each time. With forget_bias = 1, which is added to what f is σ of whatever init draws, f is
    near 0.73.
    Theory is null: with weights that are shared over time, a unit of the memory is correlated with
    its own gates, so that E[c_t²] is no function of moments at the time before.
    Sources: arXiv:1503.04069, arXiv:1901.08987, and of the bias Jozefowicz, Zaremba and Sutskever,
    An empirical exploration of recurrent network architectures, ICML 2015.
    """

    kind: ClassVar[str] = "lstm"
    arrays: ClassVar[int] = 7  # four gates, the memory and its tanh

    forget_bias: float = option(
        Real(-LARGEST_BIAS, LARGEST_BIAS),
        "What is added to the bias of the forget gate; above 0, more of the memory is kept.",
        default=0.0,
    )

    @property
    def functions(self) -> tuple[str, ...]:
        """See Recurrent: i, f, g, o."""
        return SIGMOID, SIGMOID, TANH, SIGMOID

    def moments(self, inputs: Sequence[Signal], batch: int) -> NoTheory:  # noqa: ARG002
        """See Layer."""
        return NoTheory("units of the memory depend on the weights of their own gates")

    def hidden(self, given: Recurrence, draw: Draw) -> Hidden:
        """See Recurrent."""
        gates, units, end = given
        gates += units.biases
        gates[:, self.width : 2 * self.width] += self.forget_bias
        times, width, batch = len(gates), self.width, gates.shape[2]
        i, f, g, o = np.moveaxis(gates.reshape(times, 4, width, batch), 1, 0)
        first, third = slice(0, 2 * width), slice(3 * width, None)
        sigmoid, tanh = resolve(SIGMOID), resolve(TANH)
        h, c, bent = (np.empty((times, width, batch), gates.dtype) for _ in range(3))
        start = np.zeros((width, batch), gates.dtype)
        memory = end[1] if end else start
        for now in range(times):
            own = gates[now]
            if now or end:
                own += units.times(h[now - 1] if now else end[0])
            own[first] = draw.activate(sigmoid, own[first]).values
            g[now] = draw.activate(tanh, g[now]).values
            own[third] = draw.activate(sigmoid, own[third]).values
            memory = f[now] * memory
            memory += i[now] * g[now]
            c[now] = memory
            bent[now] = draw.activate(tanh, memory).values
            np.multiply(o[now], bent[now], out=h[now])

        def back(slope: Values) -> Values:
            # First the derivatives of h_t and c_t by what each gate is a function of, then in their
            # place those of what is read, which need the times behind.
            found = np.empty_like(gates)
            of_each = found.reshape(times, 4, width, batch)
            np.multiply(g * i, 1.0 - i, out=of_each[:, 0])
            np.multiply(f, 1.0 - f, out=of_each[:, 1])
            of_each[0, 1], of_each[1:, 1] = 0.0, of_each[1:, 1] * c[:-1]
            np.multiply(i, 1.0 - g * g, out=of_each[:, 2])
            np.multiply(bent * o, 1.0 - o, out=of_each[:, 3])
            through = o * (1.0 - bent * bent)
            kept: Values = start
            for now in reversed(range(times)):
                whole = slope[now]
                if now + 1 < times:
                    whole = whole + units.back(found[now + 1])
                kept = kept + whole * through[now]
                of_each[now, :3] *= kept
                of_each[now, 3] *= whole
                kept *= f[now]
            return found

        return Hidden(h, back, (h[-1], c[-1]))
