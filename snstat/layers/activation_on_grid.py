"""An activation of Gaussian units on a grid, at every position, and at pairs of positions."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import cached_property
from typing import NamedTuple

import numpy as np

from snstat.activation import Activation as Function
from snstat.gaussian.centred import CentredMoments
from snstat.gaussian.pairs import pair_slope
from snstat.gaussian.position_pairs import products, slope_products, square_products
from snstat.gaussian.quadrature import FloatArray
from snstat.gaussian.rounding import without_noise
from snstat.layers.gaussian_inputs import after, gap_after, misalignment
from snstat.layers.higher import Higher
from snstat.layers.law import OTHER, ZERO
from snstat.layers.signal import Signal, Slope, Step
from snstat.layers.squares import correlated, diagonal

# Positions whose moments agree to so many digits are evaluated once: a border has symmetries.
_DIGITS = 14


class _Place(NamedTuple):
    """The moments of one kind of positions: q, 1 − c of two samples, and those after it."""

    q: float
    apart: float
    state: CentredMoments

    @property
    def mean(self) -> float:
        return without_noise(self.state.mean, math.sqrt(self.state.second_moment))


class _Places:
    """The kinds of positions of a signal, and which one each position is of."""

    def __init__(self, function: Function, signal: Signal) -> None:
        self.function = function
        q, gap = diagonal(signal.same), diagonal(signal.gap)
        keys = np.stack([_rounded(q), _rounded(gap)], axis=1)
        _, first, self.which = np.unique(keys, axis=0, return_index=True, return_inverse=True)
        still, self.places = signal.law == ZERO, list[_Place]()
        for place in first:
            size, apart = float(q[place]), misalignment(float(q[place]), float(gap[place]))
            self.places.append(_Place(size, apart, after(function, size, still=still)))

    def of(self, values: list[float]) -> FloatArray:
        """Return at every position what its kind has."""
        return np.array(values)[self.which.ravel()]

    @cached_property
    def slopes(self) -> FloatArray:
        """E[φ'φ'] of two samples at every position."""
        return self.of([pair_slope(self.function, own.q, own.apart) for own in self.places])


def activated_on_grid(function: Function, signal: Signal) -> Step:
    """Return the step of φ after Gaussian units, for all pairs of positions where `signal` follows
    them."""
    places = _Places(function, signal)
    total = places.of([own.state.second_moment for own in places.places])
    back = places.of([own.state.derivative_square for own in places.places])
    gap = places.of(
        [gap_after(function, own.q, own.apart, own.state.second_moment) for own in places.places]
    )
    mean = places.of([own.mean for own in places.places])
    pairs = _Pairs(function, signal) if signal.same.ndim > 1 else None
    if pairs is not None:
        total, gap = pairs.after(total, gap)

    def pull(slope: Slope) -> tuple[Slope, ...]:
        if pairs is not None and correlated(slope.same, slope.gap):
            same, gap = pairs.back(slope, back, places)
            return (Slope(same, gap, slope.log).scaled(1.0),)
        one, two = diagonal(slope.same), diagonal(slope.gap)
        same = one * back
        shared = 0.0 if np.array_equal(one, two) else (one - two) * places.slopes
        return (Slope(same, same - shared, slope.log).of(signal).scaled(1.0),)

    law = ZERO if signal.law == ZERO and not total.any() else OTHER
    after_it = signal.become(mean, total, gap, law)
    if law == OTHER and (signal.higher is None or signal.higher.normal):
        after_it = replace(after_it, higher=_higher(function, signal, places))
    return Step((signal,), after_it, pull)


def _higher(function: Function, signal: Signal, places: _Places) -> Higher:
    """Return the moments of φ beyond the second."""
    third, fourth = (places.of([own.state.cumulants[n] for own in places.places]) for n in range(2))
    mean = places.of([own.state.mean for own in places.places])
    square = places.of([own.state.second_moment for own in places.places])
    found = Higher(third, fourth)

    def squares() -> FloatArray | None:
        if signal.same.ndim == 1:
            return None
        own = found.raw_fourth(mean, square)
        whole = square_products(function, np.diagonal(signal.same), signal.same, own)
        np.fill_diagonal(whole, own)
        return whole

    return replace(found, squares=squares)


class _Pairs:
    """All pairs of positions of a signal, of one sample and of two."""

    def __init__(self, function: Function, signal: Signal) -> None:
        self.function, self.q = function, np.diagonal(signal.same)
        self.signal, self.same = signal, signal.same

    @property
    def crossed(self) -> FloatArray:
        """E[z_u z'_v] of two samples, made anew: as many numbers as `same` has are not kept."""
        return self.signal.same - self.signal.gap

    def after(self, total: FloatArray, gap: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return E[φ_u φ_v] and what it is more than that of two samples, both (P, P), from those
        of each position with itself (P,)."""
        same = products(self.function, self.q, self.same, total)
        apart = same - products(self.function, self.q, self.crossed, total)
        np.fill_diagonal(same, total)
        np.fill_diagonal(apart, gap)
        return same, apart

    def back(
        self, slope: Slope, square: FloatArray, places: _Places
    ) -> tuple[FloatArray, FloatArray]:
        """Return `same` and `gap` of the slope before, both (P, P), for E[φ'²] of each position."""
        own = slope_products(self.function, self.q, self.same, square)
        np.fill_diagonal(own, square)
        same = slope.same * own
        if np.array_equal(slope.same, slope.gap):
            return same, same
        two = slope_products(self.function, self.q, self.crossed, square)
        np.fill_diagonal(two, places.slopes)
        return same, same - (slope.same - slope.gap) * two


def _rounded(values: FloatArray) -> FloatArray:
    """Return values to `_DIGITS` digits."""
    mantissa, exponent = np.frexp(values)
    return np.ldexp(np.round(mantissa, _DIGITS), exponent)
