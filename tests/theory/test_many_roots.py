"""Roots of many functions at once, by Newton's method."""

from __future__ import annotations

import numpy as np

from snstat.theory.many_roots import decreasing_roots


def test_few_steps_find_all_roots():
    """Of a - x²: Newton's method doubles the digits with each step, so from errors of up to a half
    five leave less than rounding. Halving would take 27 to be as near as 1e-8."""
    squares, calls = np.linspace(1.0, 4.0, 50), []

    def functions(x, of):
        calls.append(x.size)
        return (squares if of is None else squares[of]) - x * x, -2.0 * x

    low, high = np.full(50, 0.5), np.full(50, 3.0)
    found = decreasing_roots(functions, low, high, np.full(50, 1.5))
    np.testing.assert_allclose(found, np.sqrt(squares), rtol=1e-15)
    assert len(calls) <= 6


def test_steps_that_leave_the_bracket_are_replaced_by_its_middle():
    """The slope of exp(-x) - exp(-1) is 0 to rounding far away, and Newton's method runs off."""

    def functions(x, _):
        return np.exp(-x) - np.exp(-1.0), -np.exp(-x)

    start = np.array([0.0, 1.0, 40.0, 700.0])
    found = decreasing_roots(functions, np.zeros(4), np.full(4, 800.0), start)
    np.testing.assert_allclose(found, 1.0, rtol=4e-15)
