"""The masks of dropout."""

from __future__ import annotations

import numpy as np

from snstat.engine.kernels.jit import jit
from snstat.engine.kernels.random import MASKS, philox, stream_of

u32, u64, f64 = np.uint32, np.uint64, np.float64
MASK, HIGH = u64(0xFFFFFFFF), u64(32)
# Blocks of words that are drawn before values are made of them; they stay in the level-1 cache.
BLOCKS = 1024


@jit
def draw_kept(out, rate, draw):
    """Fill `out` (n,) with 1 where the numbers of random.draw_uniform are at least `rate`, else 0.

    No array of these numbers is made, which would not stay in the cache.
    """
    n = (out.size + 3) // 4
    c1, c2, c3, k0, k1 = stream_of(MASKS, draw)
    words = np.empty((4, BLOCKS), np.uint32)
    one, two, three, four = words[0], words[1], words[2], words[3]
    for start in range(0, n, BLOCKS):
        count = min(BLOCKS, n - start)
        for j in range(count):
            index = u64(start + j)
            a, b, c, d = philox(index & MASK, c1 | (index >> HIGH), c2, c3, k0, k1)
            one[j], two[j], three[j], four[j] = u32(a), u32(b), u32(c), u32(d)
        for k in range(4):
            first, row = k * n + start, words[k]
            for j in range(min(count, out.size - first)):
                out[first + j] = (f64(row[j]) + 0.5) * 2.0**-32 >= rate
