"""Tables in ln q beside the expectations that they are made of, between their nodes."""

from __future__ import annotations

import numpy as np
import pytest

from snstat.activation import ACTIVATIONS, resolve
from snstat.gaussian.centred import centred_moments
from snstat.gaussian.expectations import jacobian
from snstat.gaussian.log_tables import CELL, log_table, powers, powers_and_slopes


@pytest.mark.parametrize("name", [*ACTIVATIONS, "sine:30", "elu:5", "softplus:0.1"])
def test_tables_are_exact_between_their_nodes(name: str) -> None:
    entry = resolve(name)
    table = log_table(entry, -7.0, 5.0)
    x = np.random.default_rng(3).uniform(-6.9, 4.9, 12)
    place = x / CELL - table.first
    cell = np.floor(place).astype(int)
    t = 2.0 * (place - cell) - 1.0
    for number, q in enumerate(np.exp(x).tolist()):
        state = centred_moments(entry, q)
        matrix = jacobian(entry, 0.0, q)
        slope = 2.0 * state.mean * matrix[0, 1] + matrix[1, 1]
        here = t[number : number + 1]
        own = [
            float(powers(part[:, cell[number : number + 1]], here)[0])
            for part in (table.ratio, table.slope, table.derivative_square)
        ]
        ratio = state.second_moment / q
        # Degree 11 on a cell of half-width 1/8 is exact to 25⁻¹², and sums lose a few digits.
        assert own[0] == pytest.approx(ratio, rel=1e-13)
        assert own[1] == pytest.approx(slope, rel=1e-11, abs=1e-13 * ratio)
        assert own[2] == pytest.approx(state.derivative_square, rel=1e-13)


def test_the_cells_of_a_table_join() -> None:
    table = log_table(resolve("gelu"), -3.0, 3.0)
    assert table.nodes[0] <= -3.0
    assert table.nodes[-1] >= 3.0
    ends = np.ones(table.cells)
    right, left = powers(table.ratio, ends), powers(table.ratio, -ends)
    np.testing.assert_allclose(right[:-1], left[1:], rtol=1e-14)


def test_slopes_of_powers_are_derivatives() -> None:
    coefficients = np.random.default_rng(0).normal(size=(12, 5))
    t = np.linspace(-1, 1, 5)
    value, slope = powers_and_slopes(coefficients, t)
    for number in range(5):
        plain = np.polynomial.Polynomial(coefficients[:, number])
        assert value[number] == pytest.approx(plain(t[number]), rel=1e-13)
        assert slope[number] == pytest.approx(plain.deriv()(t[number]), rel=1e-13)
