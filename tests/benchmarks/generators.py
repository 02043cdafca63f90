"""Measure random generators side by side; print a markdown table.

    python -m tests.benchmarks.generators

Every generator fills the same buffer with 32-bit words, and the package's Box–Muller turns them
into float32 normals, on one core. As in draw_rows, words come first, then values, in pieces that
stay in cache. Repeats are interleaved, so that other load on the machine affects all generators.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable

import numpy as np
from numba import njit, types
from numba.extending import intrinsic

from snstat.engine.kernels.jit import FAST
from snstat.engine.kernels.random import (
    HIGH,
    MASK,
    MULTIPLIER_0,
    MULTIPLIER_1,
    WEYL_0,
    WEYL_1,
    f32,
    normal_pair,
    philox,
    u32,
    u64,
)

# Words per piece: 16 KiB, as for a row of 4096 weights.
PIECE = 2**12
PIECES = 2**8
REPEATS = 101

GOLDEN = u64(0x9E3779B97F4A7C15)
PARITY = u32(0x1BD11BDA)
inlined = njit(inline="always")
compiled = njit(nogil=True, error_model="numpy", fastmath=FAST)


@inlined
def philox_10(index, seed):
    return philox(index & MASK, index >> HIGH, u64(0), u64(0), seed & MASK, seed >> HIGH)


@inlined
def philox_7(index, seed):
    c0, c1, c2, c3 = index & MASK, index >> HIGH, u64(0), u64(0)
    k0, k1 = seed & MASK, seed >> HIGH
    for _ in range(7):
        product_0 = MULTIPLIER_0 * c0
        product_1 = MULTIPLIER_1 * c2
        c0, c1 = (product_1 >> HIGH) ^ c1 ^ k0, product_1 & MASK
        c2, c3 = (product_0 >> HIGH) ^ c3 ^ k1, product_0 & MASK
        k0, k1 = (k0 + WEYL_0) & MASK, (k1 + WEYL_1) & MASK
    return c0, c1, c2, c3


@inlined
def splitmix(index, seed):
    """Two outputs of splitmix64 (Steele, Lea, Flood 2014), whose state after n steps is known."""
    z = seed + (index + index + u64(1)) * GOLDEN
    y = z + GOLDEN
    z = (z ^ (z >> u64(30))) * u64(0xBF58476D1CE4E5B9)
    y = (y ^ (y >> u64(30))) * u64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> u64(27))) * u64(0x94D049BB133111EB)
    y = (y ^ (y >> u64(27))) * u64(0x94D049BB133111EB)
    z ^= z >> u64(31)
    y ^= y >> u64(31)
    return z & MASK, z >> HIGH, y & MASK, y >> HIGH


# Numba widens the sum of 32-bit words to 64 bits, and LLVM then halves the number of lanes. That
# alone would halve the speed of Threefry.
WORDS_TO_WORD = types.uint32(types.uint32, types.uint32)


@intrinsic
def add(typing, x, y):  # noqa: ARG001 - numba reads the signature
    return WORDS_TO_WORD, lambda _context, builder, _signature, pair: builder.add(*pair)


@intrinsic
def rotate(typing, x, left):  # noqa: ARG001 - numba reads the signature
    def generate(_context, builder, _signature, arguments):
        x, left = arguments
        right = builder.sub(left.type(32), left)
        # LLVM turns this into one instruction.
        return builder.or_(builder.shl(x, left), builder.lshr(x, right))

    return WORDS_TO_WORD, generate


@inlined
def threefry_rounds(x0, x1, x2, x3, a, b, c, d, e, f, g, h):
    """Four rounds with the rotations (a, b), (c, d), (e, f), (g, h)."""
    x0, x2 = add(x0, x1), add(x2, x3)
    x1, x3 = rotate(x1, u32(a)) ^ x0, rotate(x3, u32(b)) ^ x2
    x0, x2 = add(x0, x3), add(x2, x1)
    x3, x1 = rotate(x3, u32(c)) ^ x0, rotate(x1, u32(d)) ^ x2
    x0, x2 = add(x0, x1), add(x2, x3)
    x1, x3 = rotate(x1, u32(e)) ^ x0, rotate(x3, u32(f)) ^ x2
    x0, x2 = add(x0, x3), add(x2, x1)
    x3, x1 = rotate(x3, u32(g)) ^ x0, rotate(x1, u32(h)) ^ x2
    return x0, x1, x2, x3


@inlined
def inject(x0, x1, x2, x3, a, b, c, d, count):
    """Add four words of the key schedule."""
    return add(x0, a), add(x1, b), add(x2, c), add(add(x3, d), u32(count))


@inlined
def threefry_20(index, seed):
    """Threefry4x32-20 (Salmon et al. 2011), the seed in the first two words of the key."""
    a, b, c, d = u32(seed & MASK), u32(seed >> HIGH), u32(0), u32(0)
    e = a ^ b ^ PARITY
    x0, x1, x2, x3 = inject(u32(index & MASK), u32(index >> HIGH), u32(0), u32(0), a, b, c, d, 0)
    x0, x1, x2, x3 = threefry_rounds(x0, x1, x2, x3, 10, 26, 11, 21, 13, 27, 23, 5)
    x0, x1, x2, x3 = inject(x0, x1, x2, x3, b, c, d, e, 1)
    x0, x1, x2, x3 = threefry_rounds(x0, x1, x2, x3, 6, 20, 17, 11, 25, 10, 18, 20)
    x0, x1, x2, x3 = inject(x0, x1, x2, x3, c, d, e, a, 2)
    x0, x1, x2, x3 = threefry_rounds(x0, x1, x2, x3, 10, 26, 11, 21, 13, 27, 23, 5)
    x0, x1, x2, x3 = inject(x0, x1, x2, x3, d, e, a, b, 3)
    x0, x1, x2, x3 = threefry_rounds(x0, x1, x2, x3, 6, 20, 17, 11, 25, 10, 18, 20)
    x0, x1, x2, x3 = inject(x0, x1, x2, x3, e, a, b, c, 4)
    x0, x1, x2, x3 = threefry_rounds(x0, x1, x2, x3, 10, 26, 11, 21, 13, 27, 23, 5)
    return inject(x0, x1, x2, x3, a, b, c, d, 5)


def filler(block):
    """Return a kernel that fills `words` (4 n) with blocks from `first` on, in the layout of a
    row."""

    @compiled
    def fill(words, first, seed):
        n = words.size // 4
        for j in range(n):
            a, b, c, d = block(first + u64(j), seed)
            words[j], words[n + j], words[2 * n + j], words[3 * n + j] = (
                u32(a),
                u32(b),
                u32(c),
                u32(d),
            )

    return fill


@compiled
def box_muller(words, values):
    """Turn `words` (4 n) into the same number of float32 normals."""
    n = words.size // 4
    for j in range(n):
        values[j], values[n + j] = normal_pair(words[j], words[n + j], f32(1))
    for j in range(2 * n, 3 * n):
        values[j], values[n + j] = normal_pair(words[j], words[n + j], f32(1))


def counter_based(block) -> tuple[Callable[[], None], Callable[[], None]]:
    """Return two functions that draw all words, and all normals, with a counter-based generator."""
    fill = filler(block)

    @compiled
    def make(words, values, pieces, normals):
        for piece in range(pieces):
            fill(words, u64(piece) * u64(words.size // 4), u64(1))
            if normals:
                box_muller(words, values)

    words, values = np.empty(PIECE, np.uint32), np.empty(PIECE, np.float32)
    return (
        lambda: make(words, values, PIECES, False),
        lambda: make(words, values, PIECES, True),
    )


def of_numpy(*, ziggurat: bool) -> tuple[Callable[[], object], Callable[[], object]]:
    """Return two functions that draw all words, and all normals, with numpy's default generator.

    Normals come from numpy's ziggurat or from the package's Box–Muller.
    """
    generator, values = np.random.default_rng(1), np.empty(PIECE, np.float32)

    def words():
        for _ in range(PIECES):
            generator.integers(2**32, size=PIECE, dtype=np.uint32)

    def normals():
        for _ in range(PIECES):
            if ziggurat:
                generator.standard_normal(out=values, dtype=np.float32)
            else:
                box_muller(generator.integers(2**32, size=PIECE, dtype=np.uint32), values)

    return words, normals


GENERATORS = {
    "Philox4x32-10": counter_based(philox_10),
    "Philox4x32-7": counter_based(philox_7),
    "Threefry4x32-20": counter_based(threefry_20),
    "splitmix64 of a counter": counter_based(splitmix),
    "numpy default_rng (PCG64)": of_numpy(ziggurat=False),
    "numpy default_rng, its ziggurat": of_numpy(ziggurat=True),
}


def measure(repeats: int = REPEATS) -> dict[str, tuple[float, float]]:
    """Return words/s and normals/s of every generator: medians over interleaved repeats."""
    tasks = [(name, kind) for name in GENERATORS for kind in (0, 1)]
    seconds: dict[tuple[str, int], list[float]] = {task: [] for task in tasks}
    for repeat in range(repeats + 1):
        for name, kind in tasks:
            start = time.perf_counter()
            GENERATORS[name][kind]()
            # The first repeat compiles.
            if repeat:
                seconds[name, kind].append(time.perf_counter() - start)
    rate = {task: PIECE * PIECES / statistics.median(seconds[task]) for task in tasks}
    return {name: (rate[name, 0], rate[name, 1]) for name in GENERATORS}


def main() -> None:
    lines = ["| generator | 10⁶ words/s | 10⁶ float32 normals/s |", "|---|---:|---:|"]
    for name, (words, normals) in measure().items():
        lines.append(f"| {name} | {words / 1e6:.0f} | {normals / 1e6:.0f} |")
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
