"""What layers with weights share: the activation that follows these."""

from __future__ import annotations

from snstat.activation import Pair, resolve
from snstat.gaussian.centred import centred_moments
from snstat.layers.activation import activated
from snstat.layers.draw import Draw, Pass
from snstat.layers.signal import Step

# The activation of a layer, None for none.
Function = str | Pair | None


def then_known(own: Step | None, activation: Function) -> Step | None:
    """Return the step through the weights, `own`, and then the activation; None where theory does
    not know both."""
    if own is None or activation is None:
        return own
    then = activated(resolve(activation), own.signal)
    if then is None:
        return None
    return Step(own.inputs, then.signal, lambda slope: own.pull(*then.pull(slope)))


def then_sampled(own: Pass, activation: Function, draw: Draw) -> Pass:
    """Return the values after the weights, `own`, and then the activation."""
    if activation is None:
        return own
    then = draw.activate(resolve(activation), own.values)
    return Pass(then.values, lambda slope: own.pull(*then.pull(slope)))


def square_slope(activation: Function, q: float) -> float:
    """Return E[φ'(z)²] for z ~ N(0, `q`), 1 without an activation."""
    if activation is None:
        return 1.0
    return float(centred_moments(resolve(activation), q).derivative_square)
