"""The population of units: what it samples, against drawn networks and plain numpy, in law."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numba.core import config
from scipy.stats import ks_2samp

import snstat
from tests.engine import population_oracle as oracle

# All seeds are fixed. Of some 50 comparisons, one has a p-value below this once in 200 suites.
LEAST = 1e-4
# Two means of hundreds of trials differ by more than so many standard errors as rarely.
ERRORS = 4.0
COMPILED = pytest.mark.skipif(bool(config.DISABLE_JIT), reason="hundreds of networks")


def layers(kind, width, **options):
    own = {"kind": kind, "width": width, "weight_gain": 1.5, "bias_std": 0.3, **options}
    return [own, {**own, "weight_gain": 1.2}]


def run_of(form_layers, *, channels, grid, trials, **options):
    form = {"input": {"channels": channels, "grid": grid}, "layers": form_layers}
    options = {"batch": 2, "dtype": "float64", "keep_trials": True, "backward": True} | options
    return snstat.propagate(snstat.Network.read(form), trials=trials, **options)


@COMPILED
@pytest.mark.parametrize("kind", ["elman", "lstm", "gru"])
def test_as_many_units_as_the_network_has_are_its_own_law(kind):
    # 8 columns of 12 units: no matrix on units is drawn, in either direction.
    width, trials = 12, 600
    same = {"channels": 5, "grid": [4], "trials": trials}
    drawn = run_of(layers(kind, width, init="lecun_normal"), **same, seed=1, sampler="dense")
    found = run_of(
        layers(kind, 30, init="lecun_uniform"),
        **same,
        seed=2,
        infinite_width=width,
        sampler="matrix-free",
    )
    for name in ("second_moment", "cosine", "position_cosine", "kurtosis", "gradient"):
        for layer in (1, 2) if name != "gradient" else (0, 1):
            one, other = (run.statistics[name].trials[:, layer] for run in (drawn, found))
            assert ks_2samp(one, other).pvalue > LEAST, (name, layer)


def agree(found, expected):
    """Whether two lists of trials have one mean, beyond chance."""
    one, other = np.asarray(found), np.asarray(expected)
    error = math.hypot(one.std() / math.sqrt(len(one)), other.std() / math.sqrt(len(other)))
    assert abs(one.mean() - other.mean()) < ERRORS * error, (one.mean(), other.mean(), error)
    assert ks_2samp(one, other).pvalue > LEAST


def second_moments(values):
    return [np.mean(own**2) for own in values]


def cosines(values):
    found = []
    for own in values:
        x = own.reshape(len(own), 2, -1)
        first, second = x[:, 0].ravel(), x[:, 1].ravel()
        found.append(first @ second / np.linalg.norm(first) / np.linalg.norm(second))
    return found


@COMPILED
@pytest.mark.parametrize("kind", ["lstm", "gru"])
def test_cells_are_those_of_a_plain_population(kind):
    trials, shape = 300, {"channels": 6, "batch": 2, "units": 40}
    random = np.random.default_rng(4)
    plain = [
        oracle.recurrent(kind, random, times=5, gain=2.0, bias_std=0.4, **shape)
        for _ in range(trials)
    ]
    form = [{"kind": kind, "width": 7, "init": "he_uniform", "weight_gain": 2.0, "bias_std": 0.4}]
    run = run_of(form, channels=6, grid=[5], trials=trials, seed=5, infinite_width=40)
    agree(run.second_moment.trials[:, 1], second_moments(plain))
    agree(run.cosine.trials[:, 1], cosines(plain))


@COMPILED
def test_sums_before_activations_are_those_of_a_plain_population():
    trials, random = 300, np.random.default_rng(6)
    plain = [
        oracle.post_activation(random, channels=6, batch=2, units=32, blocks=3)
        for _ in range(trials)
    ]
    branch = [{"kind": "dense", "width": 9, "activation": "relu"}, {"kind": "dense", "width": 9}]
    form = [{"kind": "dense", "width": 9}]
    form += [
        {"kind": "residual", "layers": branch},
        {"kind": "activation", "activation": "relu"},
    ] * 3
    run = run_of(form, channels=6, grid=[], trials=trials, seed=7, infinite_width=32)
    assert math.isnan(run.second_moment.theory[-1])
    agree(run.second_moment.trials[:, -1], second_moments(plain))
    agree(run.cosine.trials[:, -1], cosines(plain))


@COMPILED
def test_maxima_are_those_of_a_plain_population():
    trials, random = 300, np.random.default_rng(8)
    plain = [
        oracle.pooled(random, channels=3, batch=2, positions=8, units=24) for _ in range(trials)
    ]
    conv = {"kind": "conv", "channels": 5, "kernel": 3, "padding": "circular", "activation": "relu"}
    form = [conv, {"kind": "max_pool", "size": 2}] * 2
    run = run_of(form, channels=3, grid=[8], trials=trials, seed=9, infinite_width=24)
    assert math.isnan(run.second_moment.theory[-1])
    agree(run.second_moment.trials[:, -1], second_moments(plain))
    agree(run.cosine.trials[:, -1], cosines(plain))


@COMPILED
@pytest.mark.parametrize("kind", ["lstm", "gru"])
def test_wide_networks_come_near_it_as_one_over_width(kind):
    same = {"channels": 8, "grid": [5], "backward": False}
    limit = run_of(layers(kind, 4), **same, trials=60, seed=10, infinite_width=512)
    off = {}
    for width in (4, 16):
        run = run_of(layers(kind, width), **same, trials=800, seed=11)
        one, other = (found.variance_over_units for found in (run, limit))
        off[width] = one.estimate[2] - other.estimate[2], math.hypot(one.stderr[2], other.stderr[2])
    (near, one), (far, other) = off[16], off[4]
    assert abs(far) > ERRORS * other  # there is something to see
    # Times the width it stays: what is left is of the order of 1/width².
    room = ERRORS * math.hypot(16.0 * one, 4.0 * other) + 0.3 * abs(4.0 * far)
    assert abs(16.0 * near - 4.0 * far) < room, off
