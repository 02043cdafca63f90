"""What each family of remedies yields, whatever the rules then say of it."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from snstat.checks import target
from snstat.checks.remedies import wider, wider_format, widest, without_biases
from snstat.checks.rule import Broken
from snstat.checks.stack_case import StackCase
from tests.checks.cases import case

BROKEN = Broken(1, None, None, "")


@pytest.mark.parametrize(("std", "changes"), [(0.0, 0), (1e-3, 1), (0.5, 1), (2.0, 1)])
def test_biases_are_left_out_where_there_are_any(std, changes):
    found = list(without_biases(case("tanh", 4, bias_std=std), BROKEN))
    assert len(found) == changes
    for remedy in found:
        assert remedy.case.layer.bias_std == 0.0
        assert remedy.words == f"use --bias-std 0 (now {std:.4g})"


@pytest.mark.parametrize(("name", "wide"), [
    ("float16", ["bfloat16", "float32"]), ("bfloat16", []), ("float32", []),
])  # fmt: skip
def test_formats_of_a_wider_range_are_yielded_the_smallest_first(name, wide):
    found = wider_format(case("tanh", 4, bounds={"number_format": name}), BROKEN)
    assert [remedy.case.bounds.number_format for remedy in found] == wide


@pytest.mark.parametrize(
    ("width", "most"),
    [(2, 256), (64, 256), (65, 260), (16_384, 65_536), (16_385, 65_536), (10**6, 65_536)],
)
def test_the_largest_width_that_is_advice(width, most):
    assert widest(width) == most


@pytest.mark.parametrize(("value", "least"), [(1.0, 100), (1.2, 144), (0.5, 65)])
def test_widths_are_in_proportion_to_the_variance_and_then_rise(value, least):
    """The least, one unit more as rounding may take it, and half as much again each time."""
    broken = replace(BROKEN, value=value, bound=value if least == 65 else 0.8)
    found = [remedy.case.width for remedy in wider(case("tanh", 4, width=64), broken)]
    steps = [least, least + 1, *(math.ceil(1.5**n * least - 1e-9) for n in range(1, 8))]
    assert found == [width for width in steps if width <= 256]


@pytest.mark.parametrize(("value", "bound"), [(None, 1.0), (1.0, None), (0.5, 1.0), (1.0, 0.0)])
def test_no_width_is_known_without_a_bound_that_is_exceeded(value, bound):
    assert not list(wider(case("tanh", 4, width=64), replace(BROKEN, value=value, bound=bound)))


@pytest.mark.parametrize("least", [5, 7, 8, 9, 16, 17, 33, 64, 65])
@pytest.mark.parametrize("most", [8, 20, 2**20])
def test_the_least_depth_that_reaches_a_target_is_found_up_to_16_times_as_many(
    monkeypatch, least, most
):
    """Depths are doubled from 4 layers on, as far as stacks are tried out."""

    class Missed:
        """A rule that is broken by fewer layers."""

        def __call__(self, tried):
            return BROKEN if tried.depth < least else None

        def obstacle(self, _):
            return None

    monkeypatch.setattr(target, "misses_target", Missed())
    monkeypatch.setattr(target, "MOST_LAYERS", most)
    found = [remedy.case.depth for remedy in target._least_layers(case("tanh", 4), {})]
    tried = [4 * factor for factor in (2, 4, 8, 16) if 4 * factor <= most]
    assert found == ([least] if least <= max(tried) else [])


@pytest.mark.parametrize("least", [17, 31, 33, 40, 64, 100, 255, 256, 257])
def test_widths_at_which_a_target_is_reached_are_found_to_a_sixteenth(monkeypatch, least):
    """And then its doubles, up to the widest that is advice."""

    def expected(tried):
        mean = 0.0 if tried.width >= least else 1.0
        return {"mean": np.full(5, mean), "variance": np.ones(5)}

    monkeypatch.setattr(StackCase, "expected", property(expected))
    monkeypatch.setattr(target, "misses_target", lambda _: None)
    bounds = {"target_mean": 0.0, "target_variance": 1.0}
    found = list(target.wide_enough(case("tanh", 4, width=16, bounds=bounds), BROKEN))
    assert all(remedy.tried for remedy in found)
    widths = [remedy.case.width for remedy in found]
    if least > 256:
        assert widths == []
        return
    assert 0 <= widths[0] - least < max(widths[0] / 16, 1)
    assert widths == [widths[0] * 2**n for n in range(len(widths))]
    assert widths[-1] <= 256 < 2 * widths[-1]
