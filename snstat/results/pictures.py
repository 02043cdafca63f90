"""Records of what `snstat plot` draws beside a run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from snstat.results.base import FloatArray, IntArray, Record
from snstat.results.fixedpoint import CorrelationFixedPoint, FixedPoint
from snstat.results.network import Simulation, StackSummary


@dataclass(frozen=True, slots=True, eq=False)
class MapField(Record):
    """The `map`, "unit" or "ensemble", with its `parameters` by name, sampled on a grid: `means`
    (columns,), `variances` (rows,), and the image of every grid point, `new_mean` and
    `new_variance`, each (rows, columns). `trajectories` are arrays (steps, 2) of (mean, variance);
    `domain` is (mean low, mean high, variance low, variance high) of theorem 1, or None."""

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
    (rows, bins), all trials pooled and values at an atom left out; `mean` and `variance` (rows,) of
    the same activations, atoms included.

    `law` (rows, bins) is the density at infinite width, NaN where it is not known. `atoms` (atoms,)
    are the values that activations take with a probability of their own, with the share measured,
    `atom_shares`, and that at infinite width, `atom_law`, both (rows, atoms), NaN where the layer
    has no such atom.
    """

    stack: StackSummary
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
