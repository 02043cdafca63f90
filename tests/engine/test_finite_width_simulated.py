"""First-order theory against simulated networks.

z is standard normal, and the remaining error of the log gradient falls as 1/width².
tests/theory/test_finite_width_rate.py tests that rate for the other statistics.
"""

from __future__ import annotations

import math
import os
from itertools import product

import numpy as np
import pytest
from numba import config
from scipy import stats

from snstat.activation import ACTIVATIONS
from snstat.engine.simulate import simulate
from snstat.experiment.inputs import DrawnInputs
from snstat.network.stack import Stack
from snstat.results import STATISTICS
from snstat.theory.finite_width import finite_width
from snstat.theory.predict import predict

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        bool(config.DISABLE_JIT), reason="thousands of networks need compiled kernels"
    ),
]

# The full number of trials is 10,000; `make test-laws` takes 20,000.
TRIALS = int(os.environ.get("SNSTAT_TRIALS", "2000"))
# With the full number, every activation and every unusual shape is tested too.
FULL = "SNSTAT_TRIALS" in os.environ
SAMPLED = [("matrix-free", 1), ("matrix-free", 8), ("dense", 8)] + [("dense", 1)] * FULL
ALARM = 1e-4
KNOWN = ("mean", "second_moment", "variance", "variance_over_units")
GRADIENT = "log gradient"
# ReLU-like networks of 64 units vary too much for first order from about six layers on.
DEPTHS = {"selu": 10, "tanh": 10, "relu": 4, "gelu": 3}
if FULL:
    DEPTHS = dict.fromkeys(ACTIVATIONS, 4) | DEPTHS


class Measured:
    """Estimates of a simulation and both theories, each {statistic: (layers,)}."""

    def __init__(self, activation, depth, width, *, batch=8, seed=0, sampler="auto", **options):
        shape = {k: options.pop(k) for k in ("input_mean", "label", "trials") if k in options}
        self.stack = Stack.build(activation, depth, width, **options)
        inputs = DrawnInputs(
            shape.get("label", "normal"),
            self.stack.input_width,
            batch,
            shape.get("input_mean", 0.0),
            1.0,
        )
        moments = inputs.moments()
        prediction = predict(self.stack, batch, moments)
        found = finite_width(self.stack, batch, moments, prediction, backward=True)
        trials = shape.get("trials", TRIALS)
        result = simulate(
            self.stack, inputs, trials=trials, seed=seed, dtype="float32", sampler=sampler,
            backward=True,
        )  # fmt: skip
        logs = result.log_gradient
        self.estimate = {n: result.estimate[:, STATISTICS.index(n)] for n in KNOWN}
        self.stderr = {n: result.stderr[:, STATISTICS.index(n)] for n in KNOWN}
        self.estimate[GRADIENT] = logs.mean(axis=0)
        self.stderr[GRADIENT] = logs.std(axis=0, ddof=1) / math.sqrt(trials)
        self.theory = {n: prediction.statistics[n] for n in KNOWN}
        self.theory[GRADIENT] = prediction.log_gradient
        self.expected = {n: found.expected[n] for n in KNOWN} | {GRADIENT: found.log_gradient}
        self.residual = {n: found.residual[n] for n in KNOWN}
        self.residual[GRADIENT] = found.log_gradient_residual

    def z(self, name, against):
        with np.errstate(divide="ignore", invalid="ignore"):
            return (self.estimate[name] - against[name]) / self.stderr[name]

    def layers(self, name):
        """Return the layers where theory is known and inexact, the deepest in the pass first.

        For gradients these start with the first layer, for other statistics with the last.
        """
        known = np.flatnonzero(np.isfinite(self.expected[name])).tolist()
        return known[:-1] if name == GRADIENT else known[:0:-1]

    def excess(self, name):
        """Return the distance of an estimate from `expected`, less its residual, in standard
        errors."""
        error = np.abs(self.estimate[name] - self.expected[name]) - self.residual[name]
        with np.errstate(divide="ignore", invalid="ignore"):
            return error / self.stderr[name]


@pytest.fixture(scope="module")
def runs():
    """Return independent runs at width 64: every activation, both samplers, two batch sizes."""
    cases = product(DEPTHS, SAMPLED)
    return {
        (name, sampler, batch): Measured(
            name, DEPTHS[name], 64, batch=batch, sampler=sampler, seed=seed
        )
        for seed, (name, (sampler, batch)) in enumerate(cases)
    }


