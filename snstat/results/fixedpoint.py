"""Records of `snstat fixedpoint`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from snstat.results.base import Record

FIXEDPOINT_SCHEMA = "snstat.fixedpoint/1"
# A factor or a correlation this close to 1, or to 0, is told as 1 or 0, as a gain is typed with so
# many digits. Theory decides what is stable, by its rounding, which is far smaller.
NEGLIGIBLE = 1e-9


@dataclass(frozen=True, slots=True)
class CorrelationFixedPoint(Record):
    """A fixed point of the correlation map.

    `depth_scale` is −1/ln|slope| layers (None: infinite).
    """

    value: float
    slope: float
    stable: bool
    depth_scale: float | None

    @property
    def neutral(self) -> bool:
        """Whether the slope differs negligibly from 1."""
        return abs(self.slope - 1) < NEGLIGIBLE

    @property
    def alike(self) -> bool:
        """Whether inputs of this correlation differ negligibly."""
        return self.value > 1 - NEGLIGIBLE


@dataclass(frozen=True, slots=True)
class FixedPoint(Record):
    """A fixed point of the unit or the ensemble map.

    `jacobian` is ∂(mean', variance')/∂(mean, variance), rows first. `eigenvalues` are
    [real, imaginary] pairs by decreasing modulus. `stable` is True if the spectral radius is below
    1, or if it is 1 within rounding and the map still moves every nearby point towards this one,
    slower than exponentially. At variance 0, `gradient_growth` and `jacobian` are limits for small
    signals and do not depend on φ' at a kink. `depth_scale` is −1/ln(spectral radius) layers (None:
    infinite). `correlation_continuum` is True if every correlation is a fixed point (linear
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

    @property
    def neutral(self) -> bool:
        """Whether the spectral radius differs negligibly from 1."""
        return abs(self.spectral_radius - 1) < NEGLIGIBLE

    @property
    def immediate(self) -> bool:
        """Whether perturbations vanish within one layer."""
        return self.stable and self.spectral_radius < NEGLIGIBLE

    @property
    def keeps_gradients(self) -> bool:
        """Whether the gradient growth differs negligibly from 1."""
        return abs(self.gradient_growth - 1) < NEGLIGIBLE


@dataclass(frozen=True, slots=True)
class FixedPointReport(Record):
    """The results of `snstat fixedpoint` for one activation and one map.

    `map` is "ensemble" or "unit"; `parameters` are weight_gain and bias_std, or weight_sum and
    weight_square_sum. `continuum` is True when every second moment is a fixed point.
    `at_infinity` says what large signals do: "grows" (infinity attracts), "returns", or "keeps"
    where fixed points of a continuum are arbitrarily large. `solved` holds alpha and lambda if
    a target was given; everything else then describes the SELU with these parameters. `trajectory`
    holds pairs (mean, variance). `theorem_domain` is set only for SELU's standard alpha and
    lambda.
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
    """The verification of one theorem on its domain.

    `domain` maps mean, weight_sum, variance, weight_square_sum to (low, high). `extremes` maps the
    name of a quantity to (value, where); `where` holds the four coordinates. `holds` is True if the
    claim is true at every point examined.
    """

    name: str
    claim: str
    domain: Mapping[str, tuple[float, float]]
    extremes: Mapping[str, tuple[float, Mapping[str, float]]]
    points: int
    holds: bool

    def place(self, quantity: str) -> dict[str, float]:
        """Return the location of the extreme value of `quantity`, rounded to 15 digits.

        This removes rounding errors of the grid; the bounds of every domain have fewer digits.
        """
        _, where = self.extremes[quantity]
        return {name: float(f"{value:.15g}") for name, value in where.items()}
