"""The statistics of a layer and the Gram matrix of its samples, accumulated tile by tile.

A tile is (batch, units). Sums are float64 about a shift near the mean, so that nothing cancels. The
Gram matrix of a float32 network is computed in one of two ways:

- centred: with c_j the mean of unit j over the batch and d = x − c, the Gram matrix is
  |c|² + c·d_a + c·d_b + d_a·d_b. The last term is a float32 product, the others are float64. Where
  inputs collapse, d and its rounding are small, so 1 − cosine keeps its relative precision.
- direct: a float64 product of x, which takes twice as long and is accurate for all inputs.

The factorisation shows whether the centred product is precise enough; see factor.py.
"""

from __future__ import annotations

import math

import numpy as np

from snstat.engine.kernels.blas import add_square, mirror
from snstat.engine.kernels.jit import inner, jit
from snstat.engine.kernels.sums import (
    CENTRES,
    CROSS,
    EXPONENT,
    FIRST,
    LARGEST,
    NONZERO,
    POWER_3,
    POWER_4,
    SECOND,
    SHIFT,
    SPREAD,
    VALUES,
)

f32, f64 = np.float32, np.float64
# The product of two numbers between these bounds has full precision.
LEAST_FACTOR = math.sqrt(np.finfo(f64).tiny)
LARGEST_FACTOR = math.sqrt(np.finfo(f64).max)
# Products are scaled if the largest value is below this. Squares of larger values do not underflow.
SMALL = 2.0**-256


@jit
def exponent_of(largest, exponent):
    """Return the exponent by which to scale products if the largest absolute value is `largest`.

    The current `exponent` ≤ 0 is kept if it is suitable.
    """
    if largest == 0.0 or SMALL <= largest * 2.0**-exponent <= 1.0 / SMALL:
        return exponent
    if largest >= SMALL:
        return 0
    return max(math.ceil(math.log2(largest)), -1000)


@inner
def all_finite(x, units):
    """Return whether the first `units` columns of `x` hold finite values only."""
    bad = 0
    for a in range(x.shape[0]):
        row = x[a]
        for j in range(units):
            bad += not abs(row[j]) < math.inf
    return bad == 0


@jit
def absorb(x, units, sums, spare, product, wide, centred):
    """Add the first `units` columns of a tile `x` (batch, tile) to the sums of its layer.

    The first tile sets the shift. `spare` (batch, tile), `product` (batch, batch) of x's type and
    `wide` (batch, tile, float64; unused if `centred`) are scratch. Returns False if a value is not
    finite.
    """
    batch = x.shape[0]
    layer, samples, squares = sums
    centre, wide_centre = np.empty(units, x.dtype), np.empty(units)
    for j in range(units):
        centre[j] = 0
    inverse = x.dtype.type(1.0 / batch)
    for a in range(batch):
        row = x[a]
        for j in range(units):
            centre[j] += inverse * row[j]  # dividing after the sum could overflow
    # Loops either store or sum, never both. If two arrays happen to be adjacent, LLVM does not
    # vectorise a loop that does both, and the order of the sums changes.
    for j in range(units):
        wide_centre[j] = f64(centre[j])
    bad, total = 0, 0.0
    for j in range(units):
        total += wide_centre[j]
        bad += not abs(centre[j]) < math.inf
    # A mean may round up to infinity if values are near the largest number.
    if bad > 0 and not all_finite(x, units):
        return False
    if layer[VALUES] == 0.0:
        layer[SHIFT] = total / units
    layer[VALUES] += f64(units) * f64(batch)
    measure_sizes(x, units, layer, samples)
    shift = layer[SHIFT]
    third = fourth = 0.0
    for a in range(batch):
        row, difference = x[a], spare[a]
        for j in range(units):
            difference[j] = f64(row[j]) - wide_centre[j]
        first = second = spread = cross = 0.0
        for j in range(units):
            value = f64(row[j])
            v = value - shift
            square = v * v
            first += v
            second += square
            third += square * v
            fourth += square * square
            c = wide_centre[j]
            d = value - c
            spread += d * d
            cross += c * d
        samples[FIRST, a] += first
        samples[SECOND, a] += second
        samples[SPREAD, a] += spread
        samples[CROSS, a] += cross
    layer[POWER_3] += third
    layer[POWER_4] += fourth
    if centred:
        for j in range(units):
            layer[CENTRES] += wide_centre[j] * wide_centre[j]
        add_square(spare, units, 0.0, product)
        for a in range(batch):
            for b in range(a + 1):
                squares[a, b] += f64(product[a, b])
    else:
        scale = 2.0 ** -layer[EXPONENT]
        for a in range(batch):
            for j in range(units):
                wide[a, j] = scale * f64(x[a, j])
        add_square(wide, units, 1.0, squares)
    return True


