"""Student's t between two means whose errors are estimates: Welch's test.

Welch, The generalization of "Student's" problem (1947); Satterthwaite (1946).
"""

from __future__ import annotations

import numpy as np

from snstat.results import FloatArray
from snstat.results.base import IntArray
from snstat.results.student import tail

# How many times more trials on one side leave Satterthwaite's degrees of freedom any use.
MUCH = 4


def welch(
    difference: FloatArray,
    stderr: FloatArray,
    other: FloatArray,
    trials: int | IntArray,
    others: int | IntArray,
) -> FloatArray:
    """Return the two-sided probability of `difference` (layers,) between means with standard
    errors `stderr` and `other` over `trials` and `others` trials, of all layers or (layers,); NaN
    where both are 0.

    Satterthwaite's degrees of freedom are estimates, and far too many where the standard error of
    the fewer trials happens to be small: far out in the tails that is what counts. So they are at
    most those of a test with the fewer trials on both sides, and where numbers differ by more than
    MUCH, of the fewer trials alone. For equal variances no level is then exceeded.
    """
    total = np.hypot(stderr, other)  # squares of tiny errors would underflow
    with np.errstate(divide="ignore", invalid="ignore"):
        share = (stderr / total) ** 2  # of the variance
        freedom = 1.0 / (share**2 / (trials - 1) + (1.0 - share) ** 2 / (others - 1))
        fewer, more = np.minimum(trials, others), np.maximum(trials, others)
        most = np.where(more <= MUCH * fewer, 2.0, 1.0) * (fewer - 1)
        freedom = np.where(fewer < more, np.minimum(freedom, most), freedom)
        return tail(difference / total, freedom)
