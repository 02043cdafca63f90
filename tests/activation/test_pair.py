"""Activations given as pairs of Python functions: results match the listed activations, and errors
say which function failed and how."""

from __future__ import annotations

import math
import re

import numpy as np
import pytest

import snstat
from snstat.activation import resolve
from snstat.errors import InvalidValueError, SnstatError
from snstat.experiment.plan import Plan


def slope_of_tanh(x):
    return 1.0 - np.tanh(x) ** 2


def ramp(x):
    return np.maximum(x, 0)


TANH = (np.tanh, slope_of_tanh)
RELU = (ramp, lambda x: x > 0)
SINE = (np.sin, np.cos)
# Each has different kinks, flat parts and tails.
LISTED = {
    "tanh": TANH,
    "relu": RELU,
    "relu6": (lambda x: np.clip(x, 0, 6), lambda x: ((x > 0) & (x < 6)) * 1.0),
    "softsign": (lambda x: x / (1 + abs(x)), lambda x: 1 / (1 + abs(x)) ** 2),
    "elu": (lambda x: np.where(x > 0, x, np.expm1(x)), lambda x: np.where(x > 0, 1, np.exp(x))),
    "softplus": (lambda x: np.logaddexp(0, x), lambda x: 1 / (1 + np.exp(-x))),
    "sine": SINE,
}
SMALL = {"depth": 4, "width": 24, "batch": 8, "trials": 3, "init": "he_normal", "backward": True}


def run_of(activation, **options):
    return snstat.propagate(activation, **{**SMALL, "dtype": "float64", **options})


@pytest.mark.parametrize("name", LISTED)
def test_a_pair_gives_the_results_of_the_listed_activation(name):
    listed, own = run_of(name, sampler="dense"), run_of(LISTED[name])
    for statistic in listed.statistics:
        one, other = listed.statistics[statistic], own.statistics[statistic]
        # Formulas and the order of summation differ. Four layers multiply the rounding error of
        # 1e-16 by some thousands. The theoretical cosine of odd functions is 0 up to rounding.
        for column in ("estimate", "stderr"):
            np.testing.assert_allclose(other[column], one[column], rtol=1e-11, atol=1e-13)
        np.testing.assert_allclose(other.theory, one.theory, rtol=1e-10, atol=1e-13)
        # First-order theory uses quadrature of lower order and is missing where that is not
        # accurate.
        both = np.isfinite(one.expected) & np.isfinite(other.expected)
        np.testing.assert_allclose(other.expected[both], one.expected[both], rtol=1e-4, atol=1e-6)
    assert own.simulation.sampler == "dense"
    if listed.outlook is not None and own.outlook is not None:
        assert own.outlook.kind == listed.outlook.kind


@pytest.mark.parametrize("backward", [False, True])
def test_one_layer_may_be_a_pair(backward):
    options = {"backward": backward, "last": "tanh"}
    other = run_of(RELU, **{**options, "last": TANH})
    third = run_of("relu", **{**options, "last": TANH})
    one = run_of("relu", **options, sampler="dense")
    for name in one.statistics:
        for run in (other, third):
            values = run.statistics[name].estimate
            np.testing.assert_allclose(
                values, one.statistics[name].estimate, rtol=1e-11, atol=1e-13
            )


def test_single_precision_stays_single():
    seen = set()

    def spy(x):
        seen.add(x.dtype.name)
        return np.tanh(x)

    pair = (spy, slope_of_tanh)
    resolve(pair)
    seen.clear()
    run = run_of(pair, dtype="float32", batch=64)
    listed = run_of("tanh", dtype="float32", batch=64, sampler="dense")
    # The pre-activations. Theory also calls the function, in double precision.
    assert "float32" in seen
    # Single-precision functions differ by units of the last place, 6e-8, in each of four layers.
    np.testing.assert_allclose(run.variance.estimate, listed.variance.estimate, rtol=1e-5)


def test_dead_units_have_derivative_0_for_every_sample():
    # The derivative is a step; φ does not matter.
    run = run_of((np.tanh, lambda x: x > 0.5), batch=2, depth=1, width=300, input_mean=0.0)
    # P(both of two nearly independent z ~ N(0, 2) below 1/2) = Φ(0.3536)² = 0.4074. The standard
    # error over 3 × 300 units is √(0.41·0.59/900) = 0.016, doubled because all units share the
    # angle between the samples; the tolerance is three of them. Counting one sample alone would
    # give 0.64, and units dead for either sample 0.87.
    assert run.dead_fraction.estimate[1] == pytest.approx(0.407, abs=0.1)
    assert math.isnan(run.dead_fraction.theory[1])


