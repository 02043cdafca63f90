"""Ranges of statistics hold what samples attain, and no more."""

from __future__ import annotations

import math

import numpy as np
import pytest

from snstat.results import EVERY, RANGES, SHARES, within

HUGE = 1e300
# The least and the largest value that samples attain. A kurtosis is least for ±1.
SIGNS = np.array([1.0, -1.0, 1.0, -1.0])
ATTAINED = {
    "mean": (-HUGE, HUGE),
    **dict.fromkeys(
        ("variance", "second_moment", "variance_over_batch", "variance_over_units",
         "variance_over_positions", "largest", "gradient"),
        (0.0, HUGE),
    ),
    "cosine": (float(SIGNS @ -SIGNS) / 4.0, float(SIGNS @ SIGNS) / 4.0),
    "position_cosine": (-1.0, 1.0),
    "kurtosis": (float((SIGNS**4).mean() / (SIGNS**2).mean() ** 2), HUGE),
    **dict.fromkeys(("dead_fraction", "saturated_fraction", "zero_samples"), (0.0, 1.0)),
}  # fmt: skip


@pytest.mark.parametrize("name", EVERY)
def test_a_range_ends_where_samples_do_but_for_rounding_of_float32(name: str) -> None:
    assert set(ATTAINED) == set(RANGES) == set(EVERY)
    attained, (low, high) = ATTAINED[name], within(name)
    assert low <= attained[0]
    assert attained[1] <= high
    for end, limit in ((attained[0], low), (attained[1], high)):
        if abs(end) < HUGE:
            # Rounding of float32 is 2⁻²⁴ of a number; four bits more are allowed.
            assert abs(limit - end) == abs(end) * 2.0**-20
        else:
            assert limit == math.copysign(math.inf, end)


def test_anything_is_within_the_range_of_an_unknown_statistic() -> None:
    assert within("unknown") == (-math.inf, math.inf)


def test_shares_are_those_of_units_and_samples() -> None:
    assert {"dead_fraction", "saturated_fraction", "zero_samples"} == SHARES
