"""How far apart the samples of the input are."""

from __future__ import annotations

import math

import pytest

from snstat.results import InputMoments
from snstat.theory.predict import input_gap

NAN = math.nan


@pytest.mark.parametrize(
    ("second", "over_batch", "cosine", "gap"),
    [
        (2.0, 0.75, 0.5, 1.0),  # both say 1
        (2.0, 0.75 * 1.1, 0.5, 1.0),  # norms differ: the angle counts
        (2.0, 0.75 * (1.0 + 1e-13), 0.5, 1.0 + 1e-13),  # the variance is precise near a cosine of 1
        (1e12, 0.75, 1.0, 1.0),  # a cosine that rounds to 1, at the edge of rounding
        (1e12, 0.75 * 1.01, 1.0, 0.0),
        (2.0, 0.75, NAN, 1.0),  # zeros have no angle
        (2.0, NAN, NAN, 0.0),
        (0.0, 0.0, 0.5, 0.0),
    ],
)
def test_the_gap_is_from_what_resolves_it_best(second, over_batch, cosine, gap):
    """E[x²] − E[xx'] is the variance over the batch times B/(B − 1), and E[x²](1 − c) for equal
    norms."""
    inputs = InputMoments(0.0, second, second, over_batch, second, cosine, 3.0)
    assert input_gap(4, inputs) == pytest.approx(gap, rel=1e-15)
    assert input_gap(1, inputs) == 0.0
