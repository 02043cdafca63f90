"""Classes of samples of nearly equal norm, few enough to compute and save individually."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from snstat.results import MOST_CLASSES, FloatArray, NormClasses

_ROUNDS = 30


Places = npt.NDArray[np.intp]


def classify(second_moments: FloatArray) -> Places:
    """Return the class 0, 1, ... of each sample (samples,) by its mean of x², smallest first.

    Samples of zeros have a class of their own. Among the others, the class with the largest sum of
    squared distances of ln x² is split where this reduces the sum most, up to `MOST_CLASSES`.
    """
    order = np.argsort(second_moments, kind="stable")
    ranked = second_moments[order]
    zeros = int(np.searchsorted(ranked, 0.0, side="right"))
    logs = np.log(ranked[zeros:])
    # Prefix sums about the mean, for sums of squares with little cancellation.
    logs -= logs.mean() if logs.size else 0.0
    sums, squares = (np.concatenate([[0.0], np.cumsum(values)]) for values in (logs, logs**2))
    edges = {0, logs.size}
    spans: dict[tuple[int, int], float] = {}
    if logs.size:
        spans[0, logs.size] = float(_spread(sums, squares, 0, logs.size))
    most = MOST_CLASSES - (zeros > 0)
    while spans and len(spans) < most:
        (first, last), widest = max(spans.items(), key=lambda item: item[1])
        if last - first < 2 or not logs[last - 1] > logs[first] or not widest > 0:
            break
        cuts = np.arange(first + 1, last)
        left = _spread(sums, squares, first, cuts)
        right = _spread(sums, squares, cuts, last)
        # Split only between samples that differ.
        total = np.where(logs[cuts] > logs[cuts - 1], left + right, np.inf)
        cut = int(cuts[np.argmin(total)])
        del spans[first, last]
        edges.add(cut)
        for span in ((first, cut), (cut, last)):
            spans[span] = float(_spread(sums, squares, *span))
    cuts = _settled(logs, sums, np.array(sorted(edges), dtype=np.intp))
    bounds = zeros + (cuts[1:-1] if zeros in {0, second_moments.size} else cuts[:-1])
    labels = np.empty(second_moments.size, dtype=np.intp)
    labels[order] = np.searchsorted(bounds, np.arange(second_moments.size), side="right")
    return labels


def _settled(logs: FloatArray, sums: FloatArray, cuts: Places) -> Places:
    """Return `cuts` moved halfway between the means of their neighbours, as long as they move, at
    most `_ROUNDS` times (Lloyd)."""
    for _ in range(_ROUNDS):
        means = np.diff(sums[cuts]) / np.diff(cuts)
        moved = np.searchsorted(logs, (means[1:] + means[:-1]) / 2.0)
        moved = np.concatenate([cuts[:1], moved, cuts[-1:]])
        if (moved == cuts).all() or not (np.diff(moved) > 0).all():
            break
        cuts = moved
    return cuts


def _spread(
    sums: FloatArray, squares: FloatArray, first: Places | int, last: Places | int
) -> FloatArray:
    """Return the sum of squared distances from the mean of values first..last−1."""
    total, count = sums[last] - sums[first], last - first
    spread: FloatArray = np.maximum(squares[last] - squares[first] - total * total / count, 0.0)
    return spread


def norm_classes(second_moments: FloatArray, labels: Places, resultants: FloatArray) -> NormClasses:
    """Return the record of classes with the sums of unit vectors `resultants` (classes, units)."""
    count = np.bincount(labels)
    means = np.bincount(labels, weights=second_moments) / count
    pairs = np.outer(count, count).astype(float) - np.diag(count)
    products = resultants @ resultants.T - np.diag(np.where(means > 0, count, 0))
    known = (pairs > 0) & (np.outer(means, means) > 0)
    cosine = np.where(known, products / np.where(pairs > 0, pairs, 1.0), np.nan)
    return NormClasses(
        tuple(means.tolist()),
        tuple(count.tolist()),
        tuple(tuple(row) for row in np.clip(cosine, -1.0, 1.0).tolist()),
        float(second_moments.max()),
    )
