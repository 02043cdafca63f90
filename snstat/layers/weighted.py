"""What kinds share that have weights and then an activation."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import replace

from snstat.activation import Pair, resolve
from snstat.gaussian.centred import centred_moments
from snstat.gaussian.quadrature import FloatArray
from snstat.layers.activation import activated
from snstat.layers.between import activated_between, linear_between
from snstat.layers.draw import Draw, Pass
from snstat.layers.initialisers import PLAIN, STANDARDIZED
from snstat.layers.layer import Layer
from snstat.layers.no_theory import NoTheory
from snstat.layers.signal import Signal, Step


class Weighted(Layer):
    """A kind with weights and then an `activation`, None for none."""

    # An option of the kind, which says where it stands among the others.
    activation: str | Pair | None

    @property
    def kept(self) -> int:
        """See Layer: without an activation, what it gives alone."""
        return self.arrays if self.activation is not None else 1

    @abstractmethod
    def weighed(self, inputs: Sequence[Signal]) -> Step | NoTheory:
        """Return the step through the weights, before the activation, or why there is none."""

    def moments(self, inputs: Sequence[Signal], batch: int) -> Step | NoTheory:  # noqa: ARG002
        """See Layer."""
        return self.activated(self.weighed(inputs))

    def between(self, steps: Sequence[Step], inputs: Sequence[FloatArray]) -> FloatArray | NoTheory:
        """See Layer."""
        own = [self.weighed(step.inputs) for step in steps]
        known = [step for step in own if not isinstance(step, NoTheory)]
        if getattr(self, "weights", PLAIN) == STANDARDIZED or len(known) < len(own):
            return NoTheory("products of samples that differ are not derived for such weights")
        found = linear_between(self.weighed, known, inputs)
        if isinstance(found, NoTheory) or self.activation is None:
            return found
        return activated_between(resolve(self.activation), found, steps)

    def activated(self, own: Step | NoTheory) -> Step | NoTheory:
        """Return the step through the weights, `own`, and then the activation; or why theory does
        not know one of them."""
        if isinstance(own, NoTheory) or self.activation is None:
            return own
        then = activated(resolve(self.activation), own.signal)
        if isinstance(then, NoTheory):
            return then
        return replace(
            own,
            signal=then.signal,
            pull=lambda slope: own.pull(*then.pull(slope)),
            why_pairs=own.why_pairs or then.why_pairs,
        )

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
