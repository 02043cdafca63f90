"""Whether an estimate leaves theory by more than its error allows.

Theory does not depend on chance, so rules judge it wherever it describes the networks that were
simulated. Where an estimate is certainly elsewhere, as in networks so narrow that they die, rules
judge the estimate. Chance decides that once in ten thousand layers at most.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np

from snstat.results import BoolArray, FloatArray
from snstat.results.student import quantile
from snstat.values.special import special

# Standard errors, of infinitely many trials, beyond which an estimate is elsewhere.
LEAST = 6.0
# Probability with which fewer trials may be so far off.
CHANCE = 1e-4
# If trials do not vary, relative differences below this are rounding of sums.
ROUNDING = 1e-6


@lru_cache(maxsize=16)
def certain(trials: int) -> float:
    """Return how many standard errors over `trials` trials are more than chance: Student's t with
    trials − 1 degrees of freedom, infinity for one trial."""
    if trials < 2:
        return math.inf
    return max(LEAST, quantile(CHANCE, trials - 1))


def strays(estimate: FloatArray, stderr: FloatArray, theory: FloatArray, trials: int) -> BoolArray:
    """Return of which layers an estimate over `trials` is certainly not `theory`; all (layers,).

    Where trials agree to the last bit, any difference beyond rounding counts.
    """
    with np.errstate(invalid="ignore", over="ignore"):
        away = np.abs(estimate - theory)
        rounding = ROUNDING * np.maximum(np.abs(estimate), np.abs(theory))
        allowed = np.where(stderr == 0, rounding, np.maximum(certain(trials) * stderr, rounding))
        far: BoolArray = (away > allowed) & (trials > 1)
    return far


def log_strays(
    estimate: FloatArray, stderr: FloatArray, theory: FloatArray, trials: int
) -> BoolArray:
    """Return the same of logarithms, of which differences are relative ones."""
    with np.errstate(invalid="ignore", over="ignore"):
        rounding = ROUNDING * np.maximum(np.abs(theory), 1.0)
        allowed = np.where(stderr == 0, rounding, np.maximum(certain(trials) * stderr, rounding))
        far: BoolArray = (np.abs(estimate - theory) > allowed) & (trials > 1)
    return far


def share_strays(
    estimate: FloatArray, stderr: FloatArray, theory: FloatArray, trials: int
) -> BoolArray:
    """Return the same of a share between 0 and 1, whose trials agree by chance too.

    The mean of n such shares is on one side of s ≠ p with probability exp(−n KL(s‖p)) at most,
    where p is its expectation, whatever the distribution (Hoeffding 1963, theorem 1).
    """
    unlikely: BoolArray = trials * divergence(estimate, np.clip(theory, 0.0, 1.0)) > math.log(
        2.0 / CHANCE
    )
    return unlikely | (strays(estimate, stderr, theory, trials) & (stderr > 0))


def divergence(share: FloatArray, expected: FloatArray) -> FloatArray:
    """Return KL(s‖p) of shares s of what happens with probability p, both from 0 to 1."""
    xlogy = special("xlogy")
    other, rest = 1.0 - share, 1.0 - expected
    result: FloatArray = xlogy(share, share) - xlogy(share, expected)
    result += xlogy(other, other) - xlogy(other, rest)
    return result


def spread_of_logs(
    estimate: FloatArray, stderr: FloatArray, trials: int
) -> tuple[FloatArray, FloatArray]:
    """Return the standard deviation between trials of the logarithm of a positive statistic, as
    estimated, and what it certainly is at least; (layers,), NaN for fewer than 2 trials.

    The variance between trials of the statistic has trials − 1 degrees of freedom of chi-square.
    For logarithms that are normal with deviation σ, the deviation relative to the mean is
    √(exp(σ²) − 1).
    """
    if trials < 2:
        return np.full_like(estimate, math.nan), np.full_like(estimate, math.nan)
    with np.errstate(divide="ignore", invalid="ignore"):
        variance = trials * (stderr / estimate) ** 2
        least = variance * (trials - 1) / special("chdtri")(trials - 1, CHANCE)
        return np.sqrt(np.log1p(variance)), np.sqrt(np.log1p(least))
