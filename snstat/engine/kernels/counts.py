"""Counts of dead units and of saturated values."""

from __future__ import annotations

import numpy as np

from snstat.engine.kernels.jit import jit


@jit
def dead_units(z, low, high):
    """Return the number of rows of `z` (units, batch) with no value strictly between the bounds."""
    dead = 0
    for i in range(z.shape[0]):
        live = 0
        row = z[i]
        for j in range(row.size):
            live += (row[j] > low) & (row[j] < high)
        dead += live == 0
    return dead


@jit
def dead_columns(z, units, low, high):
    """Return how many of the first `units` columns of `z` have no value between the bounds."""
    live = np.empty(units, np.uint8)
    for j in range(units):
        live[j] = 0
    for a in range(z.shape[0]):
        row = z[a]
        for j in range(units):
            live[j] |= (row[j] > low) & (row[j] < high)
    dead = 0
    for j in range(units):
        dead += live[j] == 0
    return dead


@jit
def count_outside(z, units, low, high):
    """Return how many values of the first `units` columns of `z` are not between the bounds."""
    outside = 0
    for a in range(z.shape[0]):
        row = z[a]
        for j in range(units):
            outside += (row[j] < low) | (row[j] > high)
    return outside
