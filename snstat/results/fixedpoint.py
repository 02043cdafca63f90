"""Records of `snstat fixedpoint`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from snstat.results.base import Record

FIXEDPOINT_SCHEMA = "snstat.fixedpoint/1"


@dataclass(frozen=True, slots=True)
class CorrelationFixedPoint(Record):
    """A fixed point of the correlation map.

    `depth_scale` is −1/ln|slope| layers (None: infinite).
    """

    value: float
    slope: float
    stable: bool
    depth_scale: float | None


@dataclass(frozen=True, slots=True)
class FixedPoint(Record):
    """A fixed point of the unit or the ensemble map.

    `jacobian` is ∂(mean', variance')/∂(mean, variance), rows first; `eigenvalues` are
    [real, imaginary] pairs by decreasing modulus; `stable` is True when the spectral radius is
    below 1, or is 1 within rounding and the map still moves every nearby point towards this one,
    slower than exponentially; `gradient_growth` and `jacobian` at variance 0 are limits for small
    signals, not what φ' happens to be at a kink; `depth_scale` is −1/ln(spectral radius) layers
    (None: infinite). `correlation_continuum` is True where every correlation is fixed (linear
    activations without biases); `correlations` then holds both ends, 0 and 1.
    """

    mean: float
    variance: float
    second_moment: float
    stable: bool
    jacobian: tuple[tuple[float, float], tuple[float, float]]
    eigenvalues: tuple[tuple[float, float], tuple[float, float]]
    spectral_norm: float
    spectral_radius: float
    depth_scale: float | None
    gradient_growth: float
    correlations: tuple[CorrelationFixedPoint, ...] = ()
    correlation_continuum: bool = False


@dataclass(frozen=True, slots=True)
class FixedPointReport(Record):
    """Everything `snstat fixedpoint` found for one activation and one map.

    `map` is "ensemble" or "unit"; `parameters` are weight_gain and bias_std, or weight_sum and
    weight_square_sum. `continuum` is True when every second moment is a fixed point.
    `at_infinity` says what large signals do: "grows" (infinity attracts), "returns", or "keeps"
    where fixed points of a continuum are arbitrarily large. `solved` holds alpha and lambda when
    a target was given: all else is then of the SELU with these. `trajectory` holds pairs (mean,
    variance). `theorem_domain` is for SELU's own alpha and lambda only.
    """

    activation: str
    map: str
    parameters: Mapping[str, float]
    fixed_points: tuple[FixedPoint, ...]
    continuum: bool
    at_infinity: str
    theorem_domain: str | None = None
    solved: Mapping[str, float] | None = None
    trajectory: tuple[tuple[float, float], ...] | None = None


@dataclass(frozen=True, slots=True)
class TheoremResult(Record):
    """One theorem domain, verified. `domain` maps mean, weight_sum, variance, weight_square_sum
    to (low, high). `extremes` maps the name of a quantity to (value, where), `where` holding the
    four coordinates; `holds` says whether the claim is true of every point examined."""

    name: str
    claim: str
    domain: Mapping[str, tuple[float, float]]
    extremes: Mapping[str, tuple[float, Mapping[str, float]]]
    points: int
    holds: bool

    def place(self, quantity: str) -> dict[str, float]:
        """Return where the extreme value of `quantity` stands, without the rounding of the grid:
        to 15 digits, which hold the bounds of every domain."""
        _, where = self.extremes[quantity]
        return {name: float(f"{value:.15g}") for name, value in where.items()}
