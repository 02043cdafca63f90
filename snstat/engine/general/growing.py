"""Matrices that act at several times and are not drawn: only what they have acted on is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from snstat.layers.draw import Values

# A direction is new where a column leaves the ones before by more than this, relative to its norm.
LEAST = 1e-6
# A column that is left with less of its norm than this is made orthogonal once more.
LOST = 0.1

# From a first row and a number of rows to as many rows of independent N(0, 1).
Numbers = Callable[[int, int], Values]


class Growing:
    """A matrix E (outputs, inputs) of independent N(0, 1), which is not drawn.

    E acts on orthonormal directions as independent N(0, 1) again, whatever they were chosen by, if
    that is what E has done before. So each product adds the directions that are new in it, and
    keeps what E makes of them: `basis` (inputs, rank) and `images` (rank, outputs) of a `dtype`.
    There is room for so many `columns` in all from the start.
    """

    def __init__(
        self, inputs: int, outputs: int, columns: int, numbers: Numbers, dtype: np.dtype[Any]
    ) -> None:
        most = min(inputs, columns)
        self._basis, self._images = np.empty((inputs, most)), np.empty((most, outputs), dtype)
        self._numbers, self._rank = numbers, 0

    @property
    def basis(self) -> Values:
        """The directions so far, (inputs, rank)."""
        return self._basis[:, : self._rank]

    @property
    def images(self) -> Values:
        """What the matrix makes of them, (rank, outputs)."""
        return self._images[: self._rank]

    def times(self, values: Values) -> Values:
        """Return E x, (outputs, columns), of x (inputs, columns); NaN where x is not finite."""
        x = values.astype(np.float64)
        if not np.isfinite(x).all():
            return np.full((self._images.shape[1], x.shape[1]), np.nan)
        known = self.basis
        shares = known.T @ x
        rest = x - known @ shares
        norms = np.linalg.norm(x, axis=0)
        if (np.linalg.norm(rest, axis=0) < LOST * norms).any():  # rounding has left some of it
            again = known.T @ rest
            rest -= known @ again
            shares += again
        new = directions(rest, norms)[:, : len(x) - self._rank]
        first, self._rank = self._rank, self._rank + new.shape[1]
        self._make_room()
        self._basis[:, first : self._rank] = new
        self._images[first : self._rank] = self._numbers(first, new.shape[1])
        all_shares = np.concatenate([shares, new.T @ rest]).astype(self._images.dtype)
        found: Values = self.images.T @ all_shares
        return found

    def _make_room(self) -> None:
        """Make room for more columns than were expected, as where rounding makes others of them."""
        missing = self._rank - len(self._images)
        if missing > 0:
            self._basis = np.pad(self._basis, ((0, 0), (0, missing)))
            self._images = np.pad(self._images, ((0, missing), (0, 0)))

    def back(self, slope: Values, beyond: Growing) -> Values:
        """Return Eᵀ δ, (inputs, columns), of δ (outputs, columns). What E does to directions that
        it has not acted on is independent of all: `beyond` stands for Eᵀ there."""
        free, known = beyond.times(slope), self.basis
        free += known @ (self.images @ slope.astype(self._images.dtype) - known.T @ free)
        return free


def directions(rest: np.ndarray[Any, Any], norms: np.ndarray[Any, Any]) -> Values:
    """Return an orthonormal basis, (inputs, rank), of columns, (inputs, columns), that are what is
    `rest` of columns of these `norms`."""
    if rest.shape[1] == 1:  # as of one sample, step by step: factors would take most of the time
        left = np.linalg.norm(rest, axis=0)
        return rest / left if left > LEAST * norms else np.empty((len(rest), 0))
    scaled = rest / np.where(norms > 0, norms, 1.0)
    squares, vectors = np.linalg.eigh(scaled.T @ scaled)
    new = squares > LEAST**2
    if not new.any():
        return np.empty((len(rest), 0))
    # The largest first. What small ones have lost to rounding is brought back.
    found, _ = np.linalg.qr((scaled @ vectors[:, new] / np.sqrt(squares[new]))[:, ::-1])
    return found
