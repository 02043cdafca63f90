"""Products of different samples, E[x_u x'_v] over units, where each sample has theory of its own.

Arrays are (samples, samples, P, P) for all pairs of positions, or (samples, samples, P) of a
position with itself, as the signals of the samples have them: those of a sample with itself are on
the diagonal.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from snstat.activation import Activation
from snstat.gaussian.position_pairs import products
from snstat.gaussian.quadrature import FloatArray
from snstat.layers.no_theory import NoTheory
from snstat.layers.signal import Signal, Step
from snstat.layers.squares import diagonal

Moments = Callable[[Sequence[Signal]], Step | NoTheory]


def linear_between(
    moments: Moments, steps: Sequence[Step], inputs: Sequence[FloatArray]
) -> FloatArray | NoTheory:
    """Return the products after a layer that makes a linear function of those before it, the same
    for all samples: what its `moments` make of two samples, as if they were alike."""
    count = len(steps)
    found = np.empty((count, count, *steps[0].signal.same.shape))
    for one, step in enumerate(steps):
        found[one, one] = step.signal.same
        for other in range(one):
            given = [
                replace(x, gap=x.same - fitted(crossed, x.same)[one, other])
                for x, crossed in zip(step.inputs, inputs, strict=True)
            ]
            after = moments(given)
            if isinstance(after, NoTheory):
                return after
            crossed = after.signal.same - after.signal.gap
            found[one, other], found[other, one] = crossed, crossed.T
    return found


def activated_between(
    function: Activation, crossed: FloatArray, steps: Sequence[Step]
) -> FloatArray:
    """Return the products after φ of Gaussian units, for the steps after it."""
    if function.linear:
        return crossed
    count, squares = len(steps), np.array([diagonal(step.signal.same) for step in steps])
    if crossed.ndim == 3:
        found, sizes = np.empty_like(crossed), np.einsum("aau->ua", crossed)
        for u, q in enumerate(sizes):
            found[..., u] = products(function, q, crossed[..., u], squares[:, u])
    else:  # positions of all samples side by side
        size = crossed.shape[2]
        whole = crossed.transpose(0, 2, 1, 3).reshape(count * size, -1)
        after = products(function, np.diagonal(whole), whole, squares.ravel())
        found = after.reshape(count, size, count, size).transpose(0, 2, 1, 3)
    return with_own(found, steps)


def with_own(crossed: FloatArray, steps: Sequence[Step]) -> FloatArray:
    """Return the products with those of each sample as its step has them."""
    found = crossed.copy()
    for number, step in enumerate(steps):
        found[number, number] = step.signal.same
    return found


def fitted(crossed: FloatArray, like: FloatArray) -> FloatArray:
    """Return the products of a position with itself where `like` has no pairs of positions."""
    if crossed.ndim == 4 and like.ndim == 1:
        crossed = np.einsum("abuu->abu", crossed)
    return crossed


def outer_between(first: FloatArray, second: FloatArray, like: FloatArray) -> FloatArray:
    """Return `first` of one sample times `second` of another, both (samples, P), for products as
    those of `like`."""
    if like.ndim == 3:
        return first[:, None] * second[None]
    return first[:, None, :, None] * second[None, :, None, :]
