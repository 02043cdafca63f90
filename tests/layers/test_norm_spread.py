"""What a norm of few units changes at finite width, beside exact averages over χ²."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from scipy.integrate import quad

import snstat
from snstat.layers.block import Block
from snstat.layers.dense import Dense
from snstat.layers.entry import Entry
from snstat.layers.layer_norm import LayerNorm
from snstat.layers.rms_norm import RmsNorm
from snstat.layers.shape import Shape
from snstat.network.network import Network


@pytest.mark.parametrize("epsilon", [1e-5, 1e-2, 1.0])
@pytest.mark.parametrize("units", [4, 5, 6, 8, 12, 32])
@pytest.mark.parametrize(("norm", "lost"), [(LayerNorm, 1), (RmsNorm, 0)])
def test_what_first_order_neglects_is_not_less_than_it_is(norm, lost, units, epsilon):
    """Of n normal inputs the variance is χ²/n, of n − 1 degrees of freedom, and of their mean
    square of n: E[V/(V + ε)] by quadrature."""
    law = stats.chi2(units - lost, scale=1.0 / units)
    exact = 1.0 - quad(lambda v: epsilon / (v + epsilon) * law.pdf(v), 0.0, np.inf, limit=400)[0]
    block = Block((Entry(norm(epsilon=epsilon)), Entry(Dense(8))))
    run = snstat.propagate(Network(Shape(units), block), trials=2, batch=2)
    found = run.statistics["second_moment"]
    expected, neglected = found.expected[1], found.neglected[1]
    if np.isnan(expected):
        assert units - lost <= 4
    else:
        assert abs(expected - exact) <= neglected + 1e-12
