"""What averages over positions do to a signal."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from snstat.gaussian.quadrature import FloatArray
from snstat.layers.higher import Higher
from snstat.layers.law import GAUSSIAN, OTHER, ZERO
from snstat.layers.least import Least
from snstat.layers.no_theory import NO_PAIRS, NoTheory
from snstat.layers.shape import Shape
from snstat.layers.signal import Signal, Slope, Step, floored
from snstat.layers.squares import MOST_PAIRED, beyond_pairs, diagonal
from snstat.layers.window_axis import Index


def resampled(signal: Signal, shape: Shape, sources: Index) -> Step | NoTheory:
    """Return the step to averages of positions: `sources` (taps, positions after) are those that
    each is an average of, or the one that it copies.

    With the matrix R of the averages, E[x_u x_v] becomes R E[xx] Rᵀ for any law of x, and E[δδ]
    goes back by Rᵀ E[δδ] R. There is none for averages of signals whose pairs of positions are not
    followed.
    """
    if signal.mean.size == shape.positions == 1:
        return Step((signal,), replace(signal, shape=shape), lambda slope: (slope,))
    taps, size = sources.shape
    pairs = signal.same.ndim > 1 and size <= MOST_PAIRED
    if taps > 1 and not pairs:
        return NoTheory(NO_PAIRS)
    ahead = _Pairs(sources, signal.mean.size) if pairs else _Copies(sources[0], signal.mean.size)
    same, gap = signal.same, signal.gap
    if not pairs:
        same, gap = diagonal(same), diagonal(gap)
    after = Signal(
        shape,
        signal.mean[sources].mean(axis=0),
        floored(ahead.moved(same)),
        ahead.moved(gap) if not np.isnan(gap.flat[0]) else np.full((size,) * gap.ndim, np.nan),
        signal.law if signal.law in (GAUSSIAN, ZERO) else OTHER,
        signal.fresh,
        signal.least if taps == 1 else Least(),
        _copied(signal.beyond, sources[0]) if taps == 1 else None,
    )

    def pull(slope: Slope) -> tuple[Slope, ...]:
        # A single position is a pair with itself, also where pairs are not followed.
        found = slope.of(after) if pairs else slope.of(after).moved(diagonal)
        return (found.moved(ahead.back).of(signal).scaled(1.0),)

    return Step((signal,), after, pull, why_pairs=beyond_pairs(signal.same, after.same))


def _copied(higher: Higher | None, source: Index) -> Higher | None:
    """Return the moments beyond the second of copies of positions."""
    if higher is None:
        return None

    def squares() -> FloatArray | None:
        found = higher.squares()
        return None if found is None else found[np.ix_(source, source)]

    return Higher(higher.third[source], higher.fourth[source], squares, higher.fixed)


class _Pairs:
    """Averages, for all pairs of positions."""

    def __init__(self, sources: Index, before: int) -> None:
        taps, after = sources.shape
        self.matrix = np.zeros((after, before))
        for tap in sources:
            self.matrix[np.arange(after), tap] += 1.0 / taps

    def moved(self, products: FloatArray) -> FloatArray:
        """Return the products (before, before) after the averages."""
        found: FloatArray = self.matrix @ products @ self.matrix.T
        return found

    def back(self, products: FloatArray) -> FloatArray:
        """Return the adjoint of `moved`."""
        found: FloatArray = self.matrix.T @ products @ self.matrix
        return found


class _Copies:
    """Copies, for positions by themselves. Gradients of two copies are uncorrelated if those of
    different positions are, so that their squares add up."""

    def __init__(self, source: Index, before: int) -> None:
        self.source, self.before = source, before

    def moved(self, products: FloatArray) -> FloatArray:
        """Return the products (before,) after the copies."""
        return products[self.source]

    def back(self, products: FloatArray) -> FloatArray:
        """Return the adjoint of `moved`."""
        found = np.zeros(self.before)
        np.add.at(found, self.source, products)
        return found
