"""The sums over the tiles of a layer from which its statistics come; see moments.py."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from snstat.engine.kernels.jit import jit

# Sums over the tiles of one member of a team: the shift, third and fourth powers about it, units
# without a live value, the sum of c², the number of values, the number of saturated ones, the
# largest absolute value, and the binary exponent e of products, which are products of x/2ᵉ.
SHIFT, POWER_3, POWER_4, DEAD, CENTRES, VALUES, FLAT, LARGEST, EXPONENT = 0, 1, 2, 3, 4, 5, 6, 7, 8
SUMS = 9
# Sums for each sample: x and its square about the shift, d², c·d, and the number of nonzero values.
FIRST, SECOND, SPREAD, CROSS, NONZERO, SAMPLE_SUMS = 0, 1, 2, 3, 4, 5


class Sums(NamedTuple):
    """Sums over tiles of a layer: `layer` (SUMS,), `samples` (SAMPLE_SUMS, batch) and `squares`
    (batch, batch), a lower triangle; all float64. Those of a team have a first axis of members."""

    layer: Any
    samples: Any
    squares: Any


def new_sums(members, batch):
    """Return the sums of a team, uninitialised."""
    square = (members, batch, batch)
    samples = (members, SAMPLE_SUMS, batch)
    return Sums(np.empty((members, SUMS)), np.empty(samples), np.empty(square))


@jit
def sums_of(sums, member):
    """Return the sums of one member."""
    return Sums(sums.layer[member], sums.samples[member], sums.squares[member])


@jit
def reset(sums, exponent):
    """Set the sums of one member to those of no tiles, for products of x/2^`exponent`."""
    sums.layer[:], sums.samples[:], sums.squares[:] = 0.0, 0.0, 0.0
    sums.layer[EXPONENT] = exponent


@jit
def merge(sums, number):
    """Add the sums of member `number` of a team to those of member 0.

    Powers are moved from one shift to the other by the binomial formula.
    """
    layer, samples, squares = sums
    batch = squares.shape[1]
    move = layer[number, SHIFT] - layer[0, SHIFT]
    each = layer[number, VALUES] / batch
    first = second = 0.0
    for a in range(batch):
        one, two = samples[number, FIRST, a], samples[number, SECOND, a]
        first += one
        second += two
        samples[0, FIRST, a] += one + each * move
        samples[0, SECOND, a] += two + 2.0 * move * one + each * move * move
        samples[0, SPREAD, a] += samples[number, SPREAD, a]
        samples[0, CROSS, a] += samples[number, CROSS, a]
        samples[0, NONZERO, a] += samples[number, NONZERO, a]
        for b in range(a + 1):
            squares[0, a, b] += squares[number, a, b]
    third, values = layer[number, POWER_3], layer[number, VALUES]
    layer[0, POWER_3] += third + 3.0 * move * second + 3.0 * move**2 * first + values * move**3
    layer[0, POWER_4] += (
        layer[number, POWER_4] + 4.0 * move * third + 6.0 * move**2 * second
        + 4.0 * move**3 * first + values * move**4
    )  # fmt: skip
    for column in (DEAD, CENTRES, VALUES, FLAT):
        layer[0, column] += layer[number, column]
    layer[0, LARGEST] = max(layer[0, LARGEST], layer[number, LARGEST])
