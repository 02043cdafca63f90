"""Test sums of every (lag + 1)-th word of the stream one-key, as rgb_lagged_sum does, but faster.

    python -m tests.dieharder.lagged_sums 6 4000  # lag, samples

A sample is the sum of a million words. The Kolmogorov–Smirnov statistic judges the samples;
dieharder's p-values are biased towards 1 (weak.py).
"""

from __future__ import annotations

import math
import sys

import numpy as np
from numba import njit
from scipy import stats

from snstat.engine.kernels.random import HIGH, MASK, philox, u64

TERMS = 10**6
# Beyond the blocks that dieharder has read.
FIRST = 2**42


# The kernel is not cached on disk, because the cache does not notice changes of the generator.
@njit(fastmath={"reassoc"})
def lagged_sums(out, lag, first):
    """Write to `out` (samples,) the sums of words scaled to [0, 1), from block `first` on."""
    position = first << u64(2)
    for sample in range(out.size):
        total = 0.0
        for _ in range(TERMS):
            position += lag
            index = position >> u64(2)
            a, b, c, d = philox(index & MASK, index >> HIGH, u64(1), u64(0), u64(0), u64(0))
            k = position & u64(3)
            total += (a if k == 0 else b if k == 1 else c if k == 2 else d) * 2.0**-32
            position += u64(1)
        out[sample] = total


def main() -> None:
    lag, samples = (int(argument) for argument in sys.argv[1:])
    sums = np.empty(samples)
    lagged_sums(sums, np.uint64(lag), np.uint64(FIRST))
    uniform = stats.norm.cdf(sums, TERMS / 2, math.sqrt(TERMS / 12))
    p = stats.kstest(uniform, "uniform").pvalue
    sys.stdout.write(f"lag {lag}, {samples} samples: p = {p:.4f}\n")


if __name__ == "__main__":
    main()
