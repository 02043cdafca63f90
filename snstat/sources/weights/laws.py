"""The distributions that initialisers draw from, about 0 with variance 1, and how data differ."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType

import numpy as np

from snstat.layers.initialisers import TRUNCATED_STD
from snstat.results import FloatArray

NORMAL, UNIFORM, TRUNCATED = "normal", "uniform", "truncated_normal"
# Where a standard normal is cut.
CUT = 2.0


@dataclass(frozen=True, slots=True)
class Law:
    """A symmetric distribution of variance 1: its fourth, sixth and eighth moment, its largest
    value, and P(|x| ≤ a) at values a (n,)."""

    fourth: float
    sixth: float
    eighth: float
    largest: float
    within: Callable[[FloatArray], FloatArray]

    @property
    def kurtosis_error(self) -> float:
        """√n times the standard error of the kurtosis of n independent values.

        By the delta method, the ratio m₄/m₂² varies as x⁴ − 2 κ x².
        """
        k = self.fourth
        return math.sqrt(self.eighth - 4.0 * k * self.sixth + 4.0 * k**3 - k**2)


def _within_normal(size: FloatArray) -> FloatArray:
    from scipy.special import erf

    return np.asarray(erf(size / math.sqrt(2.0)))


def _within_uniform(size: FloatArray) -> FloatArray:
    return np.minimum(size / math.sqrt(3.0), 1.0)


def _within_truncated(size: FloatArray) -> FloatArray:
    # Before it was cut, the normal had standard deviation 1/TRUNCATED_STD.
    return np.minimum(_within_normal(size * TRUNCATED_STD) / math.erf(CUT / math.sqrt(2.0)), 1.0)


@cache
def _truncated_moments() -> tuple[float, float, float]:
    """Return the moments by parts: E[xⁿ⁺²] = (n + 1) E[xⁿ] − 2 cⁿ⁺¹ ϕ(c)/P(|x| < c) of a normal
    cut at ±c."""
    edge = 2.0 * math.exp(-(CUT**2) / 2.0) / math.sqrt(2.0 * math.pi)
    edge /= math.erf(CUT / math.sqrt(2.0))
    found = [1.0]
    for order in (0, 2, 4, 6):
        found.append((order + 1) * found[-1] - CUT ** (order + 1) * edge)
    _, second, *others = found
    fourth, sixth, eighth = (m / second ** (2 + i) for i, m in enumerate(others))
    return fourth, sixth, eighth


LAWS: Mapping[str, Law] = MappingProxyType(
    {
        NORMAL: Law(3.0, 15.0, 105.0, math.inf, _within_normal),
        UNIFORM: Law(9.0 / 5.0, 27.0 / 7.0, 9.0, math.sqrt(3.0), _within_uniform),
        TRUNCATED: Law(*_truncated_moments(), CUT / TRUNCATED_STD, _within_truncated),
    }
)


def kolmogorov(law: Law, size: FloatArray) -> float:
    """Return the largest distance of the distribution of |x| from its law; `size` (n,) ascends."""
    expected = law.within(size)
    steps = np.arange(size.size + 1) / size.size
    return float(max(np.max(steps[1:] - expected), np.max(expected - steps[:-1])))
