"""Records that `snstat plot` draws, other than runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from snstat.results.base import FloatArray, IntArray, Record
from snstat.results.network import Simulation
from snstat.results.points import CorrelationFixedPoint, FixedPoint
from snstat.results.subject import Subject


@dataclass(frozen=True, slots=True, eq=False)
class MapField(Record):
    """A map of mean and variance, sampled on a grid.

    `map` is "unit" or "ensemble", and `parameters` are by name. The grid is `means` (columns,) and
    `variances` (rows,); the images of its points are `new_mean` and `new_variance`, each (rows,
    columns). `trajectories` are arrays (steps, 2) of (mean, variance). `domain` is (mean low, mean
    high, variance low, variance high) of theorem 1, or None.
    """

    activation: str
    map: str
    parameters: Mapping[str, float]
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
    (rows, bins), over all trials and without values at an atom; `mean` and `variance` (rows,) of
    the same activations, including atoms.

    `law` (rows, bins) is the density at infinite width, NaN where unknown. `atoms` (atoms,) are the
    values that activations take with positive probability. `atom_shares` is the measured
    probability and `atom_law` that at infinite width, both (rows, atoms), NaN if the layer has no
    such atom.
    """

    subject: Subject
    simulation: Simulation
    layers: IntArray
    edges: FloatArray
    density: FloatArray
    mean: FloatArray
    variance: FloatArray
    law: FloatArray
    atoms: FloatArray
    atom_shares: FloatArray
    atom_law: FloatArray
