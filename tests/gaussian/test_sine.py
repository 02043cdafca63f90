"""Closed forms of the sine match plain sums over a grid."""

from __future__ import annotations

import math

import numpy as np
import pytest

from snstat.activation import resolve
from snstat.gaussian.centred import centred_moments
from snstat.gaussian.expectations import kurtosis
from snstat.gaussian.pair_moments import PairTable

# The trapezoidal rule with a Gaussian weight and 4·30·√0.5 = 85 radians per deviation has the error
# exp(−(2π/0.018 − 85)²/2), below rounding, as is the part beyond 9 deviations.
Z = np.linspace(-9.0, 9.0, 1001)
WEIGHT = np.exp(-0.5 * Z * Z) / np.exp(-0.5 * Z * Z).sum()


@pytest.mark.parametrize(
    ("mean", "variance"), [(0.1, 0.002), (0.1, 0.0023), (0.0, 0.5), (0.03, 1e-5), (-2.0, 0.1)]
)
def test_kurtosis_on_both_sides_of_the_change_of_method(mean, variance):
    entry = resolve("sine:30")
    value = entry(mean + math.sqrt(variance) * Z)
    spread = value - WEIGHT @ value
    expected = (WEIGHT @ spread**4) / (WEIGHT @ spread**2) ** 2
    assert kurtosis(entry, mean, variance) == pytest.approx(expected, rel=1e-11)
    if mean == 0:
        assert centred_moments(entry, variance).kurtosis == pytest.approx(expected, rel=1e-11)


@pytest.mark.parametrize("frequency", [1.0, 3.0, 30.0])
@pytest.mark.parametrize("misalignment", [1e-3, 0.4, 1.0, 1.7])
def test_moments_of_pairs(frequency, misalignment):
    entry, q = resolve(f"sine:{frequency:g}"), 0.7 / frequency
    free = math.sqrt(misalignment * (2.0 - misalignment))
    first = math.sqrt(q) * Z[:, None]
    second = math.sqrt(q) * ((1.0 - misalignment) * Z[:, None] + free * Z)
    values = entry(first) ** 2, entry(second) ** 2
    slopes = entry.derivative(first) ** 2, entry.derivative(second) ** 2
    square, power = (float(WEIGHT @ f[0][:, 0]) for f in (values, slopes))
    table = PairTable(entry, q, math.sqrt(square), math.sqrt(power)).at(misalignment)
    expected = (
        WEIGHT @ (values[0] * values[1]) @ WEIGHT / square**2,
        WEIGHT @ (slopes[0] * slopes[1]) @ WEIGHT / power**2,
        WEIGHT @ (slopes[0] * values[1]) @ WEIGHT / power / square,
    )
    assert (table.square, table.fourth, table.joint) == pytest.approx(expected, rel=1e-11)
