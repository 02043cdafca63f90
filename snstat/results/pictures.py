"""Records of what `snstat plot` draws beside a run."""

from __future__ import annotations

from dataclasses import dataclass

from snstat.results.base import FloatArray, IntArray, Record
from snstat.results.fixedpoint import CorrelationFixedPoint, FixedPoint
from snstat.results.run import StackSummary


@dataclass(frozen=True, slots=True, eq=False)
class MapField(Record):
    """The unit map sampled on a grid: `means` (columns,), `variances` (rows,), and the image of
    every grid point, `new_mean` and `new_variance`, each (rows, columns). `trajectories` are
    arrays (steps, 2) of (mean, variance); `domain` is (mean low, mean high, variance low,
    variance high) of theorem 1, or None."""

    activation: str
    weight_sum: float
    weight_square_sum: float
    means: FloatArray
    variances: FloatArray
    new_mean: FloatArray
    new_variance: FloatArray
    fixed_points: tuple[FixedPoint, ...]
    trajectories: tuple[FloatArray, ...]
    domain: tuple[float, float, float, float] | None


@dataclass(frozen=True, slots=True, eq=False)
class CorrelationCurve(Record):
    """The correlation map at one fixed second moment: `correlations` and their images, both
    (points,), with the fixed points."""

    activation: str
    weight_gain: float
    bias_std: float
    second_moment: float
    correlations: FloatArray
    images: FloatArray
    fixed_points: tuple[CorrelationFixedPoint, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Densities(Record):
    """Histograms of activations: `layers` (rows,), bin `edges` (rows, bins + 1) and `density`
    (rows, bins), all trials pooled; `mean` and `variance` (rows,) of the same activations."""

    stack: StackSummary
    layers: IntArray
    edges: FloatArray
    density: FloatArray
    mean: FloatArray
    variance: FloatArray
