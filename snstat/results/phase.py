"""The record of `snstat.phase`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from snstat.results.base import BoolArray, FloatArray, Record

# The depth scales of which a picture has contours: of correlations, of second moments.
CONTOURS = ("xi_c", "xi_q", "both", "none")


@dataclass(frozen=True, slots=True, eq=False)
class Phase(Record):
    """Where signals settle in networks of one activation, over weight gains and bias deviations.

    `weight_gain` is (gains,) and `bias_std` (biases,); all other arrays are (gains, biases). They
    describe the fixed point that q, the second moment of pre-activations, reaches from 1:

    - `second_moment`: E[φ²] of activations there; 0 where the signal vanishes, infinite where it
      grows without bound. `pre_activation` is q = G²·E[φ²] + b².
    - `gradient_growth`: χ = G²·E[φ'²], the factor of squared gradients per layer backward. Below 1
      is the ordered phase, above 1 the chaotic one.
    - `slope`: ∂q'/∂q.
    - `depth_scale`: ξ_q = −1/ln|slope| in layers; infinite where nothing decays.
    - `correlation`: the stable correlation c* of two inputs, 1 in the ordered phase.
    - `correlation_depth_scale`: ξ_c = −1/ln of the slope of the correlation map at c*.

    Where q vanishes or grows without bound, `gradient_growth` and `slope` are limits, correlations
    and ξ_c are NaN, and so is ξ_q where q is infinite.
    """

    activation: str
    weight_gain: FloatArray
    bias_std: FloatArray
    second_moment: FloatArray
    pre_activation: FloatArray
    gradient_growth: FloatArray
    slope: FloatArray
    depth_scale: FloatArray
    correlation: FloatArray
    correlation_depth_scale: FloatArray

    @property
    def vanishes(self) -> BoolArray:
        """Where the signal settles at 0, (gains, biases)."""
        return np.equal(self.pre_activation, 0.0)

    @property
    def explodes(self) -> BoolArray:
        """Where the signal grows without bound, (gains, biases)."""
        return np.isposinf(self.pre_activation)