@pytest.mark.parametrize("name", [*KNOWN, GRADIENT])
def test_z_scores_are_standard_normal_at_width_64(runs, name):
    """z of independent runs, for each statistic with theory at this width."""
    for offset in range(3):
        chosen = [
            (run, layers[offset])
            for run in runs.values()
            if len(layers := run.layers(name)) > offset
        ]
        # Theory of gradients is known in one layer for GELU and in two for ReLU.
        assert len(chosen) >= (len(runs) if name != GRADIENT else 2 * len(SAMPLED))
        corrected, plain = (
            np.array([run.z(name, against(run))[layer] for run, layer in chosen])
            for against in (lambda run: run.expected, lambda run: run.theory)
        )
        assert np.isfinite(corrected).all()
        assert stats.chi2.sf((corrected**2).sum(), corrected.size) > ALARM / 15, corrected
        assert stats.kstest(corrected, "norm").pvalue > ALARM / 15, corrected
        # Without the correction z is not standard normal. The mean has no bias for odd or centred
        # activations.
        plain_chance = stats.chi2.sf((plain**2).sum(), plain.size)
        assert plain_chance < (1e-9 if name != "mean" else 1e-3), plain


def test_every_layer_of_every_run_agrees(runs):
    scores = [run.excess(name) for run in runs.values() for name in (*KNOWN, GRADIENT)]
    known = np.concatenate(scores)
    known = known[np.isfinite(known)]
    assert known.size > 430
    assert known.max() < stats.norm.isf(ALARM / known.size / 2)


@pytest.fixture
def unlimited(monkeypatch):
    """Use theory of gradients even where ten thousand trials resolve the neglected terms."""
    monkeypatch.setattr("snstat.theory.finite_width_gradient.LARGEST_SQUARE", math.inf)


def check_excess(run):
    """Check that every statistic of every layer is as expected, up to its residual and chance."""
    for name in (*KNOWN, GRADIENT):
        excess = run.excess(name)
        known = excess[np.isfinite(excess)]
        # The gradient of the last layer has no error.
        assert known.size == run.stack.depth + (name != GRADIENT), name
        assert known.max() < stats.norm.isf(ALARM / 50), (name, excess)


@pytest.mark.usefixtures("unlimited")
@pytest.mark.parametrize("activation", ACTIVATIONS if FULL else ["selu", "relu", "sigmoid"])
def test_the_residual_bounds_the_neglected_terms(activation):
    for width, depth in ((24, 2), (48, 3)):
        check_excess(Measured(activation, depth, width, batch=4, seed=width))


OTHERS = [
    ("selu", {"init": "lecun_uniform"}),
    ("tanh", {"init": "lecun_uniform", "weight_gain": 1.8, "batch": 1}),
    ("softplus", {"init": "glorot_uniform", "label": "uniform", "input_mean": 0.5}),
    ("selu", {"init": "torch_default"}),
    ("selu", {"init": "orthogonal"}),
    ("relu", {"init": "orthogonal"}),
    ("tanh", {"init": "orthogonal", "weight_gain": 1.5, "input_width": 50}),
    ("tanh", {"init": "orthogonal", "bias_std": 0.3, "input_width": 20}),
    ("gelu", {"init": "orthogonal", "bias_std": 0.5, "input_mean": 0.5}),
    ("selu", {"bias_std": 0.4, "input_width": 20, "label": "uniform", "input_mean": 0.7}),
    ("relu", {"init": "he_truncated"}),
    ("tanh", {"init": "glorot_truncated", "weight_std": 0.3}),
    ("selu", {"init": "lecun_truncated"}),
]


@pytest.mark.usefixtures("unlimited")
@pytest.mark.parametrize(("activation", "options"), OTHERS if FULL else OTHERS[::3])
def test_other_weights_inputs_and_shapes(activation, options):
    check_excess(Measured(activation, 4, 32, seed=3, **{"batch": 4, **options}))


@pytest.mark.usefixtures("unlimited")
@pytest.mark.parametrize("activation", ["relu", "softplus"] if FULL else ["relu"])
def test_the_remaining_error_falls_as_one_over_width_squared(activation, monkeypatch):
    """The log gradient of the input, where the second order is largest, whether trusted or not."""
    monkeypatch.setattr("snstat.theory.fluctuations.LARGEST_VARIANCE", 1.0)
    monkeypatch.setattr("snstat.theory.finite_width_gradient.LARGEST_SPREAD", 2.0)
    errors, plain, sigmas = [], [], []
    for width, trials in ((16, 8 * TRIALS), (32, 16 * TRIALS)):
        run = Measured(activation, 3, width, batch=4, seed=width, trials=trials)
        errors.append(run.estimate[GRADIENT][0] - run.expected[GRADIENT][0])
        plain.append(run.estimate[GRADIENT][0] - run.theory[GRADIENT][0])
        sigmas.append(run.stderr[GRADIENT][0])
    sigma = math.hypot(sigmas[0] / 4.0, sigmas[1]) * stats.norm.isf(ALARM)
    assert abs(errors[0]) > 4.0 * sigmas[0]
    # The error falls to a quarter, up to a third order in 1/width of at most half the second.
    assert abs(errors[1] - errors[0] / 4.0) < sigma + 0.5 * abs(errors[0]) / 4.0
    assert abs(plain[1] - plain[0] / 2.0) < sigma + 0.5 * abs(errors[0])
    assert abs(plain[1]) > 4.0 * abs(errors[1]) - sigma
