"""Moments of inputs, against numpy."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from snstat.results import InputMoments, NormClasses


def moments_of(x: np.ndarray) -> InputMoments:
    """Return the moments of `x` (samples, units): two samples, each a class of its own."""
    square = (x**2).mean()
    unit = x / np.linalg.norm(x, axis=1, keepdims=True)
    cosine = float(unit[0] @ unit[1])
    seconds = (x**2).mean(axis=1)
    rows = ((math.nan, cosine), (cosine, math.nan))
    return InputMoments(
        mean=x.mean(),
        variance=x.var(),
        second_moment=square,
        variance_over_batch=x.var(axis=0).mean(),
        variance_over_units=x.var(axis=1).mean(),
        cosine=cosine,
        kurtosis=((x - x.mean()) ** 4).mean() / x.var() ** 2,
        length_variance=seconds.var() / square**2,
        largest=np.abs(x).max(),
        norms=NormClasses(tuple(seconds), (1, 1), rows, seconds.max()),
        cosine_spread=0.0,
    )


OTHERS = ("norms", "samples")


def numbers(record: InputMoments | NormClasses) -> list[float]:
    """Return all numbers of a record."""
    values = [record[key] for key in record.keys() if key not in OTHERS]  # noqa: SIM118  # no dict
    return [float(number) for value in values for number in np.ravel(value)]


def test_scaled_moments_are_those_of_scaled_inputs() -> None:
    x = np.random.default_rng(0).normal(0.3, 1.0, (2, 40)) * [[1.0], [3.0]]
    found, wanted = moments_of(x).scaled(6.25), moments_of(x / 2.5)
    # Rounding of sums of 80 numbers.
    np.testing.assert_allclose(numbers(found), numbers(wanted), rtol=1e-12)
    assert found.norms is not None
    assert wanted.norms is not None
    np.testing.assert_allclose(numbers(found.norms), numbers(wanted.norms), rtol=1e-12)
    assert found.norms.samples == 2


@pytest.mark.parametrize(("changes", "silent"), [
    ({}, True),
    ({"length_variance": math.nan}, True),
    ({"second_moment": 1e-300}, False),
    # Squares that are too small for a float: a mean, or samples that differ.
    ({"mean": 1e-200}, False),
    ({"mean": -1e-200}, False),
    ({"length_variance": 0.5}, False),
    ({"length_variance": 1.5}, False),
])  # fmt: skip
def test_inputs_are_silent_only_where_every_value_is_0(
    changes: dict[str, float], silent: bool
) -> None:
    zeros = InputMoments(0.0, 0.0, 0.0, 0.0, 0.0, math.nan, math.nan, length_variance=0.0)
    assert replace(zeros, **changes).silent is silent
