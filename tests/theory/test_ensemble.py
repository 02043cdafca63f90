"""Fixed points of the ensemble map of functions whose fixed points are chosen."""

from __future__ import annotations

import math

import numpy as np
import pytest

from snstat.activation.pair import of_pair
from snstat.gaussian.log_tables import CELL
from snstat.theory.ensemble import find_ensemble
from snstat.theory.phase import phase

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
        (0.0, 2.2, 2.4),  # the first at a point of the scan, as in the next
        (0.0, 0.3, 1.5),
        (-2.3, -0.3, 0.0),
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


@pytest.mark.parametrize("other", [-3.2, 3.0])
def test_a_root_without_a_sign_change_is_found_at_a_point_of_the_scan(other):
    """q' touches q at 1. On one of its sides signals leave it."""
    third = math.exp(STEP * other)
    found = find_ensemble(of_roots(1.0, 1.0, third), 1.0, 0.0, pairs=False).fixed_points
    positive = sorted(point.second_moment for point in found if point.second_moment > 0)
    np.testing.assert_allclose(positive, sorted([1.0, third]), rtol=1e-9)
    (touched,) = [point for point in found if abs(point.second_moment - 1.0) < 1e-9]
    assert not touched.stable


def test_a_fixed_point_is_found_beside_signals_whose_image_underflows():
    """Of a function that is 0 in the middle: at q = 0.0042, a point of the scan, all is 0."""
    size = 1e20

    def phi(x):
        return size * np.sign(x) * np.maximum(np.abs(x) - 1.0, 0.0)

    shrink = of_pair((phi, lambda x: size * (np.abs(x) > 1.0)))
    zero, point = sorted(
        find_ensemble(shrink, 10.0, 0.0, pairs=False).fixed_points,
        key=lambda point: point.second_moment,
    )
    q = 100.0 * point.second_moment
    # With x = 1 + y, of which few are beyond 0.1.
    y, step = np.linspace(0.0, 0.1, 100_001, retstep=True)
    density = np.exp(-0.5 * (1.0 + y) ** 2 / q) / math.sqrt(2.0 * math.pi * q)
    image = 100.0 * 2.0 * size**2 * (y**2 * density).sum() * step
    assert zero.second_moment == 0
    # Quadrature lacks a tenth of an image from 13.4 deviations on, and ln q' changes by 1/(2q) for
    # one of ln q.
    assert abs(math.log(image / q)) * 2.0 * q < 2e-3


@pytest.mark.parametrize(("middle", "third"), [(-2.5, 1.6), (2.5, 0.4)])
def test_signals_stop_at_a_pair_of_roots_within_one_cell_of_a_table(middle, third):
    """From 1 on q rises, or falls, to the nearer of two roots, between which alone it turns. The
    third root, on the other side of 1, sends it there."""
    pair = np.exp(CELL * (middle + np.array([-0.2, 0.2])))
    nearer = pair[0] if middle > 0 else pair[1]
    found = phase(of_roots(*pair, third), weight_gain=1.0, bias_std=0.0)
    assert found.pre_activation[0, 0] == pytest.approx(nearer, rel=1e-6)
