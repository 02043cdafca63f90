"""The standard normal distribution cut at two standard deviations, from uniform random words.

Its quantile at (1 + t)/2, t in (−1, 1), is √2 erf⁻¹(C t) with C = P(|z| < 2). The quantile over t
is an analytic function of t² up to 1/C² = 1.098, and a few poles beyond 1 approximate it well. The
rational functions have degrees 5 and 6 and interpolate it at Chebyshev points of [0, 1], computed
with 80 digits. All residues are positive, so nothing cancels. There are no branches or calls, so
the loop vectorises.
"""

from __future__ import annotations

import math

import numpy as np

from snstat.engine.kernels.jit import in_order

f32, f64, u32 = np.float32, np.float64, np.uint32
# P(|z| < 2)
INSIDE = 0.9544997361036415856


@in_order
def cut_normal(word, scale):
    """Return `scale` times a float32 normal cut at ±2 from one word; relative error 2e-8 and the
    rounding of float32."""
    t = (f32(np.uint32(word).view(np.int32)) + f32(0.5)) * f32(2.0**-31)
    s = t * t
    ratio = (
        f32(0.2719519198)
        + f32(0.01142574728) / (f32(1.11244229) - s)
        + f32(0.03960970503) / (f32(1.184169922) - s)
        + f32(0.1050328563) / (f32(1.370607297) - s)
        + f32(0.2771185943) / (f32(1.847574739) - s)
        + f32(0.8611251755) / (f32(3.334216503) - s)
        + f32(4.702339837) / (f32(11.88287917) - s)
    )
    return scale * (t * ratio)


@in_order
def cut_normal_double(a, b, scale):
    """Return `scale` times a float64 normal cut at ±2 from two words.

    The rational function is accurate to 3e-7, and one step of Halley's method cubes that.
    """
    t = (f64(a) - 2.0**31 + (f64(b) + 0.5) * 2.0**-32) * 2.0**-31
    s = t * t
    x = t * (
        0.311076383881251825
        + 0.0167963364258957876 / (1.11854994054440671 - s)
        + 0.0642950169659351493 / (1.22673356863571524 - s)
        + 0.197597188872840436 / (1.54929807137709924 - s)
        + 0.669666775953107387 / (2.61530202734198351 - s)
        + 3.85060151011322338 / (8.86853370394146435 - s)
    )
    # f = erf(x/√2) − C t, f' = √(2/π) exp(−x²/2), f''/f' = −x.
    step = (math.erf(x * math.sqrt(0.5)) - INSIDE * t) * math.exp(0.5 * x * x)
    step *= math.sqrt(math.pi / 2.0)
    return scale * (x - step / (1.0 + 0.5 * x * step))