@pytest.mark.parametrize("name", ["tanh", "relu"])
def test_the_maps_take_pairs(name):
    pair, q = LISTED[name], np.array([1e-6, 0.3, 1.0, 40.0])
    close = {"rtol": 1e-10, "atol": 1e-15}
    for one, other in zip(
        snstat.ensemble_map(name, 0.1, q), snstat.ensemble_map(pair, 0.1, q), strict=True
    ):
        np.testing.assert_allclose(other, one, **close)
    np.testing.assert_allclose(
        snstat.gradient_growth(pair, q), snstat.gradient_growth(name, q), **close
    )
    c = np.array([-0.9, 0.0, 0.5, 1.0 - 1e-9])
    np.testing.assert_allclose(
        snstat.correlation_map(pair, c, 1.0), snstat.correlation_map(name, c, 1.0), **close
    )
    for one, other in zip(
        snstat.fixed_points(name, weight_gain=1.5),
        snstat.fixed_points(pair, weight_gain=1.5),
        strict=True,
    ):
        assert other.variance == pytest.approx(one.variance, rel=1e-10)
        assert other.stable == one.stable


@pytest.mark.parametrize(
    "pair",
    [
        (np.sign, np.zeros_like),  # a jump
        (np.tanh, np.ones_like),  # not the derivative of tanh
        (lambda x: np.sin(1e5 * x), lambda x: 1e5 * np.cos(1e5 * x)),  # too fast for the quadrature
    ],
)
def test_theory_is_missing_where_it_cannot_be_computed(pair):
    run = run_of(pair)
    assert np.isfinite(run.variance.estimate).all()
    for name in ("mean", "variance", "cosine", "kurtosis", "gradient"):
        assert np.isnan(run.statistics[name].theory[1:-1]).all()
    assert run.outlook is None
    assert "SN501" not in [finding.code for finding in snstat.check(pair, **_forward()).findings]
    with pytest.raises(InvalidValueError, match="known to the theory"):
        snstat.fixed_points(pair)


def _forward():
    return {key: value for key, value in SMALL.items() if key != "backward"}


def test_theory_is_missing_where_a_formula_overflows():
    naive = (lambda x: np.log1p(np.exp(x)), lambda x: 1 / (1 + np.exp(-x)))
    # log1p(exp(x)) is infinite beyond 709.8; the outermost nodes lie at 13.75 standard deviations.
    theory = snstat.ensemble_map(naive, 0.0, np.array([1.0, 30.0, 60.0]) ** 2)[1]
    exact = snstat.ensemble_map("softplus", 0.0, np.array([1.0, 30.0]) ** 2)[1]
    np.testing.assert_allclose(theory[:2], exact, rtol=1e-10)
    assert math.isnan(theory[2])


def test_a_kink_anywhere_is_found():
    at = 0.3719
    pair = (lambda x: abs(x - at), lambda x: np.sign(x - at))
    mean, variance = snstat.ensemble_map(pair, 0.0, 1.0)
    # E|z − a| = 2φ(a) + a(2Φ(a) − 1), E(z − a)² = 1 + a².
    density = math.exp(-at * at / 2) / math.sqrt(2 * math.pi)
    exact = 2 * density + at * math.erf(at / math.sqrt(2))
    assert mean == pytest.approx(exact, rel=1e-12)
    assert variance == pytest.approx(1 + at * at - exact**2, rel=1e-11)


@pytest.mark.parametrize(
    ("pair", "words"),
    [
        ((np.tanh, lambda _: 1.0), "the result of dphi is 'of shape ()'"),
        ((lambda x: x[:2], np.tanh), "the result of phi is 'of shape (2, 5)'"),
        ((lambda x: x * 1j, np.tanh), "an array of complex64"),
        ((lambda _: "text", np.tanh), "an array of <U4"),
        ((lambda x: x.nothing, np.tanh), "AttributeError"),
        ((lambda x: x.fill(0), np.tanh), "ValueError"),  # arrays are read-only
        ((lambda x: x / x.sum(), np.tanh), "elementwise"),
        ((np.tanh,), "two functions (phi, dphi)"),
        (np.tanh, "two functions (phi, dphi)"),
        ((1, 2), "two functions (phi, dphi)"),
    ],
)
def test_errors_say_what_is_wrong_with_the_functions(pair, words):
    with pytest.raises(SnstatError) as caught:
        run_of(pair)
    assert words in str(caught.value)


@pytest.mark.parametrize("number", [0, 1])
def test_an_exception_during_simulation_is_reported(number):
    def late(x):
        if x.shape == (24, 8):
            raise RuntimeError("late")
        return (np.tanh, slope_of_tanh)[number](x)

    pair = tuple(late if k == number else function for k, function in enumerate(TANH))
    with pytest.raises(SnstatError, match="RuntimeError: late"):
        run_of(pair)


