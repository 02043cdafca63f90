"""Normalised Hermite polynomials heₖ/√k! of a standard normal variable, on nodes of quadrature."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np

from snstat.gaussian.quadrature import FloatArray, composite


@lru_cache(maxsize=2)
def basis(
    edges: tuple[float, ...], points: int, terms: int
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return nodes ẑ, weights of the normal distribution, and the first `terms` polynomials
    (terms, nodes).

    Panels of so many `points` end at `edges`, which ascend from 0, and at their mirror images.
    """
    half, own = composite(np.array(edges), points)
    z = np.concatenate([-half[::-1], half])
    weight = np.concatenate([own[::-1], own]) * np.exp(-0.5 * z * z)
    weight /= weight.sum()
    rows = [np.ones_like(z), z]
    for k in range(1, terms - 1):
        rows.append((z * rows[k] - math.sqrt(k) * rows[k - 1]) / math.sqrt(k + 1.0))
    return z, weight, np.stack(rows)
