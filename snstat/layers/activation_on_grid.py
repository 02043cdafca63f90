"""An activation of Gaussian units on a grid, at every position, and at pairs of positions."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from snstat.activation import Activation as Function
from snstat.gaussian.pairs import pair_slope
from snstat.gaussian.position_pairs import products, slope_products, square_products
from snstat.gaussian.quadrature import FloatArray
from snstat.gaussian.rounding import without_noise
from snstat.gaussian.tabulated import moments_at
from snstat.layers.gaussian_inputs import LEAST_SQUARE, gap_after, misalignment
from snstat.layers.higher import Higher
from snstat.layers.law import OTHER, ZERO
from snstat.layers.no_theory import UNRESOLVED
from snstat.layers.signal import Signal, Slope, Step
from snstat.layers.squares import correlated, diagonal

# Positions whose moments agree to so many digits are evaluated once: a border has symmetries.
_DIGITS = 14


class _Places:
    """The kinds of positions of a signal, which one each position is of, and the moments of φ."""

    def __init__(self, function: Function, signal: Signal) -> None:
        self.function, self.signal = function, signal
        q, gap = diagonal(signal.same), diagonal(signal.gap)
        # What is not known of two samples is the same at all positions.
        keys = np.stack([_rounded(q), _rounded(np.nan_to_num(gap))], axis=1)
        _, first, which = np.unique(keys, axis=0, return_index=True, return_inverse=True)
        self.which, self.q, self.gap = which.ravel(), q[first], gap[first]
        self.states = _States(*moments_at(function, self.q))
        still = self.q == 0
        if signal.law != ZERO and not q.max() >= LEAST_SQUARE:
            still = np.zeros_like(still)  # it may have underflowed
        self.states.slopes[still] = float(function.derivative(np.zeros(()))) ** 2

    def of(self, values: FloatArray) -> FloatArray:
        """Return at every position what its kind has."""
        return values[self.which]

    @property
    def mean(self) -> FloatArray:
        """E[φ] at every position, 0 where it is rounding."""
        own, rms = self.states.mean, np.sqrt(self.states.second_moment)
        found = [without_noise(*of) for of in zip(own.tolist(), rms.tolist(), strict=True)]
        return self.of(np.array(found))

    @property
    def gaps(self) -> FloatArray:
        """E[φ²] − E[φφ'] of two samples at every position."""
        if np.isnan(self.gap[0]):
            return np.full(self.which.shape, math.nan)
        kinds = zip(self.q.tolist(), self._apart, self.states.second_moment.tolist(), strict=True)
        return self.of(np.array([gap_after(self.function, *of) for of in kinds]))

    @property
    def slopes(self) -> FloatArray:
        """E[φ'φ'] of two samples at every position."""
        kinds = zip(self.q.tolist(), self._apart, strict=True)
        return self.of(np.array([pair_slope(self.function, *of) for of in kinds]))

    @property
    def _apart(self) -> list[float]:
        return [*map(misalignment, self.q.tolist(), self.gap.tolist())]

    @property
    def higher(self) -> Higher:
        """The moments of φ beyond the second at every position."""
        function, signal, own = self.function, self.signal, self.states
        third, fourth = (self.of(part) for part in own.cumulants)
        mean, square = self.of(own.mean), self.of(own.second_moment)
        found = Higher(third, fourth)

        def squares() -> FloatArray | None:
            if signal.same.ndim == 1:
                return None
            raw = found.raw_fourth(mean, square)
            whole = square_products(function, np.diagonal(signal.same), signal.same, raw)
            np.fill_diagonal(whole, raw)
            return whole

        return replace(found, squares=squares)


class _States(NamedTuple):
    """E φ, Var φ, skewness and kurtosis of φ, and E[φ'²], (kinds,): see `CentredMoments`."""

    mean: FloatArray
    variance: FloatArray
    skewness: FloatArray
    kurtosis: FloatArray
    slopes: FloatArray

    @property
    def second_moment(self) -> FloatArray:
        found: FloatArray = self.mean * self.mean + self.variance
        return found

    @property
    def cumulants(self) -> tuple[FloatArray, FloatArray]:
        """The third and fourth cumulant of φ, 0 of a constant."""
        square = self.variance * self.variance
        third = self.skewness * self.variance * np.sqrt(self.variance)
        fourth = (self.kurtosis - 3.0) * square
        return np.where(square > 0, third, 0.0), np.where(square > 0, fourth, 0.0)


def activated_on_grid(function: Function, signal: Signal) -> Step:
    """Return the step of φ after Gaussian units, for all pairs of positions where `signal` follows
    them."""
    places = _Places(function, signal)
    total = places.of(places.states.second_moment)
    back = places.of(places.states.slopes)
    gap, mean = places.gaps, places.mean
    pairs = _Pairs(function, signal) if signal.same.ndim > 1 else None
    why = ""
    if pairs is not None:
        total, gap = pairs.after(total, gap)
        if np.isnan(total).any():
            why, total, gap = UNRESOLVED, diagonal(total), diagonal(gap)

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
        after_it = replace(after_it, higher=places.higher)
    return Step((signal,), after_it, pull, why_pairs=why)


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
        if np.isnan(gap[0]):
            np.fill_diagonal(same, total)
            return same, np.full_like(same, math.nan)
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
