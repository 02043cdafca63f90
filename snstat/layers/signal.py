"""What theory carries from layer to layer: moments of the signal, and of gradients on the way back.

Arrays are float64 and have one entry for each of P positions, or for each pair of them; without a
grid P is 1. See `Signal` for what is closed under which kind of layer.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from snstat.gaussian.quadrature import FloatArray
from snstat.layers.higher import LARGEST_FOURTH, Higher, alike, none
from snstat.layers.law import GAUSSIAN, OTHER, ROUNDING, Law, nearly
from snstat.layers.least import Least
from snstat.layers.shape import Shape
from snstat.layers.squares import diagonal, followed

# Counts as a draw of signals whose units differ by their place: of two such signals, the same unit
# has the same place.
PLACE = object()
# What differs between samples, or networks, at any width: nothing, products of positions, or even
# mean squares.
STILL, PRODUCTS, SQUARES = range(3)
_NOTHING = Least()


@dataclass(frozen=True, slots=True, eq=False)
class Signal:
    """The moments over the units of a layer, at infinite width.

    For positions u, v: `mean` (P,) is E[x_u], `same` (P, P) is E[x_u x_v] of one sample, and `gap`
    (P, P) is `same` minus E[x_u x'_v] of two samples. Where pairs of positions are not followed,
    `same` and `gap` are (P,), the diagonals; a single position is a pair with itself, (1, 1). The
    gap is carried instead of the latter so that samples that become alike keep their relative
    precision. `fresh` are the draws of weights that one unit depends on: units of signals without a
    common draw are independent. A layer that adds signals has to know that, because moments alone
    do not tell E[xy] of two signals. What theory does not know is NaN, each of the moments by
    itself, and `least` is what is certain of them then. `higher` are moments beyond the second,
    None where they are not known or follow from the law. Where E[xx'] are averages over samples or
    networks that differ at any width, `varies` says in what. `equal` is the probability that two
    positions of a sample stand for the same token, 0 where they stand for none. Where pairs of
    other tokens are followed `apart`, `same` and `gap` are theirs: see equal_tokens.
    """

    shape: Shape
    mean: FloatArray
    same: FloatArray
    gap: FloatArray
    law: Law
    fresh: frozenset[object] = field(default_factory=lambda: frozenset((object(),)))
    least: Least = _NOTHING
    higher: Higher | None = None
    varies: int = STILL
    equal: float = 0.0
    apart: bool = False

    def __post_init__(self) -> None:
        """Follow the only pair of one position."""
        if self.same.ndim == 1 and self.same.size == 1:
            object.__setattr__(self, "same", self.same.reshape(1, 1))
            object.__setattr__(self, "gap", self.gap.reshape(1, 1))

    @classmethod
    def of_one(
        cls,
        shape: Shape,
        moments: tuple[float, float, float],
        law: Law,
        fresh: frozenset[object] | None = None,
    ) -> Signal:
        """Return the signal without positions whose mean, E[x²] and gap are `moments`.

        `fresh` are its draws; by default a new one.
        """
        mean, same, gap = moments
        arrays = np.array([mean]), np.array([[same]]), np.array([[gap]])
        return cls(shape, *arrays, law, frozenset((object(),)) if fresh is None else fresh)

    @property
    def known(self) -> bool:
        """Whether theory knows E[x²]."""
        return not math.isnan(self.same.flat[0])

    @property
    def mixed(self) -> bool:
        """Whether units are Gaussian only given the few that they read, so that their size differs
        between samples. That of all layers after it does too, up to a norm."""
        return self.law == GAUSSIAN and self.higher is not None and not self.higher.normal

    @property
    def varying(self) -> Signal:
        """The same as what comes after units whose size differs between samples."""
        return replace(self, varies=SQUARES)

    @property
    def beyond(self) -> Higher | None:
        """Its moments beyond the second, None where they are not known."""
        if self.varies == SQUARES or not self.same.max() <= LARGEST_FOURTH:
            return None
        found = self.higher
        if found is None and self.law == GAUSSIAN:
            found = Higher.gaussian(self.same)
        return found if found is None or not self.varies else replace(found, squares=none)

    @property
    def bounds(self) -> Least:
        """How small its moments are at least, which is how large they are where they are known."""
        if not self.known:
            return self.least
        square = diagonal(self.same)
        variance = (square - self.mean * self.mean).min()
        return Least.of(float(square.min()), float(variance), float(self.mean.min()))

    @property
    def alone(self) -> Signal:
        """The same without pairs of positions."""
        if self.same.ndim == 1 or self.same.size == 1:
            return self
        square, gap = diagonal(self.same), diagonal(self.gap)
        return replace(self, same=square, gap=gap)

    @property
    def once(self) -> Signal:
        """The same with one new draw in place of all those of weights that it depends on: enough
        where no other signal is in reach."""
        places = self.fresh & {PLACE}
        fresh = places | {object()} if self.fresh - places else places
        return replace(self, fresh=fresh)

    def become(self, mean: FloatArray, same: FloatArray, gap: FloatArray, law: Law) -> Signal:
        """Return the signal of the same shape and draws with other moments."""
        return Signal(self.shape, mean, same, gap, law, self.fresh)

    def held(self, before: Signal) -> Signal:
        """Return this signal with the moments of `before` where they are equal to rounding, so that
        the noise of those that have settled does not move the others."""
        return replace(
            self,
            mean=_held(self.mean, before.mean),
            same=_held(self.same, before.same),
            gap=_held(self.gap, before.gap),
            law=self.law.held(before.law),
        )

    def repeats(self, before: Signal) -> bool:
        """Return whether this is `before` again, to rounding: the same shape, moments and law."""
        return (
            (self.shape, self.law) == (before.shape, before.law)
            and equal(self.mean, before.mean)
            and equal(self.same, before.same)
            and equal(self.gap, before.gap)
            and self.varies == before.varies
            and self.least.repeats(before.least)
            and alike(self.higher, before.higher, self.same)
        )


@dataclass(frozen=True, slots=True, eq=False)
class Slope:
    """The moments over units of δ = ∂L/∂x for a random read-out L, divided by e^`log`.

    `same` (P, P) is E[δ_u δ_v] of one sample, and `gap` (P, P) is `same` minus E[δ_u δ'_v] of two
    samples: the same array where gradients of different samples are uncorrelated, as those of an
    independent read-out of every sample are. Both are (P,) where gradients of different positions
    are uncorrelated, as those of an independent read-out of every position are: weights that slide
    over a grid, norms, activations and copies leave them so. A kind after which they are not, such
    as an average over positions, knows nothing of signals whose pairs are not followed.

    An activation after batch norm or dropout has slopes that are not independent of what these do.
    Between the two, `excess` and `excess_of_two` are what a δ that is independent of the signal
    lacks. For batch norm, `excess` is part of E[δ²] before it times the variance there. For
    dropout, they are E[δ²] of units that are kept less that of all, and E[δδ'] of units that are
    kept in both samples less that of all.
    """

    same: FloatArray
    gap: FloatArray
    log: float = 0.0
    excess: float = 0.0
    excess_of_two: float = 0.0

    @classmethod
    def zero(cls, signal: Signal) -> Slope:
        """Return the slope of a signal that no read-out depends on."""
        nothing = np.zeros_like(signal.same)
        return cls(nothing, nothing)

    def of(self, signal: Signal) -> Slope:
        """Return these moments for the positions, or pairs of them, that `signal` follows."""
        return self._followed(signal.same)

    def scaled(self, factor: float) -> Slope:
        """Return these moments times `factor`, with the largest of `same` brought to 1."""
        if factor == 0:
            nothing = np.zeros_like(self.same)
            return Slope(nothing, nothing, self.log)
        size = float(np.abs(self.same).max()) if self.same.size > 1 else abs(self.same.item())
        if not 0 < size * factor < math.inf:
            found = self.moved(lambda part: part * factor)
            extra = self.excess * factor, self.excess_of_two * factor
            return Slope(found.same, found.gap, self.log, *extra)
        found = self.moved(lambda part: part / size)
        extra = self.excess / size, self.excess_of_two / size
        return Slope(found.same, found.gap, self.log + math.log(size * factor), *extra)

    def weighted(self, factors: FloatArray) -> Slope:
        """Return these moments times `factors` (P, P), those of every two positions."""
        found, one = self.moved(lambda part: part * factors), float(factors.flat[0])
        extra = one * self.excess, one * self.excess_of_two
        return Slope(found.same, found.gap, self.log, *extra)

    def kept(self) -> Slope:
        """Return the moments of units that dropout before an activation keeps."""
        gap = self.gap + (self.excess - self.excess_of_two)
        return Slope(self.same + self.excess, gap, self.log)

    def moved(self, by: Callable[[FloatArray], FloatArray]) -> Slope:
        """Return what `by` makes of these moments, without excess: once where they are the same
        array, as large ones are of gradients that are uncorrelated between samples."""
        same = by(self.same)
        return Slope(same, same if self.gap is self.same else by(self.gap), self.log)

    def independent(self) -> Slope:
        """Return the moments without excess."""
        return Slope(self.same, self.gap, self.log)

    def repeats(self, other: Slope) -> bool:
        """Return whether these are the moments `other` but for their scale, to rounding."""
        return (
            equal(self.same, other.same)
            and equal(self.gap, other.gap)
            and nearly(self.excess, other.excess)
            and nearly(self.excess_of_two, other.excess_of_two)
        )

    def _followed(self, like: FloatArray) -> Slope:
        if self.same.ndim == like.ndim:
            return self
        found = self.moved(lambda part: followed(part, like))
        return replace(self, same=found.same, gap=found.gap)

    def __add__(self, other: Slope) -> Slope:
        """Return the moments of the sum of two independent gradients."""
        if not other.same.any():
            return self
        if not self.same.any():
            return other
        if self.same.ndim < other.same.ndim:
            return other + self
        if other.same.ndim < self.same.ndim:
            other = other._followed(self.same)
        log = max(self.log, other.log)
        mine, theirs = math.exp(self.log - log), math.exp(other.log - log)
        return Slope(
            mine * self.same + theirs * other.same,
            mine * self.gap + theirs * other.gap,
            log,
            mine * self.excess + theirs * other.excess,
            mine * self.excess_of_two + theirs * other.excess_of_two,
        )


# From the slope of a layer's output to those of its inputs, in their order.
Pull = Callable[[Slope], tuple[Slope, ...]]


@dataclass(frozen=True, slots=True, eq=False)
class Step:
    """One layer: the signals before it, the one after, and the pull-back of gradients.

    What ends here has its reason in words, "" where nothing does: theory of the signal (`why`), of
    pairs of positions (`why_pairs`), and of gradients on their way back (`why_gradient`). E[x²]
    after it is not `told` where it is known but for less than layers after it would see: see
    `normalise.renewed`.
    """

    inputs: tuple[Signal, ...]
    signal: Signal
    pull: Pull
    why: str = field(default="", kw_only=True)
    why_pairs: str = field(default="", kw_only=True)
    why_gradient: str = field(default="", kw_only=True)
    told: bool = field(default=True, kw_only=True)


def floored(square: FloatArray) -> FloatArray:
    """Return E[xx'] with squares below 0, which are rounding of a difference, as 0."""
    if square.ndim == 1:
        return np.maximum(square, 0.0)
    found = square.copy()
    np.fill_diagonal(found, np.maximum(np.diagonal(found), 0.0))
    return found


def aligned(signals: Sequence[Signal]) -> list[Signal]:
    """Return `signals` without pairs of positions if one of them has none; equal ones stay one."""
    if all(signal.same.ndim > 1 for signal in signals):
        return list(signals)
    found = {id(signal): signal.alone for signal in signals}
    return [found[id(signal)] for signal in signals]


def unknown(shape: Shape, inputs: Sequence[Signal], why: str = "", least: Least = _NOTHING) -> Step:
    """Return the step of a layer that theory does not know, from `inputs` to `shape`, whose output
    has these bounds. What is not known of the inputs needs no other reason than theirs."""
    count, pairs = shape.positions, all(before.same.ndim > 1 for before in inputs)
    none = np.full((count, count) if pairs else count, math.nan)
    fresh = frozenset[object]().union(*(before.fresh for before in inputs))
    signal = Signal(shape, np.full(count, math.nan), none, none, OTHER, fresh, least)
    known = all(before.known for before in inputs)
    return Step(
        tuple(inputs),
        signal,
        lambda slope: unknown_slopes(slope, inputs),
        why=why if known else "",
    )


def unknown_slopes(slope: Slope, inputs: Sequence[Signal]) -> tuple[Slope, ...]:
    """Return the slopes of `inputs` of which nothing is known, given that after them. Where no
    read-out depends on the layer, they are 0."""
    one = 0.0 if not slope.same.any() else math.nan
    return tuple(
        Slope(one * np.ones_like(x.same), one * np.ones_like(x.same), slope.log) for x in inputs
    )


def _held(now: FloatArray, before: FloatArray) -> FloatArray:
    return before if equal(now, before) else now


def equal(first: FloatArray, second: FloatArray) -> bool:
    """Return whether two arrays are equal to rounding."""
    if first.shape != second.shape:
        return False
    if first.size == 1:  # nearly always: without arrays it takes a twentieth of the time
        return nearly(first.item(), second.item())
    with np.errstate(invalid="ignore"):  # infinities
        still = np.abs(first - second) <= ROUNDING * np.spacing(np.abs(first))
    return bool(np.all(still | (first == second) | (np.isnan(first) & np.isnan(second))))
