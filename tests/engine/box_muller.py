"""Measure the error of the float32 Box–Muller against float64.

    python -m tests.engine.box_muller  # all words: some minutes

Errors are in units in the last place of the exact result.
"""

from __future__ import annotations

import math
import sys

import numpy as np
from numba import njit

from snstat.engine.kernels.random import f32, f64, normal_pair, u32, u64


# The kernels are not cached on disk, because the cache does not notice changed polynomials.
@njit
def ulps(value, exact):
    _, exponent = math.frexp(exact)
    return abs(f64(value) - exact) / 2.0 ** (exponent - 24)


@njit
def radius_error(step):
    """Return the largest error of the radius, over every `step`-th word.

    The reference uses the same float32 uniform, so that the rounding of the uniform is excluded.
    """
    worst = 0.0
    for a in range(0, 2**32, step):
        uniform = f32(f32(u64(a)) + f32(0.5)) * f32(2.0**-32)
        if uniform < f32(1):
            # Word 0 gives the angle 0.
            radius, _ = normal_pair(u64(a), u64(0), f32(1))
            worst = max(worst, ulps(radius, math.sqrt(-2.0 * math.log(f64(uniform)))))
    return worst


@njit
def unit_radius():
    """Return a word and a scale that give a radius of exactly 1."""
    a = u64(2**31)
    while True:
        radius, _ = normal_pair(a, u64(0), f32(1))
        scale = f32(1) / radius
        if f32(scale * radius) == f32(1):
            return a, scale
        a += u64(1)


@njit
def angle_error(step):
    """Return the largest error of sine and of cosine, over every `step`-th word."""
    a, scale = unit_radius()
    worst_sine = worst_cosine = 0.0
    for b in range(0, 2**32, step):
        cosine, sine = normal_pair(a, u64(b), scale)
        word = u32(b)
        if word & u32(0x40000000):
            cosine, sine = sine, cosine
        angle = f64(np.uint32(word << u32(2)).view(np.int32)) * (math.pi / 4 * 2.0**-31)
        sign = -1.0 if word >= u32(0x80000000) else 1.0
        if angle != 0.0:
            worst_sine = max(worst_sine, ulps(sine, math.sin(angle)))
        worst_cosine = max(worst_cosine, ulps(cosine, sign * math.cos(angle)))
    return worst_sine, worst_cosine


def main() -> None:
    sine, cosine = angle_error(1)
    sys.stdout.write(
        f"radius {radius_error(1):.2f} ulp, sine {sine:.2f} ulp, cosine {cosine:.2f} ulp\n"
    )


if __name__ == "__main__":
    main()
