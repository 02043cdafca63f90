"""Records of `snstat fixedpoint`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from snstat.results.base import Record
from snstat.results.points import FixedPoint

FIXEDPOINT_SCHEMA = "snstat.fixedpoint/1"


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
