"""Fixed points of the ensemble map of functions whose fixed points are chosen."""

from __future__ import annotations

import math

import numpy as np
import pytest

from snstat.activation.pair import of_pair
from snstat.theory.ensemble import find_ensemble

# Steps of the scan in ln q.
STEP = 24.0 * math.log(10.0) / 192


def of_roots(first, second, third, size=0.01):
    """Return φ(x) = x√P(x²) with E[φ²]/q = 1 + s(q − q₁)(q − q₂)(q − q₃), as E z² to E z⁸ of
    N(0, q) are q, 3q², 15q³ and 105q⁴."""
    a = 1.0 - size * first * second * third
    b = size * (first * second + second * third + third * first) / 3.0
    c, d = -size * (first + second + third) / 15.0, size / 105.0

    def phi(x):
        u = x * x
        return x * np.sqrt(a + u * (b + u * (c + u * d)))

    def dphi(x):
        u = x * x
        root = np.sqrt(a + u * (b + u * (c + u * d)))
        return root + u * (b + u * (2.0 * c + u * 3.0 * d)) / root

    return of_pair((phi, dphi))


@pytest.mark.parametrize(
    "steps",
    [
        (0.2, 0.4, 1.5),  # two between two points of the scan, the next sign beyond
        (-1.5, -0.4, -0.2),
        (-3.5, 0.3, 0.5),
        (0.3, 0.5, 3.5),
        (-2.5, 0.5, 2.5),  # one sign change each
    ],
)
def test_roots_that_lie_close_together_are_found(steps):
    """Positions are given in points of the scan, from q = 1; roots are as exact as the moments,
    over the slope of the map's excess."""
    wanted = [math.exp(STEP * step) for step in steps]
    found = find_ensemble(of_roots(*wanted), 1.0, 0.0, pairs=False).fixed_points
    positive = sorted(point.second_moment for point in found if point.second_moment > 0)
    np.testing.assert_allclose(positive, wanted, rtol=1e-9)
    assert len(found) == 4  # and 0
