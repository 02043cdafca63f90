"""What kinds share that have weights and then an activation."""

from __future__ import annotations

from dataclasses import replace

from snstat.activation import Pair, resolve
from snstat.gaussian.centred import centred_moments
from snstat.layers.activation import activated
from snstat.layers.draw import Draw, Pass
from snstat.layers.layer import Layer
from snstat.layers.no_theory import NoTheory
from snstat.layers.signal import Step


class Weighted(Layer):
    """A kind with weights and then an `activation`, None for none."""

    # An option of the kind, which says where it stands among the others.
    activation: str | Pair | None

    @property
    def kept(self) -> int:
        """See Layer: without an activation, what it gives alone."""
        return self.arrays if self.activation is not None else 1

    def activated(self, own: Step | NoTheory) -> Step | NoTheory:
        """Return the step through the weights, `own`, and then the activation; or why theory does
        not know one of them."""
        if isinstance(own, NoTheory) or self.activation is None:
            return own
        then = activated(resolve(self.activation), own.signal)
        if isinstance(then, NoTheory):
            return then
        return replace(own, signal=then.signal, pull=lambda slope: own.pull(*then.pull(slope)))

    def activate(self, own: Pass, draw: Draw) -> Pass:
        """Return the values after the weights, `own`, and then the activation."""
        if self.activation is None:
            return own
        then = draw.activate(resolve(self.activation), own.values)
        return Pass(then.values, lambda slope: own.pull(*then.pull(slope)))

    def square_slope(self, q: float) -> float:
        """Return E[φ'(z)²] for z ~ N(0, `q`), 1 without an activation."""
        if self.activation is None:
            return 1.0
        return float(centred_moments(resolve(self.activation), q).derivative_square)
