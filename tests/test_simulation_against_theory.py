"""Simulated networks follow the ensemble map, up to a measured bias of order 1/width."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numba import config
from scipy import stats

from snstat.activation import ACTIVATIONS
from snstat.experiment.propagate import propagate
from snstat.layers.initialisers import INITIALISERS

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        bool(config.DISABLE_JIT), reason="networks of 2048 units need compiled kernels"
    ),
]

DEPTH, WIDTH, TRIALS, BATCH = 16, 2048, 12, 8
COMPARED = ("mean", "second_moment", "cosine")
CASES = [(name, None) for name in ACTIVATIONS] + [("selu", name) for name in INITIALISERS]
SMALL, SMALL_TRIALS = 128, 400
ALARM = 1e-5


@pytest.fixture(scope="module")
def z_scores():
    """Return z of each case, statistic and layer 1..DEPTH, corrected for the bias of order 1/width.

    The bias is measured at a small width, where it is 16 times larger, and scaled down.
    """
    result = {}
    for seed, (activation, init) in enumerate(CASES):
        shape = {"init": init, "batch": BATCH}
        large = propagate(activation, DEPTH, width=WIDTH, trials=TRIALS, seed=seed, **shape)
        small = propagate(
            activation, DEPTH, width=SMALL, trials=SMALL_TRIALS, seed=1000 + seed, **shape
        )
        for name in COMPARED:
            column, reference = large.statistics[name], small.statistics[name]
            bias = (reference.estimate - reference.theory) * SMALL / WIDTH
            uncertainty = np.hypot(column.stderr, reference.stderr * SMALL / WIDTH)
            # Layers whose inputs have collapsed to one point differ from theory only by rounding of
            # float32, which their standard errors do not include.
            scale = np.maximum(
                np.abs(column.theory),
                np.sqrt(large.second_moment.theory) if name == "mean" else 1e-3,
            )
            floor = 20 * np.finfo(np.float32).eps * scale
            z = (column.estimate - column.theory - bias) / np.maximum(uncertainty, floor)
            result[activation, init, name] = z[1:]
    return result


def test_every_layer_of_every_case_agrees(z_scores):
    count = sum(z.size for z in z_scores.values())
    bound = stats.t.isf(ALARM / count / 2, TRIALS - 1)
    worst = max(z_scores, key=lambda key: np.nanmax(np.abs(z_scores[key])))
    assert np.nanmax(np.abs(z_scores[worst])) < bound, worst


@pytest.mark.parametrize("name", COMPARED)
@pytest.mark.parametrize("layer", [1, 4, 16])
def test_z_scores_are_standard(z_scores, name, layer):
    """Over independent cases, z follows Student's t for the number of trials."""
    z = np.array([column[layer - 1] for key, column in z_scores.items() if key[2] == name])
    z = z[np.isfinite(z)]
    assert len(z) >= len(CASES) - 2
    assert stats.kstest(z, stats.t(TRIALS - 1).cdf).pvalue > 1e-3


def test_the_bias_halves_as_the_width_doubles():
    """The mean second moment of SELU differs from theory by a constant over the width."""
    biases, errors = [], []
    widths = (16, 32, 64)
    for width in widths:
        run = propagate("selu", 6, width=width, trials=20_000, batch=2, seed=width)
        biases.append(run.second_moment.estimate[6] - run.second_moment.theory[6])
        errors.append(run.second_moment.stderr[6])
    for k in (0, 1):
        # The bias is resolved, has one sign, and halves within its error and the next order of
        # 1/width, which may be as large as the square of the bias.
        assert abs(biases[k]) > 5 * errors[k]
        error = math.hypot(errors[k] / 2, errors[k + 1]) * stats.norm.isf(1e-4)
        assert abs(biases[k + 1] - biases[k] / 2) < error + biases[k] ** 2
