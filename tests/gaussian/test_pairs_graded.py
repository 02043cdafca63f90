"""Pairs in graded polar coordinates beside the conditional method, which shares no nodes."""

from __future__ import annotations

import pytest

from snstat.activation import resolve
from snstat.gaussian.pairs_graded import bends_at_zero, graded_gap, graded_slope
from snstat.gaussian.pairs_numeric import conditional_gap, conditional_slope


@pytest.mark.parametrize("name", ["softsign", "gelu", "silu:3", "tanh", "softplus", "mish"])
@pytest.mark.parametrize(("q", "misalignment"), [(0.3, 0.2), (30.0, 1e-3), (1e4, 0.7), (2.0, 1.6)])
def test_pairs_are_those_of_the_conditional_method(
    name: str, q: float, misalignment: float
) -> None:
    """Both are exact to 1e-12 or so of the second moments."""
    entry = resolve(name)
    assert bends_at_zero(entry)
    found = graded_gap(entry, q, misalignment), graded_slope(entry, q, misalignment)
    plain = conditional_gap(entry, q, misalignment), conditional_slope(entry, q, misalignment)
    assert found == pytest.approx(plain, rel=3e-12)


def test_kinks_elsewhere_and_waves_are_not_for_this_rule() -> None:
    assert not any(bends_at_zero(resolve(name)) for name in ("hard_tanh", "relu6", "sine"))
