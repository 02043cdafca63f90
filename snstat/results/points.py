"""Records of single fixed points of the maps."""

from __future__ import annotations

from dataclasses import dataclass

from snstat.results.base import Record

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
