"""The moments of an activation of Gaussian inputs, and how alike two samples are after it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from snstat.activation import Activation
from snstat.gaussian.centred import CentredMoments, centred_moments
from snstat.gaussian.pairs import pair_gap
from snstat.gaussian.rounding import without_noise

# Floats below this have fewer digits than others once they are a small part of something.
LEAST_SQUARE = float(np.finfo(np.float64).tiny / np.finfo(np.float64).eps)
MomentsAt = Callable[[Activation, float], CentredMoments]


def after(
    function: Activation, q: float, *, still: bool, moments_at: MomentsAt = centred_moments
) -> CentredMoments:
    """Return the moments of φ(z) for z ~ N(0, q), which `moments_at` evaluates.

    A q of 0 is taken for small signals that underflow, unless z is `still`: exactly 0.
    """
    moments = moments_at(function, q)
    if still:
        at_rest = float(function.derivative(np.zeros(()))) ** 2
        moments = replace(moments, derivative_square=at_rest)
    return moments


def gap_after(function: Activation, q: float, apart: float, total: float) -> float:
    """Return E[φ²] − E[φφ'] at q and 1 − c = `apart`, for E[φ²] = `total`."""
    # Uncorrelated inputs of an odd activation stay exactly uncorrelated.
    exact = function.odd and apart == 1.0
    return total if exact else pair_gap(function, q, apart)


def cosine(total: float, gap: float) -> float:
    """Return the cosine of two samples, NaN where they are 0, or where their squares are so small
    that they lose digits."""
    return without_noise(1.0 - gap / total, 1.0) if total >= LEAST_SQUARE else math.nan


def misalignment(q: float, gap: float) -> float:
    """Return 1 − c of two samples z with E[z²] = q and E[z²] − E[zz'] = `gap`."""
    return min(gap / q, 2.0) if q > 0 else 0.0
