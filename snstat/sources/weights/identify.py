"""Which named initialisers a matrix may have been drawn with.

A scheme is refused by any of these, each with its own exact parameters: the variance, the mean, the
kurtosis, the largest value, the distribution of values (Kolmogorov–Smirnov), the spread of the sums
of squares of rows and of columns, and the largest singular value. Weights that were trained, or
scaled row by row, are of no scheme even where their values taken together look like one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from snstat.results import FloatArray, Scheme
from snstat.sources.weights.laws import LAWS, Law, kolmogorov
from snstat.sources.weights.layouts import Fans
from snstat.sources.weights.matrix import Matrix
from snstat.sources.weights.moments import Moments
from snstat.sources.weights.schemes import named, orthogonal_name

# Standard errors. A scheme is refused by chance once in 16,000 for its variance, and less often for
# each other reason.
VARIANCE, MEAN, SCALED = 4.0, 5.0, 5.0
# The kurtosis of few values is skewed: far more often too high than too low.
KURTOSIS_LOW, KURTOSIS_HIGH = 5.0, 7.0
# Probability of a largest value, and of a distance of Kolmogorov–Smirnov, as unlikely by chance.
RARE = 1e-6
# Values that the distance is taken of.
SAMPLED = 2**13
# Sides from which rows, columns and the largest singular value are looked at.
LEAST_ROWS, LEAST_SIDE = 16, 8
# The largest singular value of independent weights is near σ(√units + √fan_in); of 8 rows and
# columns it is above 1.35 times that less than once in 10⁶ matrices.
LONGEST = 1.35
# Rounding of sums in float32, where orthogonal matrices are usually made.
SINGLE = 2e-5
SEED = 0


@dataclass(frozen=True, slots=True)
class Looks:
    """What is looked at: a matrix without rows that are not finite, its sums and largest singular
    value."""

    matrix: Matrix
    fans: Fans
    moments: Moments
    spectral_norm: float | None


def schemes_of(looks: Looks) -> tuple[Scheme, ...]:
    """Return all named schemes that fit, those of the nearest variance first."""
    moments = looks.moments
    if moments.smallest == moments.largest:
        names = {0.0: "zeros", 1.0: "ones"}
        return (Scheme(names.get(moments.largest, "constant"), None),)
    orthogonal = _orthogonal(looks)
    if orthogonal is not None:
        return (Scheme(orthogonal, None),)
    square = moments.mean_square
    if not 0 < square < math.inf:
        return ()
    sizes: FloatArray | None = None
    found = []
    for scheme in named(looks.fans):
        law = LAWS[scheme.law]
        error = math.sqrt((law.fourth - 1.0) / moments.size)
        z = math.log(square / scheme.variance) / error
        if not (abs(z) < VARIANCE and _plausible(looks, law, scheme.variance)):
            continue
        if sizes is None:
            sizes = np.sort(np.abs(looks.matrix.sample(SAMPLED)))
        if _distributed(law, sizes / math.sqrt(scheme.variance), looks.matrix.epsilon):
            found.append(Scheme(scheme.name, z))
    return tuple(sorted(found, key=lambda scheme: abs(scheme.z or 0.0)))


def _plausible(looks: Looks, law: Law, variance: float) -> bool:
    """Return whether sums are as those of independent weights of a law and variance."""
    moments, n = looks.moments, looks.moments.size
    if abs(math.fsum(moments.sums)) > MEAN * math.sqrt(n * variance):
        return False
    kurtosis = moments.kurtosis
    deviation = ((kurtosis or 0.0) - law.fourth) * math.sqrt(n) / law.kurtosis_error
    # Rounding of the values to few digits adds to it.
    slack = 8.0 * looks.matrix.epsilon * math.sqrt(n) / law.kurtosis_error
    if not -KURTOSIS_LOW - slack < deviation < KURTOSIS_HIGH + slack:
        return False
    if not _extreme(law, moments.extreme / math.sqrt(variance), n, looks.matrix.epsilon):
        return False
    units, inputs = looks.matrix.units, looks.matrix.fan_in
    if min(units, inputs) >= LEAST_ROWS and not (
        _even(law, moments.squares / variance, inputs)
        and _even(law, moments.column_squares / variance, units)
    ):
        return False
    if looks.spectral_norm is None or min(units, inputs) < LEAST_SIDE:
        return True
    longest = LONGEST * math.sqrt(variance) * (math.sqrt(units) + math.sqrt(inputs))
    return looks.spectral_norm <= longest


def _extreme(law: Law, largest: float, n: int, epsilon: float) -> bool:
    """Return whether the largest |x| of n values is likely to be neither above nor below this."""
    low, high = largest * (1.0 - epsilon), largest * (1.0 + epsilon)
    if low > law.largest:
        return False
    below, above = (float(law.within(np.array([size]))[0]) for size in (high, low))
    beyond = 1.0 - above if above < 1.0 else 0.0
    return n * math.log(max(below, 1e-300)) > math.log(RARE) and (
        law.largest < math.inf or n * beyond > RARE
    )


def _even(law: Law, sums: FloatArray, count: int) -> bool:
    """Return whether sums of squares of `count` values of variance 1 spread as if independent.

    Their variance over its expectation has nearly the distribution of a χ² over its degrees of
    freedom, whose cube root is nearly normal (Wilson, Hilferty 1931).
    """
    spread = float(np.var(sums)) / ((law.fourth - 1.0) * count)
    # The excess kurtosis of x²; 12 for a normal.
    square = law.fourth - 1.0
    shape = (law.eighth - 4.0 * law.sixth + 6.0 * law.fourth - 3.0) / square**2 - 3.0
    freedom = len(sums) * 2.0 / (2.0 + shape / count)
    error = 2.0 / (9.0 * freedom)
    return bool(abs(spread ** (1.0 / 3.0) - 1.0 + error) < SCALED * math.sqrt(error))


def _distributed(law: Law, sizes: FloatArray, epsilon: float) -> bool:
    """Return whether |x| (n,), ascending, is distributed as a law says, by the asymptotic
    distribution of the largest distance; rounding to few digits moves at most its own share."""
    distance = kolmogorov(law, sizes) - epsilon / 2.0
    return 2.0 * math.exp(-2.0 * len(sizes) * max(distance, 0.0) ** 2) > RARE


def _orthogonal(looks: Looks) -> str | None:
    """Return the name of orthogonal weights if rows or columns, whichever are fewer, are orthogonal
    and of equal norm: a random vector is then an eigenvector of their Gram matrix."""
    matrix, squares = looks.matrix, looks.moments.squares
    small, large = sorted((matrix.units, matrix.fan_in))
    norm = float(np.sum(squares)) / small
    if small == 1 or not 0 < norm < math.inf:  # one row is orthogonal, whatever it is
        return None
    vector = np.random.default_rng(SEED).standard_normal(small)
    off = np.linalg.norm(matrix.gram_times(vector) - norm * vector) / (
        norm * np.linalg.norm(vector)
    )
    # Rounded entries have independent errors. Those of independent weights are √(small/large).
    rounding = matrix.epsilon * (math.sqrt(small / large) + 1.0 / math.sqrt(large))
    if not off <= rounding + SINGLE:
        return None
    return orthogonal_name(math.sqrt(norm), matrix.epsilon + SINGLE)
