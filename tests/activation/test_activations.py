from __future__ import annotations

import math

import mpmath as mp
import numpy as np
import pytest

from snstat.activation import ACTIVATIONS, resolve, selu_with
from tests.gaussian.oracle import DERIVATIVES, FUNCTIONS, KINKS

# Activations with a known oracle, parameters included.
ALL = list(FUNCTIONS)
SINES = {"sine", "sine:30"}
POINTS = [x + 1e-3 for x in np.linspace(-30, 30, 41)] + [1e-12, -1e-12, 1e-300]
EXTREME = np.array([-np.inf, -1e308, -800.0, -38.5, -0.0, 0.0, 38.5, 800.0, 1e308, np.inf])
# Slopes at kinks in PyTorch's backward pass: one-sided derivatives.
AT_KINKS = {
    "selu": {0.0: 1.6732632423543772 * 1.0507009873554805},
    "relu": {0.0: 0.0},
    "leaky_relu": {0.0: 0.01},
    "elu": {0.0: 1.0},
    "hard_tanh": {-1.0: 0.0, 1.0: 0.0},
    "softsign": {0.0: 1.0},
    "relu6": {0.0: 0.0, 6.0: 0.0},
    "hard_sigmoid": {-3.0: 0.0, 3.0: 0.0},
    "hard_swish": {-3.0: 0.0, 3.0: 1.0},
    "relu_squared": {0.0: 0.0},
    "leaky_relu:0.2": {0.0: 0.2},
    "elu:0.5": {0.0: 0.5},
    "hard_tanh:2": {-2.0: 0.0, 2.0: 0.0},
}


def test_every_activation_has_a_citation_and_an_oracle():
    assert all(entry.citation for entry in ACTIVATIONS.values())
    compared = {name for name in FUNCTIONS if ":" not in name}
    other = compared.symmetric_difference(ACTIVATIONS)
    assert not other, f"tests/gaussian/oracle.py and the table differ in {other}"
    assert FUNCTIONS.keys() == DERIVATIVES.keys()


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("part", ["function", "derivative"])
def test_values(name, part):
    oracle = (FUNCTIONS if part == "function" else DERIVATIVES)[name]
    with mp.workdps(40):
        expected = np.array([float(oracle(mp.mpf(x))) for x in POINTS])
    # Special functions are accurate to a few units in the last place. exp loses 30 ulp at arguments
    # near 30; exp(−x²/2) loses x²/2 = 450 times at least half an ulp of x²: 450·5e-16.
    # Near the zeros of a sine the rounded phase matters: slope 30 times an error of 900·1.1e-16.
    floor = 4e-12 if name == "sine:30" else 1e-300
    np.testing.assert_allclose(
        getattr(resolve(name), part)(POINTS), expected, rtol=2.5e-13, atol=floor
    )


@pytest.mark.parametrize("name", ALL)
def test_curvatures_are_derivatives_of_the_derivative(name):
    entry, x, h = resolve(name), np.linspace(-4.9, 4.9, 38), 1e-5
    differences = (entry.derivative(x + h) - entry.derivative(x - h)) / (2 * h)
    # Error of the central difference: h² = 1e-10 times the fourth derivative of φ (30⁴ for the fast
    # sine), plus rounding of 1e-16/1e-5. No x is within h of a kink.
    fourth = 30.0**4 if name == "sine:30" else 20.0
    np.testing.assert_allclose(entry.curvature(x), differences, atol=h * h * fourth)
    finite = EXTREME[np.abs(EXTREME) < 1e300] if name in SINES else EXTREME
    assert np.isfinite(entry.curvature(finite)).all()


@pytest.mark.parametrize("name", ALL)
def test_extreme_arguments_give_limits_without_warnings(name):
    entry = resolve(name)
    if name in SINES:
        with np.errstate(over="ignore"):
            phase = entry.parameters[0] * EXTREME
        assert np.isnan(entry(EXTREME)).tolist() == np.isinf(phase).tolist()
        return
    assert not np.isnan(entry(EXTREME)).any()
    derivative = entry.derivative(EXTREME)
    if name == "relu_squared":
        assert derivative[-1] > 1e308
        return
    assert np.isfinite(derivative).all()
    assert derivative[0] == pytest.approx(entry.slopes[0], abs=1e-300)
    assert derivative[-1] == pytest.approx(entry.slopes[1], abs=1e-300)


@pytest.mark.parametrize("name", [n for n in ACTIVATIONS if ACTIVATIONS[n].left])
def test_residuals_are_accurate_where_the_function_cancels(name):
    entry = resolve(name)
    for asymptote, side in ((entry.left, -1.0), (entry.right, 1.0)):
        if asymptote is None:
            continue
        for x in (0.0, 0.3 * side, 4.0 * side, 25.0 * side):
            with mp.workdps(400):
                # SELU's level is the product −λα of two doubles; rounded to a double, its last
                # digit changes.
                exact = FUNCTIONS[name](mp.mpf(x))
                level = (
                    FUNCTIONS[name](mp.mpf(side) * (mp.mpf(10) ** 300 if entry.tail else 2000))
                    if "gelu" not in name
                    else 0
                )
                expected = float(exact - (0 if abs(level) < mp.mpf(10) ** -300 else level))
            assert float(asymptote.residual(np.array(x))) == pytest.approx(expected, rel=1e-13)


@pytest.mark.parametrize("name", AT_KINKS)
def test_derivatives_at_kinks_follow_pytorch(name):
    assert set(AT_KINKS[name]) == set(resolve(name).kinks)
    for kink, slope in AT_KINKS[name].items():
        assert float(resolve(name).derivative(kink)) == pytest.approx(slope, rel=1e-15)
        assert kink in KINKS


@pytest.mark.parametrize("name", ALL)
def test_structure_matches_the_function(name):
    entry = resolve(name)
    x = np.linspace(0.1, 20, 100)
    assert entry.odd == np.array_equal(entry(-x), -entry(x))
    for low, high in entry.flat:
        inside = np.clip(np.linspace(-30, 30, 61), low, high)
        assert not entry.derivative(inside).any()
    others = {"softsign": "glorot_uniform", "sine": "he_uniform"}
    own = "he_normal" if "relu" in name else "lecun_normal"
    assert entry.default_init == others.get(entry.family, own)


def test_gains_of_parameters_match_the_literature():
    # He et al. (2015), equation 15; Sitzmann et al. (2020): weights are uniform within ±√(6/n)/ω.
    assert resolve("leaky_relu:0.2").default_gain == pytest.approx(math.sqrt(2 / 1.04))
    assert resolve("sine:30").default_gain == pytest.approx(math.sqrt(2) / 30)
    assert all(entry.default_gain is None for entry in ACTIVATIONS.values())


def test_scalars_lists_and_integers_are_accepted():
    assert ACTIVATIONS["relu"](3) == 3.0
    assert ACTIVATIONS["relu"]([[-1, 2]]).tolist() == [[0.0, 2.0]]
    assert ACTIVATIONS["tanh"].derivative(0) == 1.0


def test_selu_with_other_parameters():
    other = selu_with(2.0, 3.0)
    assert other([1.0, -math.inf]).tolist() == [3.0, -6.0]
    assert other.derivative([1.0, 0.0]).tolist() == [3.0, 6.0]
