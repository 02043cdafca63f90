"""Moments from tables match the quadrature that they replace, and mpmath."""

from __future__ import annotations

import math

import mpmath as mp
import numpy as np
import pytest

from snstat.activation import ACTIVATIONS, resolve
from snstat.experiment.inputs import DrawnInputs
from snstat.gaussian.centred import centred_moments, closed_form
from snstat.gaussian.tabulated import moments_at, tabulated_array, tabulated_moments
from snstat.network.stack import Stack
from snstat.theory.predict import predict
from tests.gaussian.oracle import FUNCTIONS


@pytest.mark.parametrize("name", sorted(ACTIVATIONS))
def test_tables_match_the_quadrature(name):
    """The required accuracy is 1e-12 of the root mean square and of the variance, from q = 0.01 to
    50.

    Skewness and kurtosis of small signals with a mean lose digits in the quadrature itself.
    """
    activation, random = ACTIVATIONS[name], np.random.default_rng(0)
    for q in np.exp(random.uniform(math.log(0.01), math.log(1e4), 60)).tolist():
        found, direct = tabulated_moments(activation, q), centred_moments(activation, q)
        rms = math.sqrt(direct.second_moment)
        assert abs(found.mean - direct.mean) <= 1e-13 * rms
        assert found.variance == pytest.approx(direct.variance, rel=1e-12)
        assert found.derivative_square == pytest.approx(direct.derivative_square, rel=1e-12)
        assert found.kurtosis == pytest.approx(direct.kurtosis, rel=1e-10)
        assert found.skewness == pytest.approx(direct.skewness, rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("name", ["softplus", "silu", "gelu"])
def test_tables_against_mpmath(name):
    q = 37.0
    std = mp.sqrt(q)
    with mp.workdps(30):
        cuts = [-14 * std, -20, -5, -1, 0, 1, 5, 20, 14 * std]
        mean, second = (
            mp.quad(lambda x, k=k: FUNCTIONS[name](x) ** k * mp.npdf(x, 0, std), cuts)
            for k in (1, 2)
        )
    found = tabulated_moments(ACTIVATIONS[name], q)
    assert abs(found.mean - float(mean)) <= 1e-12 * math.sqrt(second)
    assert found.variance == pytest.approx(float(second - mean**2), rel=1e-12)


def test_arrays_match_single_values():
    q = np.geomspace(0.02, 3e3, 40)
    found = tabulated_array(ACTIVATIONS["gelu"], q)
    for number, value in enumerate(q.tolist()):
        one = tabulated_moments(ACTIVATIONS["gelu"], value)
        expected = (one.mean, one.variance, one.skewness, one.kurtosis, one.derivative_square)
        np.testing.assert_allclose(found[:, number], expected, rtol=1e-12)
    assert tabulated_array(ACTIVATIONS["relu"], q) is None
    assert tabulated_array(ACTIVATIONS["gelu"], np.array([0.0, 1.0])) is None


def test_each_panel_is_tabulated_once(monkeypatch):
    calls = []

    def counted(activation, q):
        calls.append(q)
        return centred_moments(activation, q)

    monkeypatch.setattr("snstat.gaussian.tabulated.centred_moments", counted)
    # No other test uses the panels of these q.
    for q in np.geomspace(2e5, 3e5, 500).tolist():
        tabulated_moments(ACTIVATIONS["sigmoid"], q)
    assert len(calls) <= 64


def test_closed_forms_do_not_use_tables():
    assert closed_form(ACTIVATIONS["relu"])
    assert not closed_form(ACTIVATIONS["tanh"])
    relu = ACTIVATIONS["relu"]
    assert tabulated_moments(relu, 0.7) == centred_moments(relu, 0.7)
    tanh = ACTIVATIONS["tanh"]
    for q in (0.0, 1e-12, 1e12):
        assert tabulated_moments(tanh, q).variance == centred_moments(tanh, q).variance


def test_deep_theory_uses_tables(monkeypatch):
    """Critical tanh falls as 1/(2·layer) without settling: 256 layers by quadrature, then
    tables."""
    calls = []

    def counted(activation, q):
        calls.append(q)
        return centred_moments(activation, q)

    for place in ("theory.chain", "gaussian.tabulated"):
        monkeypatch.setattr(f"snstat.{place}.centred_moments", counted)
    depth = 4000
    stack = Stack.build("tanh", depth, 64, weight_gain=1.0)
    inputs = DrawnInputs("normal", 64, 1, 0.0, 1.0123).moments()
    found = predict(stack, 1, inputs).statistics["second_moment"]
    # Panels are 2 wide in ln q; q falls from 2e-3 to 1e-4 within them.
    assert len(calls) <= 256 + 4 * 32
    q = inputs.second_moment
    for _ in range(depth):
        q = centred_moments(ACTIVATIONS["tanh"], q).second_moment
    # Each step is accurate to 1e-14, and no error grows as it propagates.
    assert found[-1] == pytest.approx(q, rel=1e-11)
    assert found[-1] == pytest.approx(1.0 / (2.0 * depth), rel=0.02)


@pytest.mark.parametrize("name", ["relu", "leaky_relu", "gelu", "tanh", "sine", "hard_tanh"])
def test_many_moments_at_once_are_those_one_by_one(name):
    """As they scale with q, from tables, or directly; 0 and what lies beyond tables among them."""
    activation = resolve(name)
    q = np.concatenate([[0.0, 1e-12, 1e11], np.geomspace(1e-3, 1e3, 40)])
    found = moments_at(activation, q)
    for place, size in enumerate(q):
        own = centred_moments(activation, float(size))
        wanted = own.mean, own.variance, own.skewness, own.kurtosis, own.derivative_square
        np.testing.assert_allclose(found[:, place], wanted, rtol=1e-10, atol=1e-12 * size)
