"""Standard errors of trials that differ by rounding alone are 0, so that no z comes from them."""

from __future__ import annotations

import math
import statistics as plain

import numpy as np
import pytest

import snstat
from snstat import Network
from snstat import layers as L  # noqa: N812  # as users write it
from snstat.engine.reduction import reduced
from snstat.results import MEASURED

DOUBLE, SINGLE = np.dtype("float64"), np.dtype("float32")
X = np.random.default_rng(0).normal(size=(1, 32))
ALIKE, OPPOSITE = np.repeat(X, 6, axis=0), np.concatenate([X, -X])
# A unit is 0 for one of two opposite samples after ReLU, so their cosine is exactly 0.
SPLIT = Network(32, L.repeat(3, L.Dense(32), L.BatchNorm(), L.Activation("relu")))


def column(values, name, second=1.0):
    """Return one statistic and the second moment of trials, (trials, layers, statistics)."""
    found = np.full((len(values), 1, len(MEASURED)), math.nan)
    found[:, 0, MEASURED.index("second_moment")] = second
    found[:, 0, MEASURED.index(name)] = values
    return found


def error(values, name, dtype=DOUBLE, first=0, second=1.0):
    _, stderr, _ = reduced(
        column(values, name, second), np.ones((len(values), 1), bool), first, dtype
    )
    return stderr[0, MEASURED.index(name)]


def test_estimates_and_errors_are_those_of_a_plain_loop():
    values = np.random.default_rng(1).normal(2.0, 0.1, (5, 4, len(MEASURED)))
    finite = np.ones((5, 4), bool)
    finite[2, 3] = False
    estimate, stderr, whole = reduced(values, finite, 0, SINGLE)
    assert whole.tolist() == [True, True, True, False]
    for layer in range(4):
        for place in range(len(MEASURED)):
            own = values[:, layer, place].tolist()
            assert estimate[layer, place] == pytest.approx(plain.mean(own), rel=1e-14)
            expected = plain.stdev(own) / math.sqrt(5)
            assert stderr[layer, place] == pytest.approx(expected, rel=1e-13)
    assert np.isnan(reduced(values[:1], finite[:1], 0, SINGLE)[1]).all()


@pytest.mark.parametrize(
    ("name", "scale", "second"),
    [
        ("cosine", 1.0, 1.0),
        # Rounding of a mean is that of values, and of a variance that of squares.
        ("mean", 100.0, 1e4),
        ("variance", 1e4, 1e4),
        ("variance_over_units", 1e4, 1e4),
    ],
)
def test_the_rounding_of_sums_is_no_spread(name, scale, second):
    noise = np.array([1.0, -1.0, 0.5, 0.0]) * 1e-15 * scale
    assert error(noise, name, second=second) == 0.0
    assert error(1e4 * noise, name, second=second) > 0.0


@pytest.mark.parametrize("dtype", [SINGLE, DOUBLE])
def test_samples_that_are_rounded_apart_are_alike(dtype):
    """Each of 32 layers adds the square of a rounding of at most one unit in the last place."""
    unit = float(np.finfo(dtype).eps) ** 2
    noise = unit * 32.0 * np.array([0.2, 1.0, 0.1, 0.5])
    assert error(noise, "variance_over_batch", dtype, first=32) == 0.0
    assert error(100.0 * noise, "variance_over_batch", dtype, first=32) > 0.0
    assert error(1.0 - noise, "cosine", dtype, first=32) == 0.0


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("sampler", ["dense", "matrix-free"])
@pytest.mark.parametrize(
    ("subject", "options"),
    [
        (SPLIT, {"batch": 2}),
        (SPLIT, {"inputs": OPPOSITE}),
        (SPLIT, {"inputs": OPPOSITE, "train": False}),
        (Network(32, L.chain(L.residual(L.LayerNorm(), L.Dense(32, "relu")))), {"inputs": ALIKE}),
        (snstat.Stack.build("relu", 6, 32), {"inputs": ALIKE}),
    ],
)
def test_no_z_of_a_cosine_comes_from_rounding(subject, options, sampler, dtype):
    run = snstat.propagate(subject, trials=5, dtype=dtype, sampler=sampler, **options)
    spread = run.cosine.stderr * math.sqrt(5)
    assert np.isnan(run.cosine.z[spread < 1e-6]).all()
    if options.get("inputs") is ALIKE:
        assert np.isnan(run.variance_over_batch.z).all()
        assert np.abs(run.cosine.estimate - 1.0).max() < 1e-12


def test_rounding_of_samples_that_are_alike_is_no_drift(tmp_path):
    options = {"depth": 6, "width": 32, "inputs": ALIKE, "trials": 6, "select": ["SN701"]}
    run = snstat.propagate("relu", **{key: options[key] for key in list(options)[:-1]})
    assert (run.variance_over_batch.estimate[1:] > 0).any()
    snstat.save(run, tmp_path / "base.json")
    assert snstat.check("relu", seed=7, baseline=tmp_path / "base.json", **options).passed


@pytest.mark.parametrize("mean", [0.0, 1.0, -3.7])
def test_a_layer_norm_of_constant_inputs_is_known_to_be_0(mean):
    network = Network(16, L.chain(L.residual(L.LayerNorm(), L.Dense(16, "relu")), L.LayerNorm()))
    run = snstat.propagate(network, batch=4, trials=3, input_mean=mean, input_std=0.0)
    assert run.second_moment.estimate[1] == run.second_moment.theory[1] == 0.0


def test_the_error_of_numbers_whose_squares_underflow_is_theirs():
    values = 1e-250 * np.array([1.0, 2.0, 4.0])
    expected = plain.stdev([1.0, 2.0, 4.0]) / math.sqrt(3.0) * 1e-250
    assert error(values, "mean", second=0.0) == pytest.approx(expected, rel=1e-14, abs=0.0)
