"""The statistics of a tensor, by their definitions in plain numpy, with more digits."""

from __future__ import annotations

import math

import numpy as np


def cosines(vectors):
    """Return the cosines of all pairs of vectors that are not 0."""
    kept = np.array([v for v in vectors if v.any()])
    if len(kept) < 2:
        return []
    products = np.einsum("iu,ju->ij", kept, kept)
    norms = np.sqrt(np.diagonal(products))
    return (products / np.outer(norms, norms))[np.tril_indices(len(kept), -1)]


def mean_or_nan(values):
    return np.mean(values) if len(values) else math.nan


def statistics(array, roles, still=None):
    """Return the statistics by name, of an array with a letter for each axis."""
    order = sorted(range(array.ndim), key=lambda axis: "SPU".index(roles[axis]))
    sizes = [math.prod(n for n, r in zip(array.shape, roles, strict=True) if r == s) for s in "SPU"]
    x = np.asarray(array.transpose(order), np.longdouble).reshape(sizes)
    samples, positions, _ = sizes
    centred = x - x.mean()
    variance = (centred**2).mean()
    found = {
        "mean": x.mean(),
        "variance": variance,
        "second_moment": (x**2).mean(),
        "kurtosis": (centred**4).mean() / variance**2 if variance > 0 else math.nan,
        "largest": np.abs(x).max(),
        "saturated_fraction": math.nan,
    }
    has = {role: role in roles for role in "SPU"}
    found["variance_over_batch"] = x.var(axis=0).mean() if samples > 1 else math.nan
    found["variance_over_units"] = x.var(axis=2).mean() if has["U"] else math.nan
    found["variance_over_positions"] = x.var(axis=1).mean() if positions > 1 else math.nan
    found["cosine"] = mean_or_nan(cosines(list(x.reshape(samples, -1))))
    found["zero_samples"] = np.mean([not s.any() for s in x]) if has["S"] else math.nan
    pairs = [c for s in x for c in cosines(list(s))]
    found["position_cosine"] = mean_or_nan(pairs) if has["U"] else math.nan
    found["dead_fraction"] = math.nan
    if has["U"] and (still is not None or samples * positions > 1):
        low, high = (None, None) if still is None else still
        dead = [
            (u == u.flat[0]).all() if low is None else ((u <= low) | (u >= high)).all()
            for u in np.moveaxis(x, 2, 0)
        ]
        found["dead_fraction"] = np.mean(dead)
    return {name: float(value) for name, value in found.items()}
