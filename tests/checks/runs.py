"""Runs made of random numbers for the tests of comparisons; no network is simulated."""

from __future__ import annotations

from types import MappingProxyType

import numpy as np

from snstat.results import STATISTICS, Run, Simulation, StackSummary, Statistic

TYPICAL = {
    "mean": 0.1,
    "variance": 1.0,
    "second_moment": 1.01,
    "variance_over_batch": 0.9,
    "variance_over_units": 0.95,
    "cosine": 0.2,
    "kurtosis": 3.0,
    "dead_fraction": 0.0,
}


def sampled(random, layers=20, trials=8, spread=0.01, scale=None, finite=None, seed=0):
    """Return a run whose estimates are means over `trials` normal values.

    The values have the relative standard deviation `spread` around typical ones, times `scale`
    (name -> factors (layers,)).
    """
    statistics = {}
    for name in STATISTICS:
        centre = TYPICAL[name] * np.ones(layers) * (scale or {}).get(name, 1.0)
        values = centre + spread * random.standard_normal((trials, layers)) * TYPICAL[name]
        stderr = values.std(axis=0, ddof=1) / np.sqrt(trials)
        statistics[name] = Statistic(values.mean(axis=0), stderr, np.full(layers, np.nan))
    if finite is None:
        finite = np.ones(layers, np.bool_)
    return Run(
        StackSummary("selu", layers - 1, 64, 64, "lecun_normal", 1.0, 0.0),
        Simulation(16, trials, seed, "float32", "matrix-free", "normal", 0.0, 1.0),
        finite,
        MappingProxyType(statistics),
    )
