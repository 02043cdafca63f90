"""What fixed points are told to be."""

from __future__ import annotations

import pytest

from snstat.results import CorrelationFixedPoint, FixedPoint

ZERO = ((0.0, 0.0), (0.0, 0.0))


def point(radius: float, growth: float = 2.0, *, stable: bool = True) -> FixedPoint:
    return FixedPoint(0.0, 1.0, 1.0, stable, ZERO, ZERO, radius, radius, None, growth)


# A number, and whether it is told as 1: it differs by less than 1e-9.
ONES = [(1.0, True), (1.0 - 9e-10, True), (1.0 + 9e-10, True), (1.0 - 2e-9, False),
        (1.0 + 2e-9, False), (2.0, False), (0.0, False), (-1.0, False)]  # fmt: skip


@pytest.mark.parametrize(("value", "told"), ONES)
def test_what_is_told_as_one(value: float, told: bool) -> None:
    assert point(value).neutral is told
    assert point(0.5, value).keeps_gradients is told
    assert CorrelationFixedPoint(0.5, value, stable=False, depth_scale=None).neutral is told
    alike = CorrelationFixedPoint(value, 0.5, stable=False, depth_scale=None).alike
    assert alike is (told or value > 1)


def test_perturbations_vanish_within_a_layer_where_nothing_is_left_of_them() -> None:
    assert point(0.0).immediate
    assert point(9e-10).immediate
    assert not point(2e-9).immediate
    assert not point(0.0, stable=False).immediate
