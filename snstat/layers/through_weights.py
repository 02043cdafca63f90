"""What weights do to a signal of a network of any layers."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np

from snstat.gaussian.quadrature import FloatArray
from snstat.layers.higher import Higher
from snstat.layers.initialisers import PLAIN, STANDARDIZED
from snstat.layers.law import GAUSSIAN, ZERO
from snstat.layers.least import Least
from snstat.layers.no_theory import TOO_LARGE, NoTheory
from snstat.layers.shape import Shape
from snstat.layers.signal import Signal, Step, floored, unknown_slopes
from snstat.layers.squares import diagonal, outer
from snstat.layers.weights import LARGEST_SECOND_MOMENT, Weights

# Units that read fewer channels are mixtures of Gaussians, by how large what they read is.
FEW_CHANNELS = 32
# Gradients in front of them: weights that read few numbers decide the slopes of what they make too.
FEW_READ = f"weights that read fewer than {FEW_CHANNELS} channels of data, which decide slopes too"


def pre_second_moment(weights: Weights, mean: float, second_moment: float) -> float:
    """Return E[z²] of the pre-activations for inputs with E[x] and E[x²]."""
    # Weights with sum 0 do not see the mean over units.
    seen = second_moment - mean**2 if weights.form == STANDARDIZED else second_moment
    return weights.pre_second_moment(max(seen, 0.0))


def through(weights: Weights, signal: Signal) -> Step | NoTheory:
    """Return the step to the pre-activations, or why not: they are too large to square.

    They are Gaussian of mean 0, and gradients pass the weights, whatever came in.
    """
    # Weights with sum 0 do not see the mean over units.
    seen = signal.same
    if weights.form == STANDARDIZED:
        seen = floored(signal.same - outer(signal.mean, signal.mean, signal.same))
    same = weights.pre_second_moment(seen)
    if np.max(same) > LARGEST_SECOND_MOMENT:
        return NoTheory(TOO_LARGE)
    still = weights.keeps_silent(silent=signal.law == ZERO)
    factor = weights.square_gain * weights.fan_out / weights.fan_in
    after = Signal(
        Shape(weights.fan_out, signal.shape.grid),
        np.zeros_like(signal.mean),
        same,
        weights.square_gain * signal.gap,
        ZERO if still else GAUSSIAN,
        least=least_after(weights, signal),
        higher=_higher(weights, signal),
    )
    step = Step((signal,), after, lambda slope: (slope.independent().scaled(factor),))
    return step if weights.fan_in >= FEW_CHANNELS else before_few(step)


def before_few(step: Step) -> Step:
    """Return the step of weights that read few channels: of one sample of data, which are numbers,
    gradients before them are not known."""
    (before,) = step.inputs
    if before.higher is None or not before.higher.fixed:
        return step
    back = partial(unknown_slopes, inputs=step.inputs)
    return replace(step, pull=back, why_gradient=FEW_READ)


def of_sum(weights: Weights, fourth: FloatArray) -> Higher:
    """Return moments beyond the second of sums of weights times x with this fourth cumulant,
    (positions,), and of biases that may not be Gaussian either."""
    return Higher(np.zeros_like(fourth), fourth + weights.bias_excess * weights.bias_std**4)


def _higher(weights: Weights, signal: Signal) -> Higher | None:
    """Return moments beyond the second of pre-activations, None where they are Gaussian.

    Given few x, weights of variance σ² with the fourth cumulant κ σ⁴ make E[z⁴] 3 σ⁴ (Σ x²)² + κ σ⁴
    Σ x⁴. The first sum differs from its mean unless x is fixed.
    """
    if weights.fan_in >= FEW_CHANNELS:  # where biases that are not Gaussian are small
        return None
    before, count = signal.beyond, signal.mean.size
    if before is None or weights.orthogonal or weights.form != PLAIN:
        return Higher.unknown(count)
    square = diagonal(signal.same)
    single = before.raw_fourth(signal.mean, square)
    fourth = weights.excess * single
    if not before.fixed:
        fourth = fourth + 3.0 * (single - square * square)
    fourth = weights.square_gain**2 / weights.fan_in * fourth
    return of_sum(weights, fourth)


def least_after(weights: Weights, signal: Signal, share: float = 1.0) -> Least:
    """Return what is certain of pre-activations after a `signal` that is not known, at positions
    that see `share` of it or more."""
    if signal.known:
        return Least()
    bounds = signal.bounds
    seen = bounds.variance if weights.form == STANDARDIZED else bounds.square
    return Least.centred(weights.pre_second_moment(share * seen))
