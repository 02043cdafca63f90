"""Derivatives of Gaussian expectations with respect to the second moment q, from node values."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from snstat.gaussian.quadrature import FloatArray


@dataclass(frozen=True, slots=True)
class Derivatives:
    """Derivatives of an expectation with respect to q: `slope` is q∂ and `curvature` q²∂².

    `roughness` times the squared relative variance of q bounds what an expansion to first order in
    that variance neglects.
    """

    slope: float
    curvature: float
    roughness: float

    def times(self, factor: float) -> Derivatives:
        """Return those of the expectation times `factor` ≥ 0."""
        return Derivatives(factor * self.slope, factor * self.curvature, factor * self.roughness)


def by_q(z: FloatArray, weight: FloatArray) -> FloatArray:
    """Return rows that map values at nodes ẑ to q∂, q²∂², q³∂³, q⁴∂⁴ of their expectation."""
    s = z * z
    second = s - 1.0
    fourth = (s - 6.0) * s + 3.0
    sixth = ((s - 15.0) * s + 45.0) * s - 15.0
    eighth = (((s - 28.0) * s + 210.0) * s - 420.0) * s + 105.0
    rows: FloatArray = weight * np.stack([second / 2.0, fourth / 4.0, sixth / 8.0, eighth / 16.0])
    return rows


def derivatives(values: FloatArray) -> Derivatives:
    """Return the record of `values`, the derivatives of order 1 to 4.

    The roughness weights them as Taylor's series does with a third and a fourth moment of q of
    three squared variances each. It is half of that sum, because the signs alternate.
    """
    slope, curvature, third, fourth = values.tolist()
    rough = 0.5 * (abs(curvature) + abs(third)) + 0.125 * abs(fourth)
    return Derivatives(slope, curvature, 0.5 * rough)
