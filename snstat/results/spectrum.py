"""Records of `snstat spectrum`: the singular values of Jacobians."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np

from snstat.results.base import FloatArray, Record, optional
from snstat.results.network import Simulation
from snstat.results.subject import Subject

SPECTRUM_SCHEMA = "snstat.spectrum/1"


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
class LayerSpectrum(Record):
    """The Jacobian of one `layer`, its number and `name`, by the input of the network.

    `singular_values` (trials, values) descend in each trial; there are as many as the layer or the
    input has units, whichever are fewer. A trial in which they are not finite has NaN.
    """

    layer: int
    name: str
    singular_values: FloatArray
    theory: SpectrumTheory = field(default_factory=SpectrumTheory)

    def measures(self, near_zero: float) -> Mapping[str, Measure]:
        """Return the numbers that `SpectrumTheory` has by the same names.

        `near_zero` is the bound relative to the largest of the trial, itself counted. All values of
        a Jacobian of zeros are below it.
        """
        values = self.singular_values
        largest = values[:, :1]
        functions: dict[str, Callable[[], FloatArray]] = {
            "mean_square": lambda: np.mean(values**2, axis=1),
            "relative_variance": lambda: _relative_variance(values, largest),
            "largest": lambda: largest[:, 0],
            "near_zero": lambda: np.where(
                np.isnan(largest[:, 0]), math.nan, np.mean(values <= near_zero * largest, axis=1)
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
    `near_zero` relative to the largest singular value, and its `layers`, ascending."""

    subject: Subject
    simulation: Simulation
    near_zero: float
    layers: tuple[LayerSpectrum, ...]


def _relative_variance(values: FloatArray, largest: FloatArray) -> FloatArray:
    """Return Var[σ²]/E[σ²]² of each trial; scaled first, so that small ones do not underflow."""
    squares = (values / largest) ** 2
    found: FloatArray = squares.var(axis=1) / squares.mean(axis=1) ** 2
    return found


def _estimate(values: FloatArray) -> tuple[float | None, float | None]:
    """Return mean and standard error of one number per trial (trials,)."""
    count = len(values)
    scale = float(np.abs(values).max()) or 1.0  # squares of small numbers would be 0
    deviation = float((values / scale).std(ddof=1)) if count > 1 else math.nan
    return optional(float(values.mean())), optional(scale * deviation / math.sqrt(count))
