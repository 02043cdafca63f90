"""One dense layer whose inputs are known: what uniform stacks consist of."""

from __future__ import annotations

import math
from dataclasses import dataclass

from snstat.activation import resolve
from snstat.gaussian.centred import CentredMoments, centred_moments
from snstat.layers.gaussian_inputs import MomentsAt, after, cosine, gap_after, misalignment
from snstat.layers.law import ROUNDING
from snstat.layers.weights import LARGEST_SECOND_MOMENT, Weights

# The activation of a layer without one.
LINEAR = "identity"


@dataclass(frozen=True, slots=True)
class DenseStep:
    """One layer: q of its pre-activations, then the moments of its activations and χ.

    `silent` is true if every activation is exactly 0, in networks of any width.
    """

    pre_second_moment: float
    moments: CentredMoments
    growth: float
    silent: bool

    @property
    def second_moment(self) -> float:
        """E[φ²] after the layer."""
        return self.moments.second_moment


@dataclass(frozen=True, slots=True)
class PairStep:
    """One layer and two samples: 1 − c of the pre-activations, E[φ²] − E[φφ'] of the activations,
    and the cosine of the activations, NaN where they are 0."""

    misalignment: float
    gap: float
    cosine: float


@dataclass(frozen=True, slots=True)
class DenseLayer(Weights):
    """One dense layer whose inputs are known, with its activation.

    Its state after a step is E[φ²] and, for a pair of inputs, E[φ²] − E[φφ']. The latter is used
    instead of the correlation so that inputs that become alike keep their relative precision.
    """

    activation: str

    def step(
        self,
        second_moment: float,
        previous: DenseStep | None = None,
        *,
        silent: bool = False,
        moments_at: MomentsAt = centred_moments,
    ) -> DenseStep | None:
        """Return the state after this layer, or None where it is no longer finite.

        `second_moment` and `silent` describe the layer before. `previous` is the step of an equal
        layer and is returned itself if the state has not moved beyond rounding. `moments_at`
        evaluates the moments.
        """
        q = self.pre_second_moment(second_moment)
        if not q <= LARGEST_SECOND_MOMENT:
            return None
        if previous is not None and _same(q, previous.pre_second_moment):
            return previous
        still = self.keeps_silent(silent=silent)
        moments = after(resolve(self.activation), q, still=still, moments_at=moments_at)
        growth = self.square_gain * moments.derivative_square
        return DenseStep(q, moments, growth, still and moments.second_moment == 0)

    def pair_step(self, step: DenseStep, gap: float, previous: PairStep | None = None) -> PairStep:
        """Return the step of two samples with this `gap` before the layer, whose own step is
        `step`.

        `previous` belongs to a layer before with the same step and is returned itself if nothing
        has moved.
        """
        q, total = step.pre_second_moment, step.second_moment
        apart = misalignment(q, self.square_gain * gap)
        if previous is not None and _same(apart, previous.misalignment):
            return previous
        gap = gap_after(resolve(self.activation), q, apart, total)
        return PairStep(apart, gap, cosine(total, gap))


def _same(first: float, second: float) -> bool:
    return abs(first - second) <= ROUNDING * math.ulp(first) or first == second
