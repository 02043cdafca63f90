"""How likely chance takes a statistic this far from its expectation, beyond what theory neglects.

Second moments multiply from layer to layer: in narrow networks they are nearly log-normal, and a
mean that is too low comes with a standard error that is too small. So positive statistics and
cosines are compared by logarithms, and counts by a bound of their own.
"""

from __future__ import annotations

import math

import numpy as np

from snstat.checks.case import Case
from snstat.checks.certainty import divergence
from snstat.results import FloatArray, Statistic
from snstat.results.student import tail

# Statistics proportional to the square of the signal.
SCALES = frozenset({"variance", "second_moment", "variance_over_batch", "variance_over_units"})


def chance_of(
    case: Case, name: str, statistic: Statistic, trials: int, least: FloatArray
) -> FloatArray:
    """Return the probability, (layers,), that chance alone takes a statistic this far from its
    expectation; NaN where there is nothing to compare.

    The standard error of an estimate that is too low is at least that of first-order theory:
    `least` (layers,) is that of the second moment, relative to it.

    A variance is less than at infinite width by the square of a mean, which is as skewed as χ² of
    one degree: few small means make its estimate too high and its standard error too small.
    """
    if name in SCALES:
        z = _log_excess(statistic)
        with np.errstate(divide="ignore", invalid="ignore"):
            error = np.fmax(statistic.stderr, _of_squared_mean(case, name, statistic, trials))
            relative = error / statistic.estimate
            low = statistic.estimate < statistic.reference
            z /= np.where(low, np.maximum(relative, least), relative)
        return _tail(np.where(statistic.stderr > 0, z, statistic.excess), trials)
    if name == "mean":
        # The mean scales with the root of the second moment.
        with np.errstate(divide="ignore", invalid="ignore"):
            own = 0.5 * np.abs(statistic.reference) * least
            low = np.abs(statistic.estimate) < np.abs(statistic.reference)
            error = np.where(low, np.maximum(statistic.stderr, own), statistic.stderr)
            z = statistic.excess * (statistic.stderr / error)
        return _tail(np.where(statistic.stderr > 0, z, statistic.excess), trials)
    if name == "cosine":
        return _tail(_angle_excess(statistic, case.batch), trials)
    if name == "dead_fraction":
        return np.fmax(_tail(statistic.excess, trials), _of_counts(case, statistic, trials))
    return _tail(statistic.excess, trials)


def _of_squared_mean(case: Case, name: str, statistic: Statistic, trials: int) -> FloatArray:
    """Return the standard error (layers,) of the squared mean that a variance lacks, NaN where
    nothing is known of it: √2 times its expectation for one trial, of the mean over a batch or of
    the means of its samples, if those were independent."""
    if name not in ("variance", "variance_over_units"):
        return np.full(len(statistic.estimate), math.nan)
    samples = 1 if name == "variance" else case.batch
    lacking = np.maximum(statistic.theory - statistic.expected, 0.0)
    error: FloatArray = np.sqrt(2.0 / (samples * trials)) * lacking
    return error


def _log_excess(statistic: Statistic) -> FloatArray:
    """Return by how much the logarithm of an estimate is farther from that of its expectation than
    `neglected` explains, (layers,), 0 where it is not."""
    estimate, expected, neglected = statistic.estimate, statistic.reference, statistic.neglected
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        above = np.log(estimate) - np.log(expected + neglected)
        below = np.log(np.maximum(expected - neglected, 0.0)) - np.log(estimate)
        excess: FloatArray = np.maximum(np.maximum(above, below), 0.0)
    return excess


def _angle_excess(statistic: Statistic, batch: int) -> FloatArray:
    """Return the excess of the mean cosine c of all pairs in standard errors, (layers,).

    Compared is ln((1 + (B − 1) c)/(1 − c)), Fisher's transformation where B = 2.

    Numerator and denominator are the squares of the sum of B samples of equal norm and of what is
    left. Both are positive, and so skewed like second moments in narrow networks.
    """
    c, neglected = statistic.estimate, statistic.neglected

    def transformed(cosine: FloatArray) -> FloatArray:
        inside = np.clip(cosine, -1.0 / (batch - 1), 1.0)
        logs: FloatArray = np.log1p((batch - 1) * inside) - np.log1p(-inside)
        return logs

    with np.errstate(divide="ignore", invalid="ignore"):
        above = transformed(c) - transformed(statistic.reference + neglected)
        below = transformed(statistic.reference - neglected) - transformed(c)
        slope = batch / ((1.0 + (batch - 1) * c) * (1.0 - c))
        excess: FloatArray = np.fmax(np.maximum(above, below), 0.0) / (slope * statistic.stderr)
    return np.where(statistic.stderr > 0, excess, statistic.excess)


def _of_counts(case: Case, statistic: Statistic, trials: int) -> FloatArray:
    """Return an upper bound of the probability of this many dead units over all trials, if units
    die independently. Counts of few dead units are far from normal (Hoeffding 1963, theorem 1)."""
    expected = statistic.reference
    off = statistic.neglected * np.sign(statistic.estimate - expected)
    nearest = np.clip(expected + off, 0.0, 1.0)
    within = np.abs(statistic.estimate - expected) <= statistic.neglected
    counts = case.units * trials * divergence(statistic.estimate, nearest)
    bound: FloatArray = np.where(within, 1.0, np.minimum(2.0 * np.exp(-counts), 1.0))
    return np.where(np.isnan(statistic.excess), math.nan, bound)


def _tail(z: FloatArray, trials: int) -> FloatArray:
    """Return the two-sided probability of |z| (layers,) over `trials` trials, NaN where z is."""
    return np.where(np.isfinite(z), tail(z, trials - 1), math.nan)
