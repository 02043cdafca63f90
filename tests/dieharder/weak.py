"""Measure how often dieharder calls a perfect generator WEAK.

    python -m tests.dieharder.weak

dieharder judges the n p-values of a test by the largest distance of the i-th smallest from
i/(n + 1), but uses the distribution of Kolmogorov's statistic, which is the larger of the distances
from i/n and (i − 1)/n (kstest.c of 3.31.1: `d2` is computed and not used). Its p-values are
therefore biased towards 1.
"""

from __future__ import annotations

import os
import sys

import numpy as np
from scipy import stats

SETS = 100_000


def p_values(samples: np.ndarray) -> np.ndarray:
    """Return dieharder's p-value of every row of `samples` (sets, n)."""
    n = samples.shape[1]
    distance = np.abs(np.sort(samples, axis=1) - np.arange(1, n + 1) / (n + 1)).max(axis=1)
    return stats.kstwo.sf(distance, n)


def main() -> None:
    for n in (5, 25, 100, 500, 1000):
        p = np.empty(SETS)
        for part in np.split(p, 100):
            # Entropy of the operating system, so that the package's generator does not judge
            # itself.
            words = np.frombuffer(os.urandom(8 * part.size * n), np.uint64)
            part[:] = p_values(words.reshape(part.size, n) * 2.0**-64)
        sys.stdout.write(
            f"{n} samples: p < 0.005 in {(p < 0.005).mean():.1%}, p > 0.995 in"
            f" {(p > 0.995).mean():.1%} of {SETS} sets\n"
        )


if __name__ == "__main__":
    main()