def test_matrix_free_is_refused():
    assert run_of(TANH, batch=2, width=64).simulation.sampler == "dense"
    with pytest.raises(InvalidValueError, match="pair of functions"):
        run_of(TANH, sampler="matrix-free")


def test_different_pairs_have_different_names():
    names = {resolve(pair).name for pair in (*LISTED.values(), (np.tanh, np.cos))}
    assert len(names) == len(LISTED) + 1
    assert resolve(TANH).name == resolve((np.tanh, lambda x: 1 - np.tanh(x) ** 2)).name
    assert resolve(TANH).name.startswith("custom:tanh:")


def test_a_saved_run_of_a_pair_cannot_be_simulated_again(tmp_path):
    path = tmp_path / "run.json"
    run = run_of(TANH)
    assert Plan.of(run).stack.activation == run.stack.activation
    snstat.save(run, path)
    loaded = snstat.load(path)
    assert loaded.stack == run.stack
    np.testing.assert_array_equal(loaded.variance.theory, run.variance.theory)
    assert "custom:tanh" in str(loaded)
    for again in (lambda: Plan.of(loaded), lambda: snstat.propagate(loaded.stack.activation)):
        with pytest.raises(InvalidValueError, match="cannot be simulated again from the file"):
            again()
    # The pair itself still has its theory and can be compared with the file.
    check = snstat.check(TANH, baseline=path, **{k: SMALL[k] for k in ("depth", "width", "trials")})
    assert "SN701" not in [finding.code for finding in check.findings]
    assert run_of(TANH).outlook is not None


def test_a_check_takes_a_pair_and_notes_missing_theory():
    assert snstat.check(TANH, depth=4, width=64, trials=4).verdict == "stable"
    notes = snstat.check((np.tanh, np.ones_like), depth=3, width=32, trials=4).notes
    assert "no theory: dphi is not the derivative of phi; measured values are judged" in notes


def log(x):
    return np.log(x)


DOUBTS = {
    "wrong slope": ((np.tanh, np.tanh), "dphi is not the derivative of phi"),
    "wrong factor": ((ramp, lambda x: 0.9 * (x > 0)), "dphi is not the derivative of phi"),
    # The first panel that is not resolved begins at 0.
    "nan": ((log, lambda x: 1 / x), r"phi is nan at -0\.\d+"),
    "nan slope": ((np.abs, lambda x: np.where(x > 0, 1.0, np.nan)), r"dphi is nan at -0\.\d+"),
    "jump": ((np.sign, np.zeros_like), "phi jumps at 0"),
    "too fast": ((lambda x: np.sin(1e5 * x), lambda x: 1e5 * np.cos(1e5 * x)), ".* not smooth .*"),
    "overflow": (
        (lambda x: np.log1p(np.exp(x)), lambda x: 1 / (1 + np.exp(-x))),
        r"phi is inf at 710",
    ),
    "far": ((lambda x: x * (np.abs(x) < 12), np.ones_like), "phi jumps at -12"),
    "none": (TANH, ""),
    "listed": ("relu", ""),
}


@pytest.mark.parametrize(("pair", "doubt"), DOUBTS.values(), ids=DOUBTS)
def test_the_reason_for_missing_theory_is_named(pair, doubt):
    assert re.fullmatch(doubt, resolve(pair).doubt)


def test_the_table_and_fixed_points_say_why_theory_is_missing(tmp_path):
    run = run_of((np.tanh, np.tanh))
    words = "No theory: dphi is not the derivative of phi; measured values are judged."
    assert words in " ".join(str(run).split())
    assert "o theory" not in str(run_of(TANH))
    with pytest.raises(InvalidValueError, match="dphi is not the derivative of phi: write phi"):
        snstat.fixed_points((np.tanh, np.tanh))
    snstat.save(run, tmp_path / "run.json")
    assert "its functions are not in the file" in " ".join(
        str(snstat.load(tmp_path / "run.json")).split()
    )


def test_a_wrong_read_out_is_noted_too():
    check = snstat.check("tanh", depth=3, width=16, trials=4, last=(np.tanh, np.tanh))
    wanted = (
        "no theory of the last layer: dphi is not the derivative of phi; measured values are judged"
    )
    assert wanted in check.notes
    assert not [
        note for note in snstat.check("tanh", 3, width=16, last=TANH).notes if "no th" in note
    ]


def test_a_pair_that_is_not_finite_is_reported_with_the_place():
    check = snstat.check((log, lambda x: 1 / x), depth=3, width=16, trials=4)
    assert check.verdict == "non-finite"
    finding = check.findings[0]
    assert (finding.code, finding.layer) == ("SN001", 1)
    assert re.search(r"from layer 1 on \(seen; no theory: phi is nan at -0\.\d+\)", finding.message)
