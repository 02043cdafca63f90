"""Rows of a matrix that equal an earlier one, or its negative."""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import blake2b

import numpy as np

from snstat.results import FloatArray
from snstat.sources.weights.matrix import Matrix

# Rows with equal Σ w² to this relative tolerance are compared, value by value.
NEAR = 1e-12


def duplicate_rows(matrix: Matrix, squares: FloatArray) -> list[int]:
    """Return the rows that equal an earlier row or its negative, in ascending order. `squares` is
    Σ w² of the rows (units,). Rows of 0 are left out."""
    found = []
    for group in _alike(squares):
        seen: set[bytes] = set()
        for number in sorted(group):
            key = _fingerprint(matrix, number)
            if key in seen:
                found.append(number)
            seen.add(key)
    return sorted(found)


def _alike(squares: FloatArray) -> Iterator[list[int]]:
    """Yield groups of two rows or more with nearly equal sums of squares."""
    order = np.argsort(squares, kind="stable")
    ordered = squares[order]
    order, ordered = order[ordered > 0], ordered[ordered > 0]
    # Sums that overflowed are equal, though their difference is NaN.
    near = (np.diff(ordered) <= NEAR * ordered[1:]) | (ordered[1:] == ordered[:-1])
    starts = np.flatnonzero(np.concatenate([[True], ~near]))
    for start, end in zip(starts, [*starts[1:], len(order)], strict=True):
        if end - start > 1:
            yield order[start:end].tolist()


def _fingerprint(matrix: Matrix, number: int) -> bytes:
    """Return 16 bytes that equal rows and their negatives share, and others do not."""
    digest, sign = blake2b(digest_size=16), 0.0
    for part in matrix.row_parts(number):
        if not sign:
            first = part[part != 0][:1]
            sign = float(np.sign(first[0])) if first.size else 0.0
        # + 0.0 makes 0 of −0.
        digest.update((part * (sign or 1.0) + 0.0).tobytes())
    return digest.digest()
