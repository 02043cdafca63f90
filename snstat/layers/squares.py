"""Products of positions: (P, P) for all pairs, or (P,) where only positions by themselves are
followed. Of a single position they are (1, 1)."""

from __future__ import annotations

import numpy as np

from snstat.gaussian.quadrature import FloatArray

# Beyond so many positions pairs are not followed: their arrays would fill the memory.
MOST_PAIRED = 4096
MANY_POSITIONS = f"more than {MOST_PAIRED:,} positions"
# The largest relative variance of a mean square for which layers take it as a number.
MOST_SPREAD = 1.0 / 16.0


def diagonal(products: FloatArray) -> FloatArray:
    """Return the products of each position with itself, (P,)."""
    return products if products.ndim == 1 else np.diagonal(products)


def correlated(*products: FloatArray) -> bool:
    """Return whether any products of different positions are not 0."""
    return any(
        own.ndim > 1 and np.count_nonzero(own) > np.count_nonzero(np.diagonal(own))
        for own in products
    )


def followed(products: FloatArray, like: FloatArray) -> FloatArray:
    """Return `products` for the positions of `like`: where only theirs by themselves are there, and
    pairs are asked for, those of different positions are 0."""
    if products.ndim == like.ndim:
        return products
    return diagonal(products) if like.ndim == 1 else np.diag(products)


def outer(first: FloatArray, second: FloatArray, like: FloatArray) -> FloatArray:
    """Return `first`_u `second`_v of two arrays (P,), for the positions of `like`."""
    return first * second if like.ndim == 1 else np.outer(first, second)


def beyond_pairs(before: FloatArray, after: FloatArray) -> str:
    """Return why pairs that were followed in products `before` a layer are not in those `after`
    it, whose positions have become too many; "" where they are, or were not."""
    ended = before.ndim > 1 and after.ndim == 1 and after.size > 1
    return MANY_POSITIONS if ended else ""


def alone(values: FloatArray, like: FloatArray) -> FloatArray:
    """Return products that are `values` (P,) of each position with itself and 0 of others, for the
    positions of `like`."""
    return values if like.ndim == 1 else np.diag(values)