@inner
def measure_sizes(x, units, layer, samples):
    """Update the largest absolute value with the first `units` columns of `x`, and count each
    sample's nonzero values."""
    most = np.zeros(units, x.dtype)
    for a in range(x.shape[0]):
        row = x[a]
        nonzero = 0
        for j in range(units):
            nonzero += row[j] != 0
        # Use one maximum per unit, because a maximum over the row is not vectorised.
        for j in range(units):
            most[j] = max(most[j], abs(row[j]))
        samples[NONZERO, a] += nonzero
    for j in range(units):
        layer[LARGEST] = max(layer[LARGEST], f64(most[j]))


@jit
def finish_gram(sums, centred, gram):
    """Compute the Gram matrix (batch, batch) of a layer, over 4ᵉ, from its sums, into `gram`."""
    layer, samples, squares = sums
    batch = gram.shape[0]
    for a in range(batch):
        for b in range(a + 1):
            gram[a, b] = squares[a, b]
            if centred:
                gram[a, b] += layer[CENTRES] + samples[CROSS, a] + samples[CROSS, b]
    mirror(gram)


@inner
def misalignment(gram, samples):
    """Return the sum of 1 − cosine over pairs of samples that are not 0.

    It keeps its precision where inputs have become alike. Norms and their inverses are computed
    once for each sample, so that the loop over pairs has no divisions or roots. The leader of a
    team runs it while the others wait.
    """
    batch = gram.shape[0]
    norms, inverses = np.zeros(batch), np.zeros(batch)
    for a in range(batch):
        if samples[NONZERO, a] > 0.0:
            norms[a] = math.sqrt(gram[a, a])
            inverses[a] = 1.0 / norms[a]
    apart = 0.0
    for a in range(batch):
        row, norm, part = gram[a], norms[a], 0.0
        for b in range(a):
            part += (norm * norms[b] - row[b]) * inverses[b]
        apart += part * inverses[a]
    return apart


@jit
def conclude(units, sums, gram, dead_fraction, saturated_fraction, out):
    """Write the statistics of a layer of `units` units to `out` (11,) from its sums.

    Samples of zeros are left out of the cosine. A statistic is NaN where it is undefined, as in
    statistics.conclude, and where products of squares overflow or underflow.
    """
    layer, samples, _ = sums
    batch = gram.shape[0]
    size = f64(units) * f64(batch)
    first = second = spread = 0.0
    for a in range(batch):
        first += samples[FIRST, a]
        second += samples[SECOND, a]
        spread += samples[SPREAD, a]
    # Move powers from the shift to the mean. The shift is so close to it that nothing cancels.
    delta = first / size
    second /= size
    third = layer[POWER_3] / size
    fourth = layer[POWER_4] / size
    variance = max(second - delta * delta, 0.0)
    out[0] = layer[SHIFT] + delta
    out[1] = variance
    trace = over_units = 0.0
    alive, counted = True, 0
    for a in range(batch):
        trace += gram[a, a]
        if samples[NONZERO, a] > 0.0:
            alive &= LEAST_FACTOR <= gram[a, a] <= LARGEST_FACTOR
            counted += 1
        mean = samples[FIRST, a] / units
        over_units += max(samples[SECOND, a] / units - mean * mean, 0.0)
    out[2] = trace * 2.0 ** (2.0 * layer[EXPONENT]) / size
    out[3] = spread / size
    out[4] = over_units / batch
    out[5] = math.nan
    if alive and counted > 1:
        out[5] = 1.0 - 2.0 * misalignment(gram, samples) / (f64(counted) * (counted - 1))
    out[6] = math.nan
    if LEAST_FACTOR <= variance <= LARGEST_FACTOR:
        central = fourth - 4.0 * delta * third + 6.0 * delta**2 * second - 3.0 * delta**4
        out[6] = central / variance / variance
    out[7] = dead_fraction
    out[8] = (batch - counted) / f64(batch)
    out[9] = saturated_fraction
    out[10] = layer[LARGEST]
