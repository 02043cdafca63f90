"""Records of `snstat spectrum`: the singular values of Jacobians."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import numpy as np

from snstat.results.base import FloatArray, Record, optional
from snstat.results.network import Simulation
from snstat.results.subject import Subject

SPECTRUM_SCHEMA = "snstat.spectrum/1"
# A share that is known to lie in a wider range than this is no estimate.
WIDEST_RANGE = 0.02
# What products with the Jacobian are off by, relative to the largest singular value.
OFF = 1e-7


@dataclass(frozen=True, slots=True, eq=False)
class SpectrumTheory(Record):
    """Theory at infinite width, None where none is known.

    `mean_square` is the mean of the squared singular values, `relative_variance` their variance
    over the square of that, `largest` the edge of the spectrum, `near_zero` the share below the
    bound, and `zero` the share that is exactly 0. `density` (points,) is that of ln σ at
    `log_values` (points,); its integral and `zero` add up to 1, but for the
    probability that the largest value may have by itself.
    """

    mean_square: float | None = None
    relative_variance: float | None = None
    largest: float | None = None
    near_zero: float | None = None
    zero: float | None = None
    log_values: FloatArray | None = None
    density: FloatArray | None = None


@dataclass(frozen=True, slots=True)
class Measure(Record):
    """A number that every trial has: mean and standard error over trials, and theory; None where
    missing."""

    estimate: float | None
    stderr: float | None
    theory: float | None


@dataclass(frozen=True, slots=True, eq=False)
class Lanczos(Record):
    """What the Lanczos method tells of `count` singular values beside the values it has found.

    `weights` (trials, values) are the share of all that each value stands for, with the sum 1, as
    estimated from random starts. `errors` (trials, values) bound how far each is from a singular
    value; those of the largest are small. `nodes` and `masses` (trials, starts, steps), ascending,
    are the Gauss quadrature of each start, which bounds the shares below a value; it is exact where
    it has fewer nodes, and then NaN.
    """

    count: int
    weights: FloatArray
    errors: FloatArray
    nodes: FloatArray
    masses: FloatArray

    def shares(self, bounds: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return between which numbers the share of singular values of at most each bound (trials,
        bounds) lies, (trials, bounds) each, but for the starts' being random; NaN in trials that
        are not finite.

        Source: the inequalities of Chebyshev, Markov and Stieltjes: all nodes below but the last
        one have no more mass than there is, and those with the next one have no less.
        """
        squares, limits = self.nodes[:, :, None] ** 2, bounds[:, None, :, None] ** 2
        off = OFF * np.max(np.nan_to_num(squares), axis=(1, 3), keepdims=True)
        whole = np.isnan(self.nodes).any(axis=-1, keepdims=True)
        sums = np.cumsum(self.masses, axis=-1)
        sums = np.concatenate([np.zeros_like(sums[..., :1]), sums], axis=-1)
        least = np.sum(squares + off <= limits, axis=-1) - ~whole
        most = np.sum(squares <= limits + off, axis=-1) + ~whole
        places = np.maximum(least, 0), np.minimum(most, sums.shape[-1] - 1)
        low, high = (np.take_along_axis(sums, own, axis=-1).mean(axis=1) for own in places)
        missing = np.isnan(bounds) | ~np.isfinite(self.nodes).any(axis=(1, 2)).reshape(-1, 1)
        low[missing] = high[missing] = math.nan
        return low, np.minimum(high, 1.0)


@dataclass(frozen=True, slots=True, eq=False)
class LayerSpectrum(Record):
    """The Jacobian of one `layer`, its number and `name`, by the input of the network or by an
    earlier layer.

    `singular_values` (trials, values) descend in each trial; there are as many as either has units,
    whichever are fewer. A trial in which they are not finite has NaN. All are
    exact, unless `lanczos` says otherwise: then there are fewer, each of which stands for more.
    """

    layer: int
    name: str
    singular_values: FloatArray
    theory: SpectrumTheory = field(default_factory=SpectrumTheory)
    lanczos: Lanczos | None = None

    @property
    def count(self) -> int:
        """How many singular values there are."""
        return self.singular_values.shape[1] if self.lanczos is None else self.lanczos.count

    @property
    def largest_error(self) -> float:
        """By how much the largest value may be off, relative to it, in any trial; NaN where none
        is finite and above 0."""
        if self.lanczos is None:
            return 0.0
        with np.errstate(invalid="ignore"):
            found = self.lanczos.errors[:, 0] / self.singular_values[:, 0]
        return max(found[np.isfinite(found)].tolist(), default=math.nan)

    def near_zero_range(self, near_zero: float) -> tuple[float, float] | None:
        """Return between which numbers the mean share near zero is known to lie; None where it is
        exact, or not finite."""
        if self.lanczos is None:
            return None
        low, high = self.lanczos.shares(near_zero * self.singular_values[:, :1])
        found = float(low.mean()), float(high.mean())
        return None if math.isnan(found[0]) else found

    def measures(self, near_zero: float) -> Mapping[str, Measure]:
        """Return the numbers that `SpectrumTheory` has by the same names.

        `near_zero` is the bound relative to the largest of the trial, itself counted. All values of
        a Jacobian of zeros are below it. It is missing where its range is wide.
        """
        values = self.singular_values
        largest = values[:, :1]
        weights = None if self.lanczos is None else self.lanczos.weights
        low, high = self.near_zero_range(near_zero) or (0.0, 0.0)
        missing = np.isnan(largest[:, 0]) | (high - low > WIDEST_RANGE)
        functions: dict[str, Callable[[], FloatArray]] = {
            "mean_square": lambda: _mean(values**2, weights),
            "relative_variance": lambda: _relative_variance(values / largest, weights),
            "largest": lambda: largest[:, 0],
            "near_zero": lambda: np.where(
                missing, math.nan, _mean(values <= near_zero * largest, weights)
            ),
        }
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            return MappingProxyType(
                {
                    name: Measure(*_estimate(found()), self.theory[name])
                    for name, found in functions.items()
                }
            )


@dataclass(frozen=True, slots=True, eq=False)
class Spectrum(Record):
    """The result of `snstat spectrum` for one network: what it is, how it was sampled, the bound
    `near_zero` relative to the largest singular value, its `layers`, ascending, and the layer by
    whose output the Jacobians are (`source`), 0 for the input."""

    subject: Subject
    simulation: Simulation
    near_zero: float
    layers: tuple[LayerSpectrum, ...]
    source: int = 0


def _mean(values: np.ndarray[Any, Any], weights: FloatArray | None) -> FloatArray:
    """Return the mean of each trial (trials,), of values that stand for equally many or not."""
    found: FloatArray = np.average(values, axis=1, weights=weights)
    return found


def _relative_variance(scaled: FloatArray, weights: FloatArray | None) -> FloatArray:
    """Return Var[σ²]/E[σ²]² of each trial, of values that are scaled so that squares of small ones
    do not underflow."""
    squares = scaled**2
    means = _mean(squares, weights)
    return _mean((squares - means[:, None]) ** 2, weights) / means**2


def _estimate(values: FloatArray) -> tuple[float | None, float | None]:
    """Return mean and standard error of one number per trial (trials,)."""
    count = len(values)
    scale = float(np.abs(values).max()) or 1.0  # squares of small numbers would be 0
    deviation = float((values / scale).std(ddof=1)) if count > 1 else math.nan
    return optional(float(values.mean())), optional(scale * deviation / math.sqrt(count))
