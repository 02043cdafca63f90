"""Roots of functions, found without importing what takes longer than the search."""

from __future__ import annotations

import math
import subprocess
import sys

import numpy as np
import pytest
from scipy.optimize import brentq

from snstat.theory import search
from snstat.theory.many_roots import decreasing_roots


@pytest.mark.parametrize("there", [True, False])
@pytest.mark.parametrize("power", [1, 3, 9])
def test_roots_are_those_of_scipy(monkeypatch, power, there):
    if not there:  # as in another release of scipy
        monkeypatch.setattr(search, "compiled", lambda *_: None)

    def function(x):
        return (x - 0.1) ** power + 1e-3 * math.sin(x - 0.1)

    for low, high in ((-1.0, 2.0), (0.09, 30.0), (-1e4, 1e3)):
        found = search.root(function, low, high)
        assert found == brentq(function, low, high, xtol=1e-15, rtol=1e-14)


def test_there_is_no_root_where_the_function_is_no_number():
    with pytest.raises(ValueError, match=r"NaN at 0\.0"):
        search.root(lambda x: x or math.nan, -1.0, 1.0)


@pytest.mark.parametrize("activation", ["sigmoid", "gelu"])
def test_theory_loads_no_package_of_solvers(activation):
    """scipy.optimize takes a quarter of a run to import. Between two points of its scan, GELU's
    excess dips by rounding."""
    program = (
        "import sys\nfrom snstat.cli import run\n"
        f"run(['fixedpoint', '-a', '{activation}', '-f', 'json'])\n"
        "sys.exit(' '.join({'scipy.optimize'} & set(sys.modules)) or None)"
    )
    found = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=60
    )
    assert (found.returncode, found.stderr) == (0, "")


def test_roots_of_many_functions_take_few_steps():
    """Newton's method doubles the digits in each step: from 1/2 to 1e-16 in 6 or so, while halves
    of a bracket need 50."""
    powers = np.linspace(0.5, 2.0, 40)
    asked = []

    def functions(x, of):
        own = powers if of is None else powers[of]
        asked.append(len(x))
        return 1e3 * (1.0 - own * np.exp(x)), -1e3 * own * np.exp(x)

    low, high = np.full(40, -1.0), np.full(40, 1.0)
    found = decreasing_roots(functions, low, high, np.zeros(40))
    np.testing.assert_allclose(found, -np.log(powers), rtol=0, atol=1e-15)
    assert len(asked) <= 8
