"""One statistic of every layer: its estimate, what theory predicts, and how far apart they are."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from snstat.results.base import BoolArray, FloatArray, Record, optional

# Measured only with --backward.
GRADIENT = "gradient"

# The statistics of one layer in the order in which they are reported; docs/propagate.md defines
# them.
STATISTICS = (
    "mean",
    "variance",
    "second_moment",
    "variance_over_batch",
    "variance_over_units",
    "cosine",
    "kurtosis",
    "dead_fraction",
)
# Also measured: the fraction of samples that are all 0, the fraction of saturated activations (of
# bounded activation functions), and the largest absolute activation.
ALSO_MEASURED = ("zero_samples", "saturated_fraction", "largest")
# The statistics that a sampler measures in every layer, in its order.
MEASURED = (*STATISTICS, *ALSO_MEASURED)
# Those of layers with positions, where a traced module has any: per sample and unit, the variance
# over positions; the cosine between positions of one sample.
OF_POSITIONS = ("variance_over_positions", "position_cosine")
# What bands of a picture are: one standard error to either side, or 5 to 95 % of the trials.
BANDS = ("stderr", "quantile")
# All of them, in the order of a file.
EVERY = (*MEASURED, *OF_POSITIONS, GRADIENT)


@dataclass(frozen=True, slots=True)
class Estimate(Record):
    """One statistic of one layer. None where missing."""

    estimate: float | None
    stderr: float | None
    theory: float | None
    expected: float | None
    neglected: float | None
    z: float | None


@dataclass(frozen=True, slots=True, eq=False)
class Statistic(Record):
    """One statistic of every layer; each array has shape (layers,), NaN where missing.

    `theory` is the prediction at infinite width. `expected` is the prediction at the simulated
    width, to first order in 1/width. `neglected` says how far `expected` may be off, or `theory`
    where nothing is expected. Both default to NaN (unknown). If `logarithmic`, `estimate` is the
    geometric mean over trials, and `stderr`, `neglected` and z refer to its natural logarithm.
    If not `scored`, the standard error lacks what theory averages over, and there is no z.
    `trials` (trials, layers) holds the values of each trial, read-only, or None if they were not
    kept.
    """

    estimate: FloatArray
    stderr: FloatArray
    theory: FloatArray
    expected: FloatArray = field(default_factory=lambda: np.array(math.nan))
    neglected: FloatArray = field(default_factory=lambda: np.array(math.nan))
    logarithmic: bool = False
    scored: bool = True
    trials: FloatArray | None = None

    def __post_init__(self) -> None:
        """Give `expected` and `neglected` the shape of the others; make `trials` read-only."""
        for name in ("expected", "neglected"):
            array = np.broadcast_to(getattr(self, name), self.theory.shape)
            object.__setattr__(self, name, array)
        if self.trials is not None:
            kept = self.trials.view()
            kept.flags.writeable = False
            object.__setattr__(self, "trials", kept)

    @property
    def reference(self) -> FloatArray:
        """What z compares with: `expected` where known, `theory` elsewhere, (layers,)."""
        return np.where(np.isfinite(self.expected), self.expected, self.theory)

    @property
    def z(self) -> FloatArray:
        """(estimate − reference) / stderr, shape (layers,), NaN where that is not a number."""
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            z = self._beyond(self.estimate, self.reference) / self.stderr
        return np.where(np.isfinite(z), z, np.nan)

    @property
    def excess(self) -> FloatArray:
        """Standard errors by which |estimate − reference| exceeds `neglected`, shape (layers,), NaN
        where one of them is unknown, or where trials agree and `neglected` explains it."""
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            distance = np.abs(self._beyond(self.estimate, self.reference)) - self.neglected
            excess: FloatArray = np.maximum(distance, 0.0) / self.stderr
        return excess

    def _beyond(self, estimate: Any, reference: Any) -> Any:
        """Return `estimate` − `reference`, or the difference of their logarithms, of one layer or
        of all; NaN if it is not `scored`."""
        if not self.scored:
            return math.nan * estimate
        if self.logarithmic:
            estimate, reference = np.log(estimate), np.log(reference)
        return estimate - reference

    @property
    def infinite_width(self) -> BoolArray:
        """Where theory is known for infinite width only, (layers,)."""
        return np.isfinite(self.theory) & ~np.isfinite(self.expected)

    @property
    def error(self) -> FloatArray:
        """One standard error in the units of `estimate`, shape (layers,)."""
        with np.errstate(over="ignore", under="ignore"):
            return self.estimate * self.stderr if self.logarithmic else self.stderr

    def at(self, layer: int) -> Estimate:
        """Return the numbers of one layer."""
        arrays = (self.estimate, self.stderr, self.theory, self.expected, self.neglected)
        estimate, stderr, theory, expected, neglected = (array[layer] for array in arrays)
        reference = expected if math.isfinite(expected) else theory
        # The whole z for every layer would take a time quadratic in the depth.
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            z = self._beyond(estimate, reference) / stderr
        found = (estimate, stderr, theory, expected, neglected, z)
        return Estimate(*(optional(value) for value in found))
